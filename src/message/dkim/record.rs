//! What is published of a key: the TXT record below `_domainkey` (RFC 6376 section 3.6.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A character-string of the DNS.
const LONGEST_STRING: usize = 255;

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

    /// The same as a zone file takes it: strings of 255 octets at most (RFC 1035 section 3.3), which readers join.
    pub fn zone_record(&self) -> String {
        let record = self.record(); // ASCII
        let strings = (0..record.len()).step_by(LONGEST_STRING);
        let strings: Vec<String> =
            strings.map(|start| format!("\"{}\"", &record[start..record.len().min(start + LONGEST_STRING)])).collect();
        strings.join(" ")
    }

    /// Everything that keeps verifiers from using these TXT records for this key.
    pub fn differences(&self, published: &[String]) -> Vec<Difference> {
        let record = match published {
            [] => return vec![Difference::Missing],
            [one] => one,
            several => return vec![Difference::Several(several.len())],
        };
        let tags: Vec<(&str, String)> = record
            .split(';')
            .filter_map(|tag| tag.split_once('='))
            .map(|(name, value)| (name.trim(), value.split_whitespace().collect()))
            .collect();
        let tag = |wanted: &str| tags.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        let names = |list: &str, wanted: &[&str]| list.split(':').any(|name| wanted.contains(&name));
        let mut found = Vec::new();
        if tag("v").is_some_and(|version| version != "DKIM1") || tags.iter().skip(1).any(|(name, _)| *name == "v") {
            found.push(Difference::Version);
        }
        let kind = tag("k").unwrap_or("rsa");
        if kind != self.algorithm.key_type() {
            found.push(Difference::KeyType { published: kind.to_owned(), ours: self.algorithm });
        }
        match tag("p") {
            None => found.push(Difference::NoKey),
            Some("") => found.push(Difference::Revoked),
            Some(key) if STANDARD.decode(key).is_ok_and(|key| key == self.key) => {}
            Some(key) => found.push(Difference::OtherKey { is_whole: STANDARD.decode(key).is_ok() }),
        }
        if tag("h").is_some_and(|hashes| !names(hashes, &["sha256"])) {
            found.push(Difference::Hash);
        }
        if tag("s").is_some_and(|services| !names(services, &["*", "email"])) {
            found.push(Difference::Service);
        }
        if tag("t").is_some_and(|flags| names(flags, &["y"])) {
            found.push(Difference::Testing);
        }
        found
    }
}

/// The value of a record as somebody keeps it in a file: alone, or as a line of a zone file with its strings in quotes.
pub fn published(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() {
        return Vec::new();
    }
    let strings: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    vec![if strings.is_empty() { text.to_owned() } else { strings.concat() }]
}

/// What is wrong with a published record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Missing,
    Several(usize),
    Version,
    KeyType {
        published: String,
        ours: Algorithm,
    },
    NoKey,
    Revoked,
    OtherKey {
        /// Base64 that can be read; else it was cut or mistyped.
        is_whole: bool,
    },
    Hash,
    Service,
    Testing,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing => {
                out.write_str("there is no TXT record; publish the one `consentry dkim record` prints")
            }
            Difference::Several(count) => {
                write!(out, "there are {count} TXT records, and verifiers may take any; leave one")
            }
            Difference::Version => out.write_str("v= is not DKIM1, or not the first tag; begin with v=DKIM1"),
            Difference::KeyType { published, ours } => {
                write!(out, "k= is {published}, and the private key is {ours}; write k={ours}")
            }
            Difference::NoKey => out.write_str("p= is missing; add the public key"),
            Difference::Revoked => {
                out.write_str("p= is empty, which revokes the key; publish it again or take another")
            }
            Difference::OtherKey { is_whole: true } => out.write_str(
                "p= is another key than the private key's; publish the record of this one, or use the other file",
            ),
            Difference::OtherKey { is_whole: false } => {
                out.write_str("p= is no whole base64: it was cut or mistyped; a long record goes into several strings")
            }
            Difference::Hash => out.write_str("h= leaves sha256 out, with which everything is signed; drop h="),
            Difference::Service => out.write_str("s= leaves email out; drop s="),
            Difference::Testing => {
                out.write_str("t=y says that the domain is only testing, so verifiers treat mail as unsigned; drop it")
            }
        }
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
