//! The notice to the sender about recipients who were withheld: a delivery status notification (RFC 3464).
//!
//! It names withheld recipients only, carries the header section and never the body, and everything
//! that came from outside is reduced to what cannot start a line, a field or a MIME part.

pub(super) mod encoding;
#[cfg(test)]
mod tests;

use jiff::Zoned;

use super::edit::InsertedField;
use super::trace::date;
use crate::smtp::address::EmailAddress;
use encoding::{dot_stuffed, quoted_printable, unstuffed, utf8_address_in_ascii, xtext_decoded};

/// More of the original header section than this is cut off.
const MOST_HEADER: usize = 64 * 1024;
/// Longest line of text before it is encoded (RFC 5322 section 2.1.1).
const LONGEST_LINE: usize = 998;

/// For recipients whom the policy withheld.
const WHAT_TO_DO: &str = "\r\n\
    Addresses that were withheld are fine: there is no need to remove them as\r\n\
    undeliverable. What you can do:\r\n\r\n\
    - Do not send the message again: the answer would be the same.\r\n\
    - If the person has agreed and it is not on record yet, record the\r\n\
    \x20 agreement with its proof. Later messages will then be passed on.\r\n\
    - If the message is no advertising but about an order, an account or\r\n\
    \x20 another thing the person asked for, say so: a rule can be added for it.\r\n";

/// One recipient the message was not passed on to.
#[derive(Clone, Debug)]
pub struct WithheldRecipient<'a> {
    pub address: &'a EmailAddress,
    /// The ORCPT parameter as the client gave it, still xtext.
    pub orcpt: Option<&'a str>,
    /// Enhanced status code, `5.7.1`.
    pub status: &'a str,
    pub cause: Cause<'a>,
}

/// Why a recipient got nothing.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// By the policy: the reason's code (`CONSENT_NONE`) and words.
    Withheld { reason: &'a str, sentence: &'a str },
    /// By the next server, in its words with the code in front.
    Refused { reply: &'a str },
}

/// A notice about one message; the caller sends it with the null reverse-path.
#[derive(Clone, Debug)]
pub struct Notice<'a> {
    pub hostname: &'a str,
    /// The envelope sender of the message.
    pub to: &'a EmailAddress,
    /// Finds the journal row.
    pub reference: &'a str,
    pub arrived: &'a Zoned,
    /// The ENVID parameter as the client gave it, still xtext.
    pub envid: Option<&'a str>,
    /// The header section in wire form.
    pub original_headers: &'a [u8],
    /// Of the notice, without angle brackets.
    pub message_id: &'a str,
    /// Unguessable, so that no header line can pose as a part.
    pub boundary: &'a str,
    pub withheld: &'a [WithheldRecipient<'a>],
}

impl Notice<'_> {
    /// Whether it must be sent with SMTPUTF8 (and BODY=8BITMIME): the sender's own address needs it.
    pub fn needs_smtputf8(&self) -> bool {
        !self.to.is_ascii()
    }

    /// The notice in wire form, without the final dot line.
    pub fn to_wire(&self) -> Vec<u8> {
        let headers = unstuffed(cut_at_line(self.original_headers, MOST_HEADER));
        let boundary = self.boundary_not_in(&headers);
        let mut notice = self.header(&boundary).into_bytes();
        for part in [self.explanation(), self.delivery_status(), self.returned(&headers)] {
            notice.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            notice.extend_from_slice(&part);
        }
        notice.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        dot_stuffed(&notice)
    }

    /// Starts with `=_`, which no quoted-printable text holds.
    fn boundary_not_in(&self, headers: &[u8]) -> String {
        let given = self.boundary.chars().filter(char::is_ascii_alphanumeric).take(40);
        let mut boundary: String = "=_".chars().chain(given).collect();
        while memchr::memmem::find(headers, boundary.as_bytes()).is_some() && boundary.len() < 70 {
            boundary.push('x');
        }
        boundary
    }

    fn header(&self, boundary: &str) -> String {
        let count = match self.withheld.len() {
            1 => "one recipient".to_owned(),
            several => format!("{several} recipients"),
        };
        let fields = [
            InsertedField::new("From", &format!("Mail gate <postmaster@{}>", self.hostname)),
            InsertedField::new("To", &format!("<{}>", self.to)),
            InsertedField::new("Subject", &format!("Your message was not passed on to {count}")),
            InsertedField::new("Date", &date(self.arrived)),
            InsertedField::new("Message-ID", &format!("<{}>", self.message_id)),
            InsertedField::new("Auto-Submitted", "auto-replied"),
            InsertedField::new("MIME-Version", "1.0"),
            InsertedField::folded(
                "Content-Type",
                &["multipart/report; report-type=delivery-status;", &format!("boundary=\"{boundary}\"")],
            ),
        ];
        fields.iter().map(InsertedField::to_wire).collect()
    }

    fn explanation(&self) -> Vec<u8> {
        let mut text = format!(
            "Hello,\r\n\r\n\
             this is the mail gate {}. Your message has arrived, but it was not\r\n\
             passed on to:\r\n\r\n",
            self.hostname
        );
        for recipient in self.withheld {
            let why = match recipient.cause {
                Cause::Withheld { reason, sentence } => format!("{} ({})", cleaned(sentence), cleaned(reason)),
                Cause::Refused { reply } => format!("the next server refused it: {}", cleaned(reply)),
            };
            text.push_str(&format!("  <{}>\r\n    {why}\r\n", recipient.address));
        }
        text.push_str("\r\nRecipients who are not listed here are not concerned.\r\n");
        if self.withheld.iter().any(|recipient| matches!(recipient.cause, Cause::Withheld { .. })) {
            text.push_str(WHAT_TO_DO);
        }
        text.push_str(&format!(
            "\r\nIf anything looks wrong, write to postmaster@{} and quote the\r\nreference {}.\r\n",
            self.hostname,
            cleaned(self.reference)
        ));
        part("text/plain; charset=utf-8", text.as_bytes())
    }

    fn delivery_status(&self) -> Vec<u8> {
        let mut status = self.status_field("Reporting-MTA", &format!("dns; {}", self.hostname));
        if let Some(envid) = self.envid {
            status.push_str(&self.status_field("Original-Envelope-Id", &xtext_decoded(envid)));
        }
        status.push_str(&self.status_field("Arrival-Date", &date(self.arrived)));
        for recipient in self.withheld {
            status.push_str("\r\n");
            status.push_str(&self.recipient_status(recipient));
        }
        let kind = if self.needs_smtputf8() { "message/global-delivery-status" } else { "message/delivery-status" };
        part_as_is(kind, status.as_bytes())
    }

    fn recipient_status(&self, recipient: &WithheldRecipient<'_>) -> String {
        let mut status = String::new();
        if let Some((kind, address)) = recipient.orcpt.and_then(|orcpt| orcpt.split_once(';')) {
            let original = format!("{kind}; {}", xtext_decoded(address));
            status.push_str(&self.status_field("Original-Recipient", &original));
        }
        let address = match (recipient.address.is_ascii(), self.needs_smtputf8()) {
            (true, _) => format!("rfc822; {}", recipient.address),
            (false, true) => format!("utf-8; {}", recipient.address),
            (false, false) => format!("utf-8; {}", utf8_address_in_ascii(recipient.address.as_str())),
        };
        let diagnostic = match recipient.cause {
            Cause::Withheld { reason, sentence } => {
                format!("smtp; 550 {} withheld: {sentence} ({reason}); ref {}", recipient.status, self.reference)
            }
            Cause::Refused { reply } => format!("smtp; {reply}"),
        };
        for (name, value) in [
            ("Final-Recipient", address.as_str()),
            ("Action", "failed"),
            ("Status", recipient.status),
            ("Diagnostic-Code", diagnostic.as_str()),
        ] {
            status.push_str(&self.status_field(name, value));
        }
        status
    }

    /// A field of the status part: ASCII unless the whole notice is UTF-8 (RFC 6533 section 3).
    fn status_field(&self, name: &str, value: &str) -> String {
        let shown = |character: char| if character.is_ascii() || self.needs_smtputf8() { character } else { '?' };
        let value: String = value.chars().map(shown).collect();
        let words: Vec<_> = value.split_whitespace().map(|word| &word[..word.floor_char_boundary(900)]).collect();
        InsertedField::folded(name, &words).to_wire()
    }

    /// The header section of the message (RFC 6522 section 4, RFC 6533 section 4).
    fn returned(&self, headers: &[u8]) -> Vec<u8> {
        let is_utf8 = !headers.is_ascii() && std::str::from_utf8(headers).is_ok();
        if self.needs_smtputf8() && is_utf8 && has_short_lines(headers) {
            return part_as_is("message/global-headers", headers);
        }
        part("text/rfc822-headers", headers)
    }
}

/// One line of text, at most 500 characters, nothing in it that could break out.
fn cleaned(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(500).collect()
}

fn cut_at_line(bytes: &[u8], most: usize) -> &[u8] {
    if bytes.len() <= most {
        return bytes;
    }
    &bytes[..memchr::memrchr(b'\n', &bytes[..most]).map_or(0, |at| at + 1)]
}

fn has_short_lines(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= LONGEST_LINE)
}

/// A MIME part, quoted-printable where its content does not fit into 7-bit lines.
fn part(kind: &str, content: &[u8]) -> Vec<u8> {
    if content.is_ascii() && has_short_lines(content) {
        return part_as_is(kind, content);
    }
    let head = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
    [head.as_bytes(), &quoted_printable(content)].concat()
}

fn part_as_is(kind: &str, content: &[u8]) -> Vec<u8> {
    let encoding = if content.is_ascii() { "7bit" } else { "8bit" };
    let head = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
    [head.as_bytes(), content].concat()
}
