//! Mail to the address of List-Unsubscribe (RFC 2369): a person, or its mail program, asks to leave.

use super::tokens;
use crate::message::head::MessageHead;
use crate::smtp::address::EmailAddress;

/// What a message says that may be a request to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubscribeRequest {
    /// Who it says it is from, if that is one address. Anybody can write it.
    pub from: Option<EmailAddress>,
    /// What may be tokens in its Subject.
    pub in_subject: Vec<String>,
    /// The same in its text, or in a message it brings along: one of ours that is quoted, say.
    pub in_body: Vec<String>,
    /// A program wrote it: without a token in its Subject it asks for nothing.
    pub automatic: bool,
}

/// One From field with one address, however the header section is read (RFC 5322 section 3.6.2).
pub(super) fn from(head: &MessageHead, wire: &[u8]) -> Option<EmailAddress> {
    let mut found: Option<EmailAddress> = None;
    for reading in head.readings(wire) {
        for field in reading.iter().filter(|field| field.is("From")) {
            let addresses = field.addresses();
            let [address] = addresses.as_slice() else { return None };
            let address = EmailAddress::parse(address).ok()?;
            if found.as_ref().is_some_and(|known| known.consent_key() != address.consent_key()) {
                return None;
            }
            found.get_or_insert(address);
        }
    }
    found
}

pub(super) fn subject_tokens(head: &MessageHead, wire: &[u8]) -> Vec<String> {
    let subjects = head.fields(wire).filter(|field| field.is("Subject"));
    subjects.flat_map(|field| tokens::in_field(&field.decoded())).collect()
}
