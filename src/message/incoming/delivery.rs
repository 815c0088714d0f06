//! Delivery reports (RFC 3464): what became of a message, recipient by recipient.

use super::fields::{self, Group};
use crate::smtp::address::EmailAddress;
use crate::smtp::status::EnhancedStatus;

/// So many recipients of one report are looked at.
const MOST_RECIPIENTS: usize = 100;

/// What a report says of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientReport {
    /// To whom it was sent, as far as that can be read.
    pub original: Option<EmailAddress>,
    /// To whom it was going in the end: after forwarding somebody else's address, often.
    pub last: Option<EmailAddress>,
    pub action: Action,
    pub status: Option<EnhancedStatus>,
    /// The three digits of the SMTP reply that is quoted.
    pub reply_code: Option<u16>,
}

/// RFC 3464 section 2.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Failed,
    Delayed,
    Delivered,
    Relayed,
    Expanded,
    /// None, or none of these.
    Unknown,
}

impl Action {
    fn parse(value: &str) -> Action {
        let word = value.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty()).unwrap_or_default();
        match word.to_ascii_lowercase().as_str() {
            "failed" | "failure" => Action::Failed,
            "delayed" => Action::Delayed,
            "delivered" => Action::Delivered,
            "relayed" => Action::Relayed,
            "expanded" => Action::Expanded,
            _ => Action::Unknown,
        }
    }
}

/// Everything a `message/delivery-status` says of recipients.
pub(super) fn read(content: &[u8]) -> Vec<RecipientReport> {
    let groups = fields::groups(content);
    groups.iter().filter(|group| is_about_a_recipient(group)).take(MOST_RECIPIENTS).map(recipient).collect()
}

/// The first group is about the message; some programs write but one.
fn is_about_a_recipient(group: &Group) -> bool {
    ["Final-Recipient", "Original-Recipient", "Action"].iter().any(|name| group.first(name).is_some())
}

fn recipient(group: &Group) -> RecipientReport {
    let diagnostic = group.first("Diagnostic-Code").unwrap_or_default();
    let told = group.first("Status").and_then(EnhancedStatus::parse);
    let quoted = EnhancedStatus::find(diagnostic);
    RecipientReport {
        original: group.first("Original-Recipient").and_then(fields::typed_address),
        last: group.first("Final-Recipient").and_then(fields::typed_address),
        action: group.first("Action").map_or(Action::Unknown, Action::parse),
        status: more_telling(told, quoted),
        reply_code: reply_code(diagnostic),
    }
}

/// `5.0.0` says no more than "failed": then what the other server said tells more.
fn more_telling(told: Option<EnhancedStatus>, quoted: Option<EnhancedStatus>) -> Option<EnhancedStatus> {
    let is_general = told.is_none_or(|status| status.detail == 0);
    let is_of_its_class = quoted.is_some_and(|quoted| told.is_none_or(|told| told.class == quoted.class));
    if is_general && is_of_its_class { quoted } else { told }
}

/// `smtp; 550 5.1.1 …`: the first three digits that may be a reply code.
fn reply_code(diagnostic: &str) -> Option<u16> {
    let (kind, text) = diagnostic.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("smtp") {
        return None;
    }
    let code = text.trim_start().get(..3)?;
    let is_code = code.bytes().all(|byte| byte.is_ascii_digit()) && (code.starts_with(['4', '5']));
    is_code.then(|| code.parse().ok()).flatten()
}
