//! Parameters of MAIL and RCPT (R8): each known one at most once and with a good value; the exact text goes on to
//! upstream.

use super::CommandError;

/// The body types that are carried. BINARYMIME never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    SevenBit,
    EightBitMime,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// A number too large to count is the largest one: it is over every limit.
    pub size: Option<u64>,
    pub body: Option<Body>,
    pub smtputf8: bool,
    pub ret: Option<String>,
    pub envid: Option<String>,
    pub auth: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {
    pub notify: Option<String>,
    pub orcpt: Option<String>,
}

impl MailParameters {
    /// The same for content that is so much longer (RFC 1870): it is still an estimate.
    pub fn for_content_grown_by(&self, octets: u64) -> MailParameters {
        MailParameters { size: self.size.map(|size| size.saturating_add(octets)), ..self.clone() }
    }

    pub(super) fn parse(text: &str) -> Result<MailParameters, CommandError> {
        let mut parameters = MailParameters::default();
        for (keyword, value) in words(text) {
            match keyword.to_ascii_uppercase().as_str() {
                "SIZE" => put(&mut parameters.size, size(checked(value, is_number)?))?,
                "BODY" => put(&mut parameters.body, body(value)?)?,
                "SMTPUTF8" if value.is_none() && !parameters.smtputf8 => parameters.smtputf8 = true,
                "SMTPUTF8" => return Err(CommandError::BadParameter),
                "RET" => put(&mut parameters.ret, checked(value, is_ret)?.to_owned())?,
                "ENVID" => put(&mut parameters.envid, checked(value, is_envid)?.to_owned())?,
                "AUTH" => put(&mut parameters.auth, checked(value, is_auth)?.to_owned())?,
                _ => return Err(CommandError::UnknownParameter),
            }
        }
        Ok(parameters)
    }

    /// As written behind a path, each with a leading space. SIZE is the caller's: the gate adds to the message.
    pub fn render(&self, size: Option<u64>) -> String {
        let mut text = String::new();
        if let Some(size) = size {
            text.push_str(&format!(" SIZE={size}"));
        }
        match self.body {
            Some(Body::SevenBit) => text.push_str(" BODY=7BIT"),
            Some(Body::EightBitMime) => text.push_str(" BODY=8BITMIME"),
            None => {}
        }
        if self.smtputf8 {
            text.push_str(" SMTPUTF8");
        }
        for (keyword, value) in [("RET", &self.ret), ("ENVID", &self.envid), ("AUTH", &self.auth)] {
            push(&mut text, keyword, value);
        }
        text
    }

    /// Otherwise MAIL needs SMTPUTF8 (RFC 6533 §3).
    pub fn is_ascii(&self) -> bool {
        self.auth.as_deref().is_none_or(str::is_ascii)
    }
}

impl RcptParameters {
    pub(super) fn parse(text: &str) -> Result<RcptParameters, CommandError> {
        let mut parameters = RcptParameters::default();
        for (keyword, value) in words(text) {
            match keyword.to_ascii_uppercase().as_str() {
                "NOTIFY" => put(&mut parameters.notify, checked(value, is_notify)?.to_owned())?,
                "ORCPT" => put(&mut parameters.orcpt, checked(value, is_orcpt)?.to_owned())?,
                _ => return Err(CommandError::UnknownParameter),
            }
        }
        Ok(parameters)
    }

    /// As written behind a path, each with a leading space.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (keyword, value) in [("NOTIFY", &self.notify), ("ORCPT", &self.orcpt)] {
            push(&mut text, keyword, value);
        }
        text
    }

    /// Otherwise the transaction needs SMTPUTF8 (RFC 6533 §3).
    pub fn is_ascii(&self) -> bool {
        self.orcpt.as_deref().is_none_or(str::is_ascii)
    }

    /// Whether the sender asked for no report about this recipient, whatever happens.
    pub fn never_notify(&self) -> bool {
        self.notify.as_deref().is_some_and(|value| value.eq_ignore_ascii_case("NEVER"))
    }
}

fn words(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(' ').filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    })
}

fn put<T>(slot: &mut Option<T>, value: T) -> Result<(), CommandError> {
    if slot.replace(value).is_none() { Ok(()) } else { Err(CommandError::BadParameter) }
}

fn push(text: &mut String, keyword: &str, value: &Option<String>) {
    if let Some(value) = value {
        text.push_str(&format!(" {keyword}={value}"));
    }
}

fn checked(value: Option<&str>, is_good: fn(&str) -> bool) -> Result<&str, CommandError> {
    value.filter(|value| is_good(value)).ok_or(CommandError::BadParameter)
}

/// RFC 1870 §3.
fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn size(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

fn body(value: Option<&str>) -> Result<Body, CommandError> {
    match value.unwrap_or_default().to_ascii_uppercase().as_str() {
        "7BIT" => Ok(Body::SevenBit),
        "8BITMIME" => Ok(Body::EightBitMime),
        "BINARYMIME" => Err(CommandError::UnknownParameter),
        _ => Err(CommandError::BadParameter),
    }
}

fn is_ret(text: &str) -> bool {
    text.eq_ignore_ascii_case("FULL") || text.eq_ignore_ascii_case("HDRS")
}

/// RFC 3461 §4.1.
fn is_notify(text: &str) -> bool {
    let events = ["SUCCESS", "FAILURE", "DELAY"];
    let is_event = |word: &str| events.iter().any(|event| word.eq_ignore_ascii_case(event));
    text.eq_ignore_ascii_case("NEVER") || text.split(',').all(is_event)
}

/// RFC 3461 §4.2.
fn is_orcpt(text: &str) -> bool {
    let is_type = |kind: &str| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.len() <= 500
        && text
            .split_once(';')
            .is_some_and(|(kind, address)| is_type(kind) && !address.is_empty() && is_xtext(address, true))
}

/// RFC 3461 §4.4.
fn is_envid(text: &str) -> bool {
    (1..=100).contains(&text.len()) && is_xtext(text, false)
}

/// RFC 4954 §5.
fn is_auth(text: &str) -> bool {
    text == "<>" || ((1..=500).contains(&text.len()) && is_xtext(text, true))
}

/// xtext of RFC 3461 §4 that decodes to printable characters only: what a report or log prints must not break lines.
fn is_xtext(text: &str, utf8: bool) -> bool {
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let good = match character {
            '+' => matches!((rest.next().and_then(upper_hex), rest.next().and_then(upper_hex)),
                (Some(high), Some(low)) if is_printable(high * 16 + low, utf8)),
            '=' => false,
            '!'..='~' => true,
            _ => utf8 && !character.is_ascii() && !character.is_control(), // RFC 6533 §3, utf-8-addr-unitext
        };
        if !good {
            return false;
        }
    }
    true
}

fn upper_hex(character: char) -> Option<u8> {
    let digit = character.to_digit(16).filter(|_| !character.is_ascii_lowercase())?;
    u8::try_from(digit).ok()
}

fn is_printable(byte: u8, utf8: bool) -> bool {
    (b' '..=b'~').contains(&byte) || (utf8 && byte >= 0x80)
}
