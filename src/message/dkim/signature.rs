//! The DKIM-Signature field (RFC 6376 section 3.5).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;

use super::{BodyHash, SignedFields, SigningKey};
use crate::message::edit::InsertedField;

/// How much of `h=` or `b=` stands on a line.
const CHUNK: usize = 64;

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// `d=`.
    pub domain: &'a str,
    /// `s=`.
    pub selector: &'a str,
    pub key: &'a SigningKey,
}

/// The key gave no signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningError {
    pub domain: String,
    pub selector: String,
}

impl fmt::Display for SigningError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SigningError { domain, selector } = self;
        write!(out, "the DKIM key {selector}._domainkey.{domain} gives no signature; try `consentry dkim check`")
    }
}

impl std::error::Error for SigningError {}

impl Signer<'_> {
    /// The signature over these fields and this body. `at` is when it is made, in seconds since 1970.
    pub fn sign(
        &self,
        fields: &SignedFields,
        body: &BodyHash,
        at: i64,
        random: &dyn SecureRandom,
    ) -> Result<InsertedField, SigningError> {
        let mut parts = vec![
            "v=1;".to_owned(),
            format!("a={};", self.key.algorithm().signature_type()),
            "c=relaxed/relaxed;".to_owned(),
            format!("d={};", self.domain),
            format!("s={};", self.selector),
            format!("t={at};"),
        ];
        parts.extend(names(&fields.names));
        parts.push(format!("bh={};", STANDARD.encode(body)));
        // The parts are joined by blanks or by folds, which `relaxed` makes one.
        let signed = [&fields.canonical, format!("dkim-signature:{} b=", parts.join(" ")).as_bytes()].concat();
        let Some(signature) = self.key.sign(&signed, random) else {
            return Err(SigningError { domain: self.domain.to_owned(), selector: self.selector.to_owned() });
        };
        let signature = format!("b={}", STANDARD.encode(signature));
        parts.extend(chunks(&signature).map(str::to_owned));
        Ok(InsertedField::folded("DKIM-Signature", &parts))
    }
}

/// `h=` in parts that may be folded: white space is allowed behind a colon.
fn names(names: &[&str]) -> Vec<String> {
    let mut parts = vec!["h=".to_owned()];
    for (index, name) in names.iter().enumerate() {
        let end = if index + 1 == names.len() { ';' } else { ':' };
        let starts_a_line = parts.last().is_none_or(|part| part.len() + name.len() >= CHUNK);
        if starts_a_line {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(name);
            part.push(end);
        }
    }
    parts
}

/// White space is allowed anywhere in base64.
fn chunks(base64: &str) -> impl Iterator<Item = &str> {
    (0..base64.len()).step_by(CHUNK).map(|start| &base64[start..base64.len().min(start + CHUNK)])
}
