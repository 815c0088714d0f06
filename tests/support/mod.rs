//! What the tests by behaviour share: the built gate in a directory of its own, a scripted upstream, a raw client,
//! a certificate authority, and the mail servers that nobody here wrote.
//!
//! Everything waits for what it waits for (a line, a reply, an entry in a record) under one deadline; nothing sleeps.

#![allow(dead_code, unused_imports)] // each test file uses its part

pub mod authority;
pub mod browser;
pub mod client;
pub mod dialogue;
pub mod dkim;
pub mod gate;
pub mod http;
mod kernel;
pub mod peers;
pub mod upstream;
pub mod wire;

use std::time::Duration;

pub use authority::Authority;
pub use client::Client;
pub use gate::{Gate, GateBuilder};
pub use upstream::{Act, Message, Upstream, Verb};

/// How long anything here may take before the test has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);
