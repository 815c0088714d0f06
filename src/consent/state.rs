//! Events folded into what is known of a person.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::RecordedEvent;
use crate::smtp::address::EmailAddress;

/// Everything one controller's decisions need to know about one address.
///
/// Invariant: the events stand in the order in which they count, however they came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContactState {
    /// As it was first written.
    pub address: EmailAddress,
    /// By the moment they count from; on a tie an objection comes last, for it wins; then as they were recorded.
    pub events: Vec<RecordedEvent>,
}

impl ContactState {
    /// Puts events in order; one that is there twice counts once.
    pub fn fold(address: EmailAddress, mut events: Vec<RecordedEvent>) -> ContactState {
        events.sort_by_key(place);
        events.dedup_by_key(|recorded| recorded.seq);
        ContactState { address, events }
    }

    /// The same as folding all events anew with this one among them.
    pub fn add(&mut self, recorded: RecordedEvent) {
        if self.events.iter().any(|known| known.seq == recorded.seq) {
            return;
        }
        let position = self.events.partition_point(|known| place(known) < place(&recorded));
        self.events.insert(position, recorded);
    }

    /// What was known when only events up to `seq` had been recorded.
    pub fn as_of(mut self, seq: i64) -> ContactState {
        self.events.retain(|recorded| recorded.seq <= seq);
        self
    }
}

fn place(recorded: &RecordedEvent) -> (Timestamp, bool, i64) {
    (recorded.at, recorded.event.kind.is_objection(), recorded.seq)
}

/// What the store says about one recipient for one controller: the exact address, and everyone who shares its widest
/// objection key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consulted {
    pub exact: Option<ContactState>,
    pub relatives: Vec<ContactState>,
    /// 0: nobody we know.
    pub contact_id: i64,
    pub suppressed: Option<Suppression>,
    /// Mail in the controller's name to exactly this address that upstream took or may have taken, the oldest first.
    pub sent: Vec<Sent>,
    /// The number of the last change to what was sent that this could see.
    pub sent_seq: i64,
    /// Wordings that events of the exact address name and that are not in the store.
    pub missing_texts: BTreeSet<String>,
}

impl Consulted {
    /// As if this message had never been tried: a retry is judged as the first attempt was.
    pub fn forget_attempt(&mut self, attempt: &[u8; 32]) {
        self.sent.retain(|sent| sent.attempt.as_ref() != Some(attempt));
    }
}

/// An earlier message to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: Timestamp,
    /// Judged as advertising: caps count it.
    pub promotional: bool,
    pub topics: Vec<String>,
    pub kinds: Vec<String>,
    /// Stands for the message as long as the client may try it again: a retry takes no second place.
    pub attempt: Option<[u8; 32]>,
}

impl Sent {
    pub fn is_of_kind(&self, kind: &str) -> bool {
        self.kinds.iter().any(|own| own == kind)
    }
}

/// An objection of somebody of whom only a keyed hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    pub at: Timestamp,
    /// Empty or `*`: everything.
    pub topics: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::event::{ConsentEvent, EventType};
    use proptest::prelude::*;

    fn recorded(seq: i64, kind: EventType, at: i64) -> RecordedEvent {
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let event = ConsentEvent { at: Timestamp::from_second(at).ok(), ..ConsentEvent::new(anna, "c", kind) };
        RecordedEvent::new(seq, event, Timestamp::from_second(1000).unwrap())
    }

    fn any_events() -> impl Strategy<Value = Vec<RecordedEvent>> {
        let one = (proptest::sample::select(EventType::ALL.to_vec()), 0i64..8);
        proptest::collection::vec(one, 0..12).prop_map(|list| {
            list.into_iter().enumerate().map(|(seq, (kind, at))| recorded(seq as i64 + 1, kind, at)).collect()
        })
    }

    proptest! {
        #[test]
        fn the_fold_does_not_depend_on_the_order_of_arrival(events in any_events(), shuffled in any::<prop::sample::Index>()) {
            let anna = EmailAddress::parse("anna@x.example").unwrap();
            let mut turned = events.clone();
            if !turned.is_empty() {
                let by = shuffled.index(turned.len());
                turned.rotate_left(by);
                turned.reverse();
            }
            let folded = ContactState::fold(anna.clone(), events);
            prop_assert_eq!(&folded, &ContactState::fold(anna.clone(), turned.clone()));

            let mut grown = ContactState { address: anna, events: Vec::new() };
            for event in turned.iter().chain(&turned) {
                grown.add(event.clone());
            }
            prop_assert_eq!(folded, grown);
        }
    }

    #[test]
    fn at_the_same_moment_the_objection_comes_last_whatever_its_number() {
        let (objection, consent) = (recorded(1, EventType::Object, 5), recorded(2, EventType::OptIn, 5));
        let folded = ContactState::fold(objection.event.address.clone(), vec![objection, consent]);
        assert_eq!(folded.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn what_was_recorded_later_is_not_in_an_earlier_state() {
        let events = vec![recorded(1, EventType::OptIn, 5), recorded(2, EventType::Object, 1)];
        let then = ContactState::fold(events[0].event.address.clone(), events).as_of(1);
        assert_eq!(then.events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1]);
    }
}
