//! Complaint reports (ARF, RFC 5965): somebody pressed "this is spam", or its mailbox provider says so.

use super::fields;
use crate::smtp::address::EmailAddress;

/// So many recipients are looked at.
const MOST_RECIPIENTS: usize = 20;

/// What the report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// `abuse`, `fraud`: the person does not want this.
    Complaint,
    /// `opt-out`, `unsubscribe`: the person asks to be left out.
    OptOut,
    /// `not-spam` (RFC 6430).
    NotSpam,
    /// `auth-failure` (RFC 6591) and `dmarc`: a machine speaks of signatures, nobody of advertising.
    Authentication,
    /// `virus`, `other`, and what nobody knows.
    Other,
}

impl Feedback {
    fn parse(value: &str) -> Feedback {
        match value.trim().to_ascii_lowercase().as_str() {
            "abuse" | "fraud" => Feedback::Complaint,
            "opt-out" | "opt-out-list" | "unsubscribe" => Feedback::OptOut,
            "not-spam" => Feedback::NotSpam,
            "auth-failure" | "dmarc" => Feedback::Authentication,
            _ => Feedback::Other,
        }
    }
}

/// A complaint report, as far as it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComplaintReport {
    pub feedback: Feedback,
    /// The reported recipients, where the provider names them.
    pub recipients: Vec<EmailAddress>,
}

/// `None`: it does not say what kind of report it is (RFC 5965 section 3.1), or says several.
pub(super) fn read(content: &[u8]) -> Option<ComplaintReport> {
    let groups = fields::groups(content);
    let all = |name: &'static str| groups.iter().flat_map(move |group| group.all(name).map(str::to_owned));
    let mut kinds: Vec<Feedback> = all("Feedback-Type").map(|value| Feedback::parse(&value)).collect();
    kinds.dedup();
    let [feedback] = kinds.as_slice() else { return None };
    let named = all("Original-Rcpt-To").chain(all("Removal-Recipient"));
    let mut recipients: Vec<EmailAddress> = Vec::new();
    for address in named.filter_map(|value| fields::typed_address(&value)).take(MOST_RECIPIENTS) {
        if !recipients.contains(&address) {
            recipients.push(address);
        }
    }
    Some(ComplaintReport { feedback: feedback.clone(), recipients })
}
