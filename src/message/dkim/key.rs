//! Private keys that sign.

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::error::KeyRejected;
use ring::rand::SecureRandom;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::record::{Algorithm, PublicKey};

/// A private key, fit for signing: RSA of 2048 to 4096 bits, or Ed25519.
pub struct SigningKey(Pair);

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// Why a file gives no such key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    NoKey,
    Encrypted,
    TooShort,
    OtherAlgorithm,
    /// What the library says of it.
    Unfit(String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cure = "make one with `consentry dkim keygen`";
        match self {
            KeyError::NoKey => write!(out, "no private key is in it (PKCS#8 or PKCS#1, PEM or DER); {cure}"),
            KeyError::Encrypted => out.write_str(
                "the key is encrypted and nobody is there to type a passphrase; decrypt it with `openssl pkey`",
            ),
            KeyError::TooShort => {
                write!(out, "the RSA key has fewer than 2048 bits, which providers no longer trust (RFC 8301); {cure}")
            }
            KeyError::OtherAlgorithm => {
                write!(out, "the key is neither RSA nor Ed25519, which DKIM signs with; {cure}")
            }
            KeyError::Unfit(why) => write!(out, "the key cannot be used ({why}); {cure}"),
        }
    }
}

impl std::error::Error for KeyError {}

impl From<KeyRejected> for KeyError {
    fn from(rejected: KeyRejected) -> KeyError {
        match rejected.to_string().as_str() {
            "TooSmall" => KeyError::TooShort,
            "WrongAlgorithm" => KeyError::OtherAlgorithm,
            why => KeyError::Unfit(why.to_owned()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SigningKey({}, redacted)", self.algorithm())
    }
}

impl SigningKey {
    /// Reads PKCS#8 (RSA, Ed25519) or PKCS#1 (RSA), as PEM or as DER.
    pub fn read(bytes: &[u8]) -> Result<SigningKey, KeyError> {
        let text = String::from_utf8_lossy(bytes);
        if !text.contains("-----BEGIN ") {
            return from_pkcs8(bytes).or_else(|error| match error {
                KeyError::Unfit(_) => from_pkcs1(bytes).map_err(|error| match error {
                    KeyError::Unfit(_) => KeyError::NoKey,
                    told => told,
                }),
                told => Err(told),
            });
        }
        match PrivateKeyDer::from_pem_slice(bytes) {
            Ok(PrivateKeyDer::Pkcs8(der)) => from_pkcs8(der.secret_pkcs8_der()),
            Ok(PrivateKeyDer::Pkcs1(der)) => from_pkcs1(der.secret_pkcs1_der()),
            Ok(_) => Err(KeyError::OtherAlgorithm),
            Err(_) if text.contains("ENCRYPTED") => Err(KeyError::Encrypted),
            Err(_) => Err(KeyError::NoKey),
        }
    }

    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// How long the key is.
    pub fn bits(&self) -> usize {
        match &self.0 {
            Pair::Rsa(pair) => pair.public().modulus_len() * 8,
            Pair::Ed25519(_) => 256,
        }
    }

    /// What is published of it.
    pub fn public(&self) -> PublicKey {
        match &self.0 {
            Pair::Rsa(pair) => PublicKey::rsa(pair.public_key().as_ref()),
            Pair::Ed25519(pair) => {
                PublicKey { algorithm: Algorithm::Ed25519, key: pair.public_key().as_ref().to_vec() }
            }
        }
    }

    /// The signature over these bytes. Ed25519 signs their hash (RFC 8463 section 3). `None`: it could not be made.
    pub(super) fn sign(&self, bytes: &[u8], random: &dyn SecureRandom) -> Option<Vec<u8>> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, bytes, &mut signature).ok()?;
                Some(signature)
            }
            Pair::Ed25519(pair) => Some(pair.sign(digest(&SHA256, bytes).as_ref()).as_ref().to_vec()),
        }
    }
}

fn from_pkcs8(der: &[u8]) -> Result<SigningKey, KeyError> {
    match RsaKeyPair::from_pkcs8(der).map_err(KeyError::from) {
        Ok(pair) => Ok(SigningKey(Pair::Rsa(Box::new(pair)))),
        // OpenSSL leaves the public half out.
        Err(KeyError::OtherAlgorithm) => {
            Ok(SigningKey(Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)?)))
        }
        Err(error) => Err(error),
    }
}

fn from_pkcs1(der: &[u8]) -> Result<SigningKey, KeyError> {
    Ok(SigningKey(Pair::Rsa(Box::new(RsaKeyPair::from_der(der)?))))
}
