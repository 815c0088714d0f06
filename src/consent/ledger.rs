//! The ledger: every fact in one chain, so that none can be changed, removed or put elsewhere unnoticed.
//!
//! An entry is the canonical bytes of a row ([`entry`]). A keyed hash over each entry and its predecessor makes the
//! chain ([`chain`]), and a Merkle tree over the entries ([`merkle`]) is what a signed checkpoint ([`checkpoint`])
//! states, so that a stranger can check one entry with the public key alone. What names a person stands outside: the
//! entry holds only a salted digest of it, which means nothing once the salt is gone.

pub mod chain;
pub mod checkpoint;
pub mod dropped;
pub mod entry;
pub mod merkle;

use ring::digest::{Context, SHA256};

/// SHA-256.
pub type Digest = [u8; 32];

/// SHA-256 over several parts as if they were one.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

/// What [`hex`] wrote; `None` when it is not that.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    if !rest.is_empty() || !text.as_bytes().iter().all(digit) {
        return None;
    }
    pairs.iter().map(byte).collect()
}
