//! Consent events: appended, folded into the state of every controller they concern, in one transaction.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::moment::micros;
use super::sending;
use crate::consent::event::{ConsentEvent, EventType, RecordedEvent};
use crate::consent::state::ContactState;
use crate::smtp::address::{EmailAddress, Width};

/// An objection through the link of somebody we have no row for: only the keyed hash of the address is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppress {
    pub controller: String,
    pub hash: [u8; 16],
    /// Empty: everything.
    pub topics: Vec<String>,
    pub at: Timestamp,
    pub mechanism: String,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub seq: i64,
    /// False: its id was known already, and nothing was written.
    pub fresh: bool,
}

/// Appends an event and brings the folded states up to date. Expects to be inside a transaction.
pub fn append(db: &Connection, event: &ConsentEvent, now: Timestamp) -> Result<Appended, StoreError> {
    if let Some(seq) = known_id(db, event)? {
        return Ok(Appended { seq, fresh: false });
    }
    let event = event.clone().learned_at(now);
    let contact = contact_of(db, &event.address)?;
    // The row needs the effective moment before it has a number; the moment does not depend on it.
    let mut recorded = RecordedEvent::new(0, event, now);
    recorded.seq = insert(db, contact, &recorded, now)?;
    for controller in concerned(&recorded.event) {
        add_to_state(db, controller, contact, &recorded)?;
    }
    remember_topics(db, &recorded.event)?;
    if recorded.event.kind == EventType::Erase {
        sending::forget(db, &recorded.event.address, Some(&recorded.event.controller))?;
    }
    Ok(Appended { seq: recorded.seq, fresh: true })
}

/// Keeps the newest moment for the same topics: a repeated objection is the same one, said again.
pub fn suppress(db: &Connection, objection: &Suppress) -> Result<(), StoreError> {
    let topics: BTreeSet<&String> = objection.topics.iter().collect();
    db.prepare_cached(
        "INSERT INTO suppression (controller, hash, topics, at, mechanism) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET at = max (at, excluded.at)",
    )?
    .execute(params![
        objection.controller,
        objection.hash,
        serde_json::to_string(&topics)?,
        micros(objection.at),
        objection.mechanism
    ])?;
    Ok(())
}

/// The controllers whose decisions an event may change: its own, and those its text names.
pub fn concerned(event: &ConsentEvent) -> BTreeSet<&str> {
    let partners = event.partners.iter().flatten().map(String::as_str);
    partners.chain([event.controller.as_str()]).collect()
}

fn known_id(db: &Connection, event: &ConsentEvent) -> Result<Option<i64>, StoreError> {
    let Some(id) = &event.id else { return Ok(None) };
    let mut known = db.prepare_cached("SELECT seq FROM event WHERE controller = ?1 AND external_id = ?2")?;
    Ok(known.query_row(params![event.controller, id], |row| row.get(0)).optional()?)
}

fn contact_of(db: &Connection, address: &EmailAddress) -> Result<i64, StoreError> {
    let key = address.consent_key();
    let mut known = db.prepare_cached("SELECT id FROM contact WHERE consent_key = ?1")?;
    if let Some(id) = known.query_row([&key], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    db.prepare_cached("INSERT INTO contact (consent_key, objection_key, address) VALUES (?1, ?2, ?3)")?
        .execute(params![key, address.objection_key(Width::WIDEST), address.as_str()])?;
    Ok(db.last_insert_rowid())
}

fn insert(db: &Connection, contact: i64, recorded: &RecordedEvent, now: Timestamp) -> Result<i64, StoreError> {
    let event = &recorded.event;
    db.prepare_cached(
        "INSERT INTO event (contact, controller, type, at, recorded_at, external_id, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        contact,
        event.controller,
        event.kind.as_str(),
        micros(recorded.at),
        micros(event.recorded_at.unwrap_or(now)),
        event.id,
        event.to_canonical_json()
    ])?;
    Ok(db.last_insert_rowid())
}

fn add_to_state(db: &Connection, controller: &str, contact: i64, recorded: &RecordedEvent) -> Result<(), StoreError> {
    let mut known = db.prepare_cached("SELECT facts FROM state WHERE controller = ?1 AND contact = ?2")?;
    let facts: Option<String> = known.query_row(params![controller, contact], |row| row.get(0)).optional()?;
    let mut state = match facts {
        Some(facts) => serde_json::from_str(&facts)?,
        None => ContactState { address: first_spelling(db, contact)?, events: Vec::new() },
    };
    state.add(recorded.clone());
    db.prepare_cached(
        "INSERT INTO state (controller, contact, facts) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET facts = excluded.facts",
    )?
    .execute(params![controller, contact, serde_json::to_string(&state)?])?;
    Ok(())
}

/// Which topics stored consent names, so that a policy that forgets one can be told of it.
fn remember_topics(db: &Connection, event: &ConsentEvent) -> Result<(), StoreError> {
    let mut seen = db.prepare_cached("INSERT OR IGNORE INTO topic_named (controller, topic) VALUES (?1, ?2)")?;
    for topic in event.topics.iter().flatten().filter(|topic| *topic != "*") {
        seen.execute(params![event.controller, topic])?;
    }
    Ok(())
}

/// Controller and topic of all that any stored event names.
pub fn topics_named(db: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let mut rows = db.prepare_cached("SELECT controller, topic FROM topic_named ORDER BY controller, topic")?;
    Ok(rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

fn first_spelling(db: &Connection, contact: i64) -> Result<EmailAddress, StoreError> {
    let mut known = db.prepare_cached("SELECT address FROM contact WHERE id = ?1")?;
    address(&known.query_row([contact], |row| row.get::<_, String>(0))?)
}

/// An address that was parsed before it was stored.
pub fn address(stored: &str) -> Result<EmailAddress, StoreError> {
    EmailAddress::parse(stored).map_err(|_| StoreError::Corrupt("a stored address is none".into()))
}
