//! DKIM signatures (RFC 6376, RFC 8301, RFC 8463) over a message as it leaves, made while it streams past.
//!
//! Header section and body come in wire form; what is hashed is the message without its stuffed dots. `relaxed` twice,
//! no `l=`: what is appended to a body breaks the signature.

mod body;
mod fields;
mod key;
mod record;
mod signature;
#[cfg(test)]
mod tests;

pub use body::BodyHasher;
pub use fields::{SignedFields, author_domain};
pub use key::{KeyError, SigningKey};
pub use record::{Algorithm, Difference, PublicKey, published};
pub use signature::{Signer, SigningError};

/// SHA-256.
pub type BodyHash = [u8; 32];
