//! The SMTP path: accept, ask upstream, take the message, decide, act, answer.
