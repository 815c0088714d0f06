//! Addresses that take no mail any more (E10).

use super::because::Sentence;
use super::life::is_contact;
use super::record::{self, Record};
use super::verdict::{Finding, Reason};
use crate::consent::event::{EventType, RecordedEvent};

/// Advertising to an address that bounced for good is withheld until the person shows that it lives. What bounced in one
/// controller's name says nothing to another: each keeps its own record of an address (section 1.1).
pub fn dead(record: &Record<'_>) -> Option<Finding> {
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
