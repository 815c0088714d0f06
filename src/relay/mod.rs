//! The SMTP path: accept, ask upstream, take the message, decide, act, answer.

mod answer;
mod body;
pub mod connection;
mod copies;
mod dialogue;
pub mod drain;
pub mod gate;
mod hop;
mod in_flight;
pub mod link;
pub mod listener;
mod notify;
pub mod own_mail;
mod personal;
mod record;
mod signing;
pub mod spool;
pub mod tls;
mod transaction;
pub mod upstream;
