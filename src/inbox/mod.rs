//! Mail to the gate itself: requests to leave, bounces, complaints.
//!
//! It is taken, understood and forgotten. Nothing is ever answered by mail or passed on: whoever forges a sender makes
//! this machine write to nobody.

mod connection;
mod judge;
pub mod listener;
mod record;

pub use listener::Inbox;
