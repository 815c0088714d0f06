//! Mail addresses: what travels on the wire, and the keys under which consent and objections are looked up.
//!
//! The wire form is never changed. Keys fold away the spellings that mean the same mailbox: narrowly where a person's
//! yes is asked, widely where their no must be found.

mod keys;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use keys::{Width, domain_key};

/// RFC 5321 §4.5.3.1.1.
const LOCAL_PART_LIMIT: usize = 64;
/// RFC 5321 §4.5.3.1.2.
const DOMAIN_LIMIT: usize = 255;
/// A path is 256 octets with its angle brackets (RFC 5321 §4.5.3.1.3).
const MAILBOX_LIMIT: usize = 254;

/// A mailbox that is safe to write back onto the wire.
///
/// Invariant: matches `Mailbox` of RFC 5321 with the UTF-8 of RFC 6531, or is a bare `postmaster`; so no control byte,
/// no angle bracket outside quotes, and a domain that has an A-label form. Checked here, so nobody checks again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads a mailbox without its angle brackets. Comments and source routes are errors.
    pub fn parse(text: &str) -> Result<EmailAddress, AddressError> {
        Self::parse_within(text, LOCAL_PART_LIMIT)
    }

    fn parse_within(text: &str, local_part_limit: usize) -> Result<EmailAddress, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.eq_ignore_ascii_case("postmaster") {
            return Ok(EmailAddress(text.to_owned()));
        }
        let end = local_part_end(text)?;
        let Some(domain) = text[end..].strip_prefix('@') else {
            return Err(if end == text.len() { AddressError::NoDomain } else { AddressError::LocalPart });
        };
        if end > local_part_limit || text.len() > MAILBOX_LIMIT {
            return Err(AddressError::TooLong);
        }
        check_domain(domain)?;
        Ok(EmailAddress(text.to_owned()))
    }

    /// The wire form, byte for byte as written, without angle brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The local part as written, quotes included.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(self.0.as_str(), |(local, _)| local)
    }

    /// The domain as written; empty for a bare `postmaster`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The domain in lower case, as A-labels, without a trailing dot.
    pub fn domain_key(&self) -> String {
        keys::domain_key(self.domain())
    }

    /// The key under which a yes of this address is looked up: only spellings of the very same mailbox share it.
    pub fn consent_key(&self) -> String {
        keys::consent_key(self)
    }

    /// The key under which a no is looked up: mailboxes that may well be the same person's share it.
    pub fn objection_key(&self, width: Width) -> String {
        keys::objection_key(self, width)
    }

    /// Whether the local part may carry another address inside (`user%host`, `host!user`, `"user@host"`).
    pub fn hides_recipient(&self) -> bool {
        self.local_part().contains(['%', '!', '@'])
    }

    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        EmailAddress::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Where a message says failures are to be reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    Null,
    Mailbox(EmailAddress),
}

impl ReversePath {
    /// Reads a reverse-path without its angle brackets; the empty text is the null path.
    ///
    /// Its local part may be longer than 64 octets: VERP writes a whole recipient into it, and list managers do not count.
    pub fn parse(text: &str) -> Result<ReversePath, AddressError> {
        if text.is_empty() {
            return Ok(ReversePath::Null);
        }
        let address = EmailAddress::parse_within(text, MAILBOX_LIMIT)?;
        // A bare `postmaster` is a recipient only (RFC 5321 §4.1.1.3).
        if address.domain().is_empty() { Err(AddressError::NoDomain) } else { Ok(ReversePath::Mailbox(address)) }
    }

    /// The wire form without angle brackets; empty for the null path.
    pub fn as_str(&self) -> &str {
        self.mailbox().map_or("", EmailAddress::as_str)
    }

    pub fn mailbox(&self) -> Option<&EmailAddress> {
        match self {
            ReversePath::Null => None,
            ReversePath::Mailbox(address) => Some(address),
        }
    }

    pub fn is_null(&self) -> bool {
        *self == ReversePath::Null
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.as_str())
    }
}

impl Serialize for ReversePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ReversePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        ReversePath::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Why a text is no mailbox. Never holds the address itself: errors get logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    Empty,
    NoDomain,
    LocalPart,
    Domain,
    TooLong,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::Empty => "the address is empty",
            AddressError::NoDomain => "the address has no @domain",
            AddressError::LocalPart => "the part before the @ is not a valid local part",
            AddressError::Domain => "the part after the @ is not a valid domain",
            AddressError::TooLong => "the address is longer than a mailbox may be",
        })
    }
}

impl std::error::Error for AddressError {}

/// Where the local part ends: right behind its closing quote, or behind its last atom.
fn local_part_end(text: &str) -> Result<usize, AddressError> {
    let end = match text.strip_prefix('"') {
        Some(quoted) => 1 + quoted_string_end(quoted)?,
        None => text.find('@').unwrap_or(text.len()),
    };
    if !text.starts_with('"') && !is_dot_string(&text[..end]) {
        return Err(AddressError::LocalPart);
    }
    Ok(end)
}

/// Length of a quoted string behind its opening quote, closing quote included.
fn quoted_string_end(quoted: &str) -> Result<usize, AddressError> {
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok(index + 1),
            '\\' => match characters.next() {
                Some((_, ' '..='~')) => {}
                _ => return Err(AddressError::LocalPart),
            },
            ' '..='~' => {}
            _ if is_wide_text(character) => {}
            _ => return Err(AddressError::LocalPart),
        }
    }
    Err(AddressError::LocalPart)
}

/// `Dot-string` of RFC 5321, with UTF-8.
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character) || is_wide_text(character)
}

/// A non-ASCII character that breaks no line and moves no cursor.
fn is_wide_text(character: char) -> bool {
    !character.is_ascii() && !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}')
}

fn check_domain(domain: &str) -> Result<(), AddressError> {
    if domain.len() > DOMAIN_LIMIT {
        return Err(AddressError::TooLong);
    }
    if domain.starts_with('[') {
        return address_literal(domain).map(drop).ok_or(AddressError::Domain);
    }
    // A domain without an A-label form could not be looked up under one key, nor resolved by anybody.
    let name = keys::a_labels(domain).ok_or(AddressError::Domain)?;
    let valid = name.len() < DOMAIN_LIMIT && name.split('.').all(is_label);
    if valid { Ok(()) } else { Err(AddressError::Domain) }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` in its one canonical spelling.
fn address_literal(domain: &str) -> Option<String> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    if let Some((tag, address)) = inner.split_once(':')
        && tag.eq_ignore_ascii_case("ipv6")
    {
        return Some(format!("[ipv6:{}]", address.parse::<Ipv6Addr>().ok()?));
    }
    Some(format!("[{}]", inner.parse::<Ipv4Addr>().ok()?))
}
