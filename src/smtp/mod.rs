//! The SMTP grammar and dialogue, without sockets.
