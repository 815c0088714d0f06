//! What a person's events come to: the folded states as they have to be, for comparing and for making anew.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::error::StoreError;
use super::events;
use super::moment::moment;
use crate::consent::event::{ConsentEvent, RecordedEvent};
use crate::consent::state::ContactState;
use crate::smtp::address::{EmailAddress, Width};

/// The events of a contact that can still be read.
pub struct Person {
    events: Vec<RecordedEvent>,
    /// The very first event is among them, and with it the first spelling of the address.
    from_the_start: bool,
}

/// None: nothing names the person any more.
pub fn person(db: &Connection, contact: i64) -> Result<Option<Person>, StoreError> {
    let mut rows =
        db.prepare_cached("SELECT seq, recorded_at, proof, personal FROM event WHERE contact = ?1 ORDER BY seq")?;
    let mut rows = rows.query([contact])?;
    let mut person = Person { events: Vec::new(), from_the_start: true };
    while let Some(row) = rows.next()? {
        let (proof, personal): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
        let (Some(proof), Some(personal)) = (proof, personal) else {
            person.from_the_start &= !person.events.is_empty();
            continue;
        };
        let event = ConsentEvent::from_parts(&proof, &personal)?;
        person.events.push(RecordedEvent::new(row.get(0)?, event, moment(row.get(1)?)?));
    }
    Ok((!person.events.is_empty()).then_some(person))
}

impl Person {
    /// Whether a contact's columns are what the events say.
    pub fn is_at(&self, address: &str, consent_key: &str, objection_key: &str) -> bool {
        let first = &self.events[0].event.address; // a person has one event at least
        let one = |recorded: &RecordedEvent| recorded.event.address.consent_key() == consent_key;
        let spelling = if self.from_the_start {
            first.as_str() == address
        } else {
            EmailAddress::parse(address).is_ok_and(|address| address.consent_key() == consent_key)
        };
        spelling && first.objection_key(Width::WIDEST) == objection_key && self.events.iter().all(one)
    }
}

/// By controller, as the store writes them.
pub fn states(person: &Person, address: &str) -> Result<Vec<(String, String)>, StoreError> {
    let address = events::address(address)?;
    let mut by_controller: BTreeMap<&str, Vec<RecordedEvent>> = BTreeMap::new();
    for recorded in &person.events {
        for controller in events::concerned(&recorded.event) {
            by_controller.entry(controller).or_default().push(recorded.clone());
        }
    }
    let folded = by_controller.into_iter().map(|(controller, events)| {
        let state = ContactState::fold(address.clone(), events);
        Ok((controller.to_owned(), serde_json::to_string(&state)?))
    });
    folded.collect()
}
