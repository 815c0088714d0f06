//! What is published of a key: the TXT record below `_domainkey` (RFC 6376 section 3.6.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rsa,
    Ed25519,
}

impl Algorithm {
    /// The tag `k=`.
    pub fn key_type(self) -> &'static str {
        match self {
            Algorithm::Rsa => "rsa",
            Algorithm::Ed25519 => "ed25519",
        }
    }

    /// The tag `a=`.
    pub fn signature_type(self) -> &'static str {
        match self {
            Algorithm::Rsa => "rsa-sha256",
            Algorithm::Ed25519 => "ed25519-sha256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.key_type())
    }
}

/// The public half of a key, as the record's `p=` holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub algorithm: Algorithm,
    /// A SubjectPublicKeyInfo for RSA, as all verifiers take it; the bare key for Ed25519 (RFC 8463 section 4.2).
    pub key: Vec<u8>,
}

impl PublicKey {
    /// From a PKCS#1 RSAPublicKey.
    pub(super) fn rsa(public_key: &[u8]) -> PublicKey {
        // AlgorithmIdentifier: rsaEncryption, NULL (RFC 3279 section 2.3.1).
        const RSA_ENCRYPTION: [u8; 15] =
            [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
        let bit_string = der(0x03, &[&[0], public_key].concat());
        PublicKey { algorithm: Algorithm::Rsa, key: der(0x30, &[&RSA_ENCRYPTION[..], &bit_string].concat()) }
    }

    /// The value of the TXT record.
    pub fn record(&self) -> String {
        format!("v=DKIM1; k={}; p={}", self.algorithm, STANDARD.encode(&self.key))
    }
}

/// One DER value: tag, length, content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0).map_or(&[0][..], |first| &length[first..]);
    let mut value = vec![tag];
    if content.len() >= 0x80 {
        value.push(0x80 | significant.len() as u8); // eight at most
    }
    value.extend_from_slice(significant);
    value.extend_from_slice(content);
    value
}
