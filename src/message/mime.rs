//! The parts of a MIME message, found in its wire form a piece at a time (RFC 2045, RFC 2046).

mod part;
#[cfg(test)]
mod tests;
mod walk;

pub use part::{Kind, Multipart, PartHead};
pub use walk::{Anomaly, Leaves, Place, Walker};
