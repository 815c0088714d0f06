//! Consent-enforcing SMTP relay: the map.

#![forbid(unsafe_code)]

// Pure: they decide. No socket, file, database, clock or randomness; time arrives as an argument.
pub mod consent;
pub mod message;
pub mod policy;
pub mod smtp;

// Effects: they do what was decided.
pub mod cli;
pub mod config;
pub mod relay;
pub mod store;
pub mod web;
