//! Faults injected for real, on either side of the gate, beside it and into it: what was acknowledged is upstream, what
//! was not was not half done, and the gate goes on when the fault is over.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod drain;
mod faulty;
mod kill;
mod mail;
mod store;
mod upstream;
