//! The SMTP grammar and dialogue, without sockets.

pub mod address;
pub mod auth;
pub mod capabilities;
pub mod command;
pub mod data;
pub mod reply;
pub mod session;
pub mod status;
