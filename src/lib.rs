//! Consent-enforcing SMTP relay: the map.

#![forbid(unsafe_code)]

// Pure: they decide. No socket, file, database, clock or randomness; time arrives as an argument.
// `clippy.toml` lists what they may not touch (their tests may); tests/purity.rs forbids the names.
#[cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]
pub mod consent;
#[cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]
pub mod message;
#[cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]
pub mod policy;
#[cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]
pub mod smtp;

// Effects: they do what was decided.
pub mod cli;
pub mod config;
pub mod demo;
pub mod inbox;
pub mod relay;
pub mod rights;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod web;
