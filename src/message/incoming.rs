//! What a message to the gate itself is: a request to leave, a delivery report, a complaint report, or none of them.
//!
//! Everything in it may be forged. Nothing here believes anything: it says what stands there, and who acts on it asks
//! for a token that only we can seal, or for a message that we have sent.

mod complaint;
mod delivery;
mod fields;
mod parts;
mod request;
#[cfg(test)]
mod tests;
mod tokens;

pub use complaint::{ComplaintReport, Feedback};
pub use delivery::{Action, RecipientReport};
pub use request::UnsubscribeRequest;

use crate::message::head::{HeadLimits, MessageHead};
use crate::smtp::address::EmailAddress;
use parts::Parts;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Request(UnsubscribeRequest),
    Delivery {
        recipients: Vec<RecipientReport>,
        returned: Returned,
    },
    Complaint {
        report: ComplaintReport,
        returned: Returned,
    },
    /// An answer that a program gave: out of office, "has been read".
    Automatic,
    /// Somebody has to look at it.
    Unclear {
        why: Unclear,
        returned: Returned,
    },
}

/// What is known of the message that a report is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// What may be tokens in its list fields.
    pub tokens: Vec<String>,
    /// Without angle brackets.
    pub message_id: Option<String>,
}

/// Why a person has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// Its header section is beyond every limit.
    Header,
    /// It looks like a bounce and has no part for machines (RFC 3464).
    BounceWithoutReport,
    /// A delivery report that speaks of no recipient.
    ReportWithoutRecipient,
    /// A complaint report that does not say what it is.
    ComplaintWithoutType,
    /// A request to leave that came without a sender, as no person's does.
    RequestWithoutSender,
}

impl Unclear {
    pub fn as_str(self) -> &'static str {
        match self {
            Unclear::Header => "header",
            Unclear::BounceWithoutReport => "bounce_without_report",
            Unclear::ReportWithoutRecipient => "report_without_recipient",
            Unclear::ComplaintWithoutType => "complaint_without_type",
            Unclear::RequestWithoutSender => "request_without_sender",
        }
    }
}

/// Reads a message in wire form. `null_sender`: it came from `<>`, as reports do (RFC 5321 section 4.5.5).
pub fn read(wire: &[u8], null_sender: bool) -> Incoming {
    let Ok(head) = MessageHead::locate(wire, &HeadLimits::default()) else {
        return Incoming::Unclear { why: Unclear::Header, returned: Returned::default() };
    };
    let parts = parts::read(&head, wire);
    let mut returned = parts.returned.as_deref().map(returned).unwrap_or_default();
    if let Some(feedback) = &parts.feedback {
        return match complaint::read(feedback) {
            Some(report) => Incoming::Complaint { report, returned },
            None => Incoming::Unclear { why: Unclear::ComplaintWithoutType, returned },
        };
    }
    if let Some(status) = &parts.delivery_status {
        let recipients = delivery::read(status);
        if recipients.is_empty() {
            return Incoming::Unclear { why: Unclear::ReportWithoutRecipient, returned };
        }
        return Incoming::Delivery { recipients, returned };
    }
    if parts.disposition {
        return Incoming::Automatic;
    }
    let letter = Letter { head: &head, wire, parts: &parts, null_sender };
    if letter.is_bounce() {
        // What came back stands in the text of such a message (qmail's, for one).
        returned.tokens.extend(tokens::in_text(&parts.text));
        return Incoming::Unclear { why: Unclear::BounceWithoutReport, returned };
    }
    letter.read(returned)
}

/// Every address that is named in the message, its reports and what came back with it: for whom it is personal.
pub fn people(wire: &[u8]) -> Vec<EmailAddress> {
    let mut found = named_in(wire);
    if let Ok(head) = MessageHead::locate(wire, &HeadLimits::default()) {
        let parts = parts::read(&head, wire);
        found.extend(named_in(parts.text.as_bytes()));
        for part in [&parts.delivery_status, &parts.feedback, &parts.returned].into_iter().flatten() {
            found.extend(named_in(part));
        }
    }
    found.sort_by_key(EmailAddress::consent_key);
    found.dedup_by_key(|address| address.consent_key());
    found
}

/// So many addresses are looked for in each part.
const MOST_NAMED: usize = 500;

fn named_in(bytes: &[u8]) -> Vec<EmailAddress> {
    let text = String::from_utf8_lossy(bytes);
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\"'|/?&=".contains(c);
    let words = text.split(ends).filter(|word| word.contains('@'));
    words.take(MOST_NAMED).filter_map(|word| EmailAddress::parse(word.trim_matches('.')).ok()).collect()
}

fn returned(bytes: &[u8]) -> Returned {
    let Ok(head) = MessageHead::locate(bytes, &HeadLimits::default()) else { return Returned::default() };
    let message_id = head.fields(bytes).find(|field| field.is("Message-ID")).map(|field| field.unfolded());
    let bare = message_id.map(|id| id.trim_matches(|c: char| c == '<' || c == '>' || c.is_whitespace()).to_owned());
    Returned { tokens: tokens::in_list_fields(&head, bytes), message_id: bare.filter(|id| !id.is_empty()) }
}

/// A message without a part for machines.
struct Letter<'a> {
    head: &'a MessageHead,
    wire: &'a [u8],
    parts: &'a Parts,
    null_sender: bool,
}

impl Letter<'_> {
    fn field(&self, name: &str) -> Option<String> {
        self.head.fields(self.wire).find(|field| field.is(name)).map(|field| field.unfolded())
    }

    /// The keyword of Auto-Submitted (RFC 3834 section 5), unless it is `no`.
    fn auto_submitted(&self) -> Option<String> {
        let value = self.field("Auto-Submitted")?;
        let keyword = value.split([';', ' ', '(']).next().unwrap_or_default().to_ascii_lowercase();
        (keyword != "no").then_some(keyword)
    }

    /// An out-of-office answer, by the word for it or by those that programs used before there was one.
    fn is_reply_of_a_program(&self) -> bool {
        let older = ["X-Autoreply", "X-Autorespond", "X-Autoresponse"];
        self.auto_submitted().is_some_and(|keyword| keyword == "auto-replied")
            || older.iter().any(|name| self.field(name).is_some())
            || self.field("Precedence").is_some_and(|value| value.eq_ignore_ascii_case("auto_reply"))
    }

    fn is_bounce(&self) -> bool {
        let from = request::from(self.head, self.wire);
        let daemon = from.is_some_and(|from| from.local_part().eq_ignore_ascii_case("mailer-daemon"));
        let looks_so = self.null_sender && self.subject_tokens().is_empty();
        (daemon || looks_so) && !self.is_reply_of_a_program()
    }

    fn subject_tokens(&self) -> Vec<String> {
        request::subject_tokens(self.head, self.wire)
    }

    fn read(&self, returned: Returned) -> Incoming {
        let in_subject = self.subject_tokens();
        if self.is_reply_of_a_program() {
            return Incoming::Automatic;
        }
        if self.null_sender {
            let returned = Returned { tokens: in_subject, ..returned };
            return Incoming::Unclear { why: Unclear::RequestWithoutSender, returned };
        }
        let automatic = self.auto_submitted().is_some();
        if automatic && in_subject.is_empty() {
            return Incoming::Automatic;
        }
        let mut in_body = tokens::in_text(&self.parts.text);
        in_body.extend(returned.tokens);
        Incoming::Request(UnsubscribeRequest {
            from: request::from(self.head, self.wire),
            in_subject,
            in_body,
            automatic,
        })
    }
}
