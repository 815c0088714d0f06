//! Whether an event was recorded before: by the caller's id, and only if it says the same.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use super::error::StoreError;
use super::moment::{micros, moment};
use crate::consent::event::{ConsentEvent, EventType, RecordedEvent};
use crate::consent::import::UNPROVEN;
use crate::consent::state::ContactState;
use crate::consent::token::HashKeys;
use crate::smtp::address::Width;

/// What an event's id says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is new, and will be known by this hash.
    No { external: Option<[u8; 16]> },
    /// It is this one, said again.
    Same { seq: i64 },
    /// The id stands for this one, which says something else.
    Other { seq: i64 },
}

/// Fields that may differ in a retry: when it was told, by whom and where, with what else to show for it.
const BESIDE_THE_POINT: [&str; 6] = ["at", "recorded_at", "actor", "source", "evidence", "topics"];

/// Any of the keys that were ever in use may have made the hash, and an erased person's ids are known by it too: an old
/// file that comes again does not bring them back. An objection counts whatever its id stood for so far.
pub fn look_up(db: &Connection, keys: &HashKeys, event: &ConsentEvent, now: Timestamp) -> Result<Known, StoreError> {
    let Some(id) = &event.id else { return Ok(Known::No { external: None }) };
    let Some(stored) = find(db, keys, &event.controller, id)? else { return Ok(new(keys, event, id)) };
    if stored.is(event, keys, now)? {
        return Ok(Known::Same { seq: stored.seq });
    }
    if !counts_in_any_case(event.kind) {
        return Ok(Known::Other { seq: stored.seq });
    }
    if let Some(seq) = stands_already(db, event, now)? {
        return Ok(Known::Same { seq });
    }
    let id = id_of_its_own(event, id);
    let again = find(db, keys, &event.controller, &id)?;
    Ok(again.map_or_else(|| new(keys, event, &id), |stored| Known::Same { seq: stored.seq }))
}

fn new(keys: &HashKeys, event: &ConsentEvent, id: &str) -> Known {
    Known::No { external: keys.id_hashes(&event.controller, id).first().copied() }
}

fn counts_in_any_case(kind: EventType) -> bool {
    kind.is_objection() || kind == EventType::Erase
}

/// Made of all that tells it from the event that has its id: with the same file it comes to the same.
fn id_of_its_own(event: &ConsentEvent, id: &str) -> String {
    let (person, topics) = (event.address.consent_key(), topics_of(event.topics.as_deref()));
    serde_json::json!([id, event.kind, person, topics, event.at]).to_string()
}

/// An event that has the id.
struct Stored {
    seq: i64,
    kind: String,
    at: i64,
    recorded_at: i64,
    proof: Option<String>,
    consent_key: String,
    objection_key: String,
}

fn find(db: &Connection, keys: &HashKeys, controller: &str, id: &str) -> Result<Option<Stored>, StoreError> {
    let mut rows = db.prepare_cached(
        "SELECT seq, type, at, recorded_at, proof, consent_key, objection_key
         FROM event JOIN contact ON contact.id = event.contact WHERE controller = ?1 AND external = ?2",
    )?;
    for external in keys.id_hashes(controller, id) {
        let found = rows.query_row(params![controller, external], |row| {
            Ok(Stored {
                seq: row.get(0)?,
                kind: row.get(1)?,
                at: row.get(2)?,
                recorded_at: row.get(3)?,
                proof: row.get(4)?,
                consent_key: row.get(5)?,
                objection_key: row.get(6)?,
            })
        });
        if let Some(stored) = found.optional()? {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

impl Stored {
    /// What was dropped of it since is taken to be the same.
    fn is(&self, event: &ConsentEvent, keys: &HashKeys, now: Timestamp) -> Result<bool, StoreError> {
        if self.kind != event.kind.as_str() || !self.is_about(&event.address.consent_key(), keys) {
            return Ok(false);
        }
        let said: Map<String, Value> = match &self.proof {
            Some(proof) => serde_json::from_str(proof)?,
            None => return self.is_when(None, event, now),
        };
        let proof: Map<String, Value> = serde_json::from_str(&event.to_parts().proof)?;
        // Of which nothing is proven permits nothing, whatever else is said of it.
        if [&said, &proof].iter().all(|said| said.get("provenance").is_some_and(|from| from == UNPROVEN)) {
            return Ok(true);
        }
        let topics = said.get("topics").and_then(Value::as_array);
        let topics: Option<Vec<&str>> = topics.map(|list| list.iter().filter_map(Value::as_str).collect());
        Ok(topics_of(topics.as_deref()) == topics_of(event.topics.as_deref())
            && said.get("channel") == proof.get("channel")
            && (counts_in_any_case(event.kind) || to_the_point(&said) == to_the_point(&proof))
            && self.is_when(said.get("at").and_then(Value::as_str), event, now)?)
    }

    /// Whoever is forgotten stands under a pseudonym.
    fn is_about(&self, consent_key: &str, keys: &HashKeys) -> bool {
        self.consent_key == consent_key || keys.all_pseudonyms(consent_key).contains(&self.objection_key)
    }

    /// `said`: the moment that was claimed for it.
    fn is_when(&self, said: Option<&str>, event: &ConsentEvent, now: Timestamp) -> Result<bool, StoreError> {
        let Some(at) = event.at else { return Ok(true) };
        let claimed = match said.and_then(|said| said.parse().ok()) {
            Some(claimed) => claimed,
            None => moment(self.recorded_at)?,
        };
        let counts_from = RecordedEvent::new(0, event.clone(), now).at;
        Ok(at == claimed || micros(counts_from) == self.at)
    }
}

/// Lists without their order: an export has none.
fn to_the_point(said: &Map<String, Value>) -> Map<String, Value> {
    let told = said.iter().filter(|(field, _)| !BESIDE_THE_POINT.contains(&field.as_str()));
    let sorted = |value: &Value| match value {
        Value::Array(items) => {
            let items: BTreeSet<&str> = items.iter().filter_map(Value::as_str).collect();
            Value::from_iter(items)
        }
        value => value.clone(),
    };
    told.map(|(field, value)| (field.clone(), sorted(value))).collect()
}

/// None is everything, as `*` is.
fn topics_of<T: AsRef<str>>(topics: Option<&[T]>) -> BTreeSet<&str> {
    let topics: BTreeSet<&str> = topics.unwrap_or_default().iter().map(AsRef::as_ref).collect();
    if topics.contains("*") { BTreeSet::new() } else { topics }
}

/// The same objection, said before, that no yes said in between may have lifted. A yes of a relative counts: it is that
/// address which the objection said again is to reach.
fn stands_already(db: &Connection, event: &ConsentEvent, now: Timestamp) -> Result<Option<i64>, StoreError> {
    if !event.kind.is_objection() {
        return Ok(None);
    }
    let mut rows = db.prepare_cached(
        "SELECT consent_key, facts FROM contact JOIN state ON state.contact = contact.id
         WHERE objection_key = ?1 AND controller = ?2",
    )?;
    let family = params![event.address.objection_key(Width::WIDEST), event.controller];
    let family = rows.query_map(family, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let (mut said, mut yes) = (None, None);
    let said_at = RecordedEvent::new(0, event.clone(), now).at;
    for one in family.collect::<Result<Vec<_>, _>>()? {
        let (consent_key, state): (String, ContactState) = (one.0, serde_json::from_str(&one.1)?);
        for recorded in state.events {
            let same = recorded.event.kind == event.kind
                && recorded.event.controller == event.controller
                && recorded.event.channel == event.channel
                && topics_of(recorded.event.topics.as_deref()) == topics_of(event.topics.as_deref());
            let lifts = recorded.event.kind.is_opt_in() || recorded.event.kind == EventType::Undo;
            if lifts && recorded.happened_by() <= said_at {
                yes = yes.max(Some(recorded.happened_by()));
            } else if same && consent_key == event.address.consent_key() {
                said = said.max(Some((recorded.at, recorded.seq)));
            }
        }
    }
    Ok(said.filter(|(at, _)| yes.is_none_or(|yes| yes <= *at)).map(|(_, seq)| seq))
}
