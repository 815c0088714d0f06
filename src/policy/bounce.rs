//! Addresses that take no mail any more (E10).

use super::because::Sentence;
use super::life::is_contact;
use super::record::{self, Record};
use super::verdict::{Finding, Reason};
use crate::consent::event::{EventType, RecordedEvent};
use crate::smtp::status::EnhancedStatus;

/// What a refusal says about the address it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Nobody gets mail there, now or later.
    Hard,
    /// This message did not arrive; the address may be good.
    Soft,
    /// It cannot be told.
    Unclear,
}

/// Weighs an enhanced status code (RFC 3463), or without one the reply code. Only what speaks of the address itself is
/// hard: a refusal of the content, of the sender or of the moment says nothing about who lives there.
pub fn weigh(status: Option<EnhancedStatus>, reply_code: Option<u16>) -> Weight {
    let Some(status) = status else {
        return match reply_code {
            Some(400..=499) => Weight::Soft,
            _ => Weight::Unclear, // a bare 550 may be a spam filter's
        };
    };
    match (status.class, status.subject, status.detail) {
        (4, ..) => Weight::Soft,
        // No such mailbox, domain, or form of address; moved away; a domain that takes no mail (RFC 7505).
        (5, 1, 1 | 2 | 3 | 6 | 10) => Weight::Hard,
        // The mailbox is disabled.
        (5, 2, 1) => Weight::Hard,
        // Of the sender's address (RFC 3463 section 3.2), not of this one.
        (5, 1, 7..=9) => Weight::Soft,
        (5, 0 | 1, _) | (5, 2, 0) => Weight::Unclear,
        (5, ..) => Weight::Soft,
        _ => Weight::Unclear,
    }
}

/// Advertising to an address that bounced for good is withheld until the person shows that it lives. What bounced in one
/// controller's name says nothing to another: each keeps its own record of an address (section 1.1).
pub(super) fn dead(record: &Record<'_>) -> Option<Finding> {
    let events: Vec<&RecordedEvent> = record.own().collect();
    let bounced = events.iter().rposition(|recorded| is_hard_bounce(recorded))?;
    if events[bounced + 1..].iter().any(|recorded| shows_life(record, recorded)) {
        return None;
    }
    let because = record.fact(Sentence::BouncedForGood, events[bounced]);
    Some(Finding { events: vec![events[bounced].seq], ..Finding::block(Reason::AddrDead, because) })
}

fn is_hard_bounce(recorded: &RecordedEvent) -> bool {
    recorded.event.kind == EventType::Bounce && recorded.event.hard == Some(true)
}

/// An act of the person, whatever it says about consent.
fn shows_life(record: &Record<'_>, recorded: &RecordedEvent) -> bool {
    let acted = match recorded.event.kind {
        EventType::OptIn
        | EventType::OptInPending
        | EventType::OptInConfirmed
        | EventType::Frequency
        | EventType::Pause
        | EventType::ChannelPreference => !record::is_said_by_another(recorded),
        _ => is_contact(record.policy, recorded),
    };
    acted && record.has_happened(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_speaks_of_the_address_is_hard() {
        let table = [
            ("5.1.1", Some(550), Weight::Hard),
            ("5.1.2", None, Weight::Hard),
            ("5.1.3", Some(501), Weight::Hard),
            ("5.1.6", Some(551), Weight::Hard),
            ("5.1.10", Some(556), Weight::Hard),
            ("5.2.1", Some(550), Weight::Hard),
            ("5.1.0", Some(550), Weight::Unclear),
            ("5.0.0", Some(550), Weight::Unclear),
            ("5.2.0", None, Weight::Unclear),
            ("", Some(550), Weight::Unclear),
            ("", None, Weight::Unclear),
            ("2.0.0", Some(250), Weight::Unclear),
            ("5.1.8", Some(553), Weight::Soft),
            ("5.2.2", Some(552), Weight::Soft),
            ("5.3.4", Some(552), Weight::Soft),
            ("5.4.4", None, Weight::Soft),
            ("5.7.1", Some(550), Weight::Soft),
            ("5.7.26", Some(550), Weight::Soft),
            ("4.2.2", Some(452), Weight::Soft),
            ("4.1.1", Some(450), Weight::Soft),
            ("", Some(451), Weight::Soft),
        ];
        for (status, code, expected) in table {
            assert_eq!(weigh(EnhancedStatus::parse(status), code), expected, "{status} {code:?}");
        }
    }
}
