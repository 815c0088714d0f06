//! A person who has another address now: what was said under the old one and goes along.

use super::answer::{Said, event, objection};
use super::{Whom, preferences};
use crate::consent::event::{ConsentEvent, EventType};
use crate::policy::verdict::Basis;

/// From one mailbox to another, both proven to be the same person's.
pub struct Moving<'a> {
    pub from: Whom<'a>,
    /// The new address; what is known of it already plays no part.
    pub to: Whom<'a>,
    /// Topics agreed to under the old address that the person ticked for the new one.
    pub agreed: &'a [String],
}

/// The topics whose consent may go along, if the person says so.
pub fn consents_to_move(from: &Whom<'_>) -> Vec<String> {
    let topics = preferences(from).topics.into_iter();
    topics.filter(|topic| topic.basis == Some(Basis::OptIn)).map(|topic| topic.path).collect()
}

impl Moving<'_> {
    /// Every no goes along, on every channel, for it was the person's and not the mailbox's. A yes goes along where it is
    /// said again. Purchases do not: who bought gave the seller the other address. Under the old address nothing more is
    /// wanted.
    pub fn events(&self, said: &Said<'_>) -> Vec<ConsentEvent> {
        let mut events = self.objections(said);
        let may_move = consents_to_move(&self.from);
        let agreed: Vec<String> = may_move.into_iter().filter(|topic| self.agreed.contains(topic)).collect();
        if !agreed.is_empty() {
            let mechanism = Some("preference_centre".to_owned());
            events.push(ConsentEvent { topics: Some(agreed), mechanism, ..event(&self.to, said, EventType::OptIn) });
        }
        events.push(objection(&self.from, said, EventType::Object, None));
        events
    }

    fn objections(&self, said: &Said<'_>) -> Vec<ConsentEvent> {
        let old = preferences(&self.from);
        let objected: Vec<String> = old.topics.iter().filter(|t| t.objected).map(|t| t.path.clone()).collect();
        let by_mail = match (old.left, objected.is_empty()) {
            (true, _) => Some(objection(&self.to, said, EventType::Object, None)),
            (false, false) => Some(objection(&self.to, said, EventType::Object, Some(objected))),
            (false, true) => None,
        };
        let known = self.from.consulted.exact.iter().flat_map(|state| &state.events);
        let elsewhere = known.filter(|known| {
            let event = &known.event;
            event.kind.is_objection() && event.controller == self.from.controller && event.channel != "email"
        });
        let elsewhere = elsewhere.map(|known| ConsentEvent {
            channel: known.event.channel.clone(),
            ..objection(&self.to, said, EventType::Object, known.event.topics.clone())
        });
        by_mail.into_iter().chain(elsewhere).collect()
    }
}
