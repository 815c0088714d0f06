//! Consent events: appended, folded into the state of every controller they concern, in one transaction.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::erasure::{self, Erase};
use super::error::StoreError;
use super::identity::{self, Known};
use super::ledger::{Chain, acts};
use super::moment::micros;
use crate::consent::event::{ConsentEvent, EventType, RecordedEvent};
use crate::consent::ledger::entry::{EventEntry, Kind};
use crate::consent::ledger::hex;
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
    /// False: it was recorded before, as its id tells, and nothing was written.
    pub fresh: bool,
    /// Its id stands for something else, and nothing was written either.
    pub differs: bool,
}

/// Appends an event and brings the folded states up to date; an `erase` is carried out. Expects to be inside a
/// transaction.
pub fn append(
    db: &Connection,
    chain: &mut Chain<'_>,
    event: &ConsentEvent,
    now: Timestamp,
) -> Result<Appended, StoreError> {
    let external = match identity::look_up(db, &chain.keys.hash, event, now)? {
        Known::Same { seq } => return Ok(Appended { seq, fresh: false, differs: false }),
        Known::Other { seq } => return Ok(Appended { seq, fresh: false, differs: true }),
        Known::No { external } => external,
    };
    let event = event.clone().learned_at(now);
    let contact = contact_of(db, chain, &event)?;
    // The row needs the effective moment before it has a number; the moment does not depend on it.
    let mut recorded = RecordedEvent::new(0, event, now);
    recorded.seq = insert(db, chain, contact, &recorded, external, now)?;
    if recorded.event.kind == EventType::Erase {
        let (person, controller) = (&recorded.event.address, recorded.event.controller.as_str());
        erasure::carry_out(db, chain, &Erase { contact, person, controller, event: recorded.seq }, now)?;
        return Ok(Appended { seq: recorded.seq, fresh: true, differs: false });
    }
    for controller in concerned(&recorded.event) {
        add_to_state(db, controller, contact, &recorded)?;
    }
    remember_topics(db, &recorded.event)?;
    Ok(Appended { seq: recorded.seq, fresh: true, differs: false })
}

/// Whether anything was recorded of a person behind this number, but that another controller forgets them too.
pub fn anything_since(db: &Connection, person: &EmailAddress, seq: i64) -> Result<bool, StoreError> {
    let mut newer = db.prepare_cached(
        "SELECT 1 FROM contact JOIN event ON event.contact = contact.id
         WHERE contact.consent_key = ?1 AND event.seq > ?2 AND event.type <> 'erase'",
    )?;
    Ok(newer.exists(params![person.consent_key(), seq])?)
}

/// All of them or none: none where anything was recorded after number `seen` of a person they are about, or of another
/// spelling of theirs, for it was not known when they were made. The number of the last.
pub fn append_all(
    db: &Connection,
    chain: &mut Chain<'_>,
    events: &[ConsentEvent],
    seen: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let mut newer = db.prepare_cached(
        "SELECT 1 FROM contact JOIN event ON event.contact = contact.id
         WHERE contact.objection_key = ?1 AND event.seq > ?2 LIMIT 1",
    )?;
    let people: BTreeSet<String> = events.iter().map(|event| event.address.objection_key(Width::WIDEST)).collect();
    for person in people {
        if newer.exists(params![person, seen])? {
            return Err(StoreError::Overtaken);
        }
    }
    events.iter().try_fold(0, |_, event| Ok(append(db, chain, event, now)?.seq))
}

/// Keeps the newest moment for the same topics: a repeated objection is the same one, said again.
pub fn suppress(
    db: &Connection,
    chain: &mut Chain<'_>,
    objection: &Suppress,
    now: Timestamp,
) -> Result<(), StoreError> {
    let topics = serde_json::to_string(&objection.topics.iter().collect::<BTreeSet<&String>>())?;
    let Suppress { controller, hash, at, mechanism, .. } = objection;
    let at = micros(*at);
    let mut known =
        db.prepare_cached("SELECT at FROM suppression WHERE controller = ?1 AND hash = ?2 AND topics = ?3")?;
    let newest: Option<i64> = known.query_row(params![controller, hash, topics], |row| row.get(0)).optional()?;
    if newest.is_some_and(|newest| newest >= at) {
        return Ok(());
    }
    let body = json!({"controller": controller, "hash": hex(hash), "topics": topics, "at": at, "mechanism": mechanism});
    let act = acts::record(db, chain, acts::SUPPRESSION, &body, now)?;
    db.prepare_cached(
        "INSERT INTO suppression (controller, hash, topics, at, mechanism, act) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET at = excluded.at, mechanism = excluded.mechanism, act = excluded.act",
    )?
    .execute(params![controller, hash, topics, at, mechanism, act])?;
    Ok(())
}

/// The controllers whose decisions an event may change: its own, and those its text names.
pub fn concerned(event: &ConsentEvent) -> BTreeSet<&str> {
    let partners = event.partners.iter().flatten().map(String::as_str);
    partners.chain([event.controller.as_str()]).collect()
}

fn contact_of(db: &Connection, chain: &Chain<'_>, event: &ConsentEvent) -> Result<i64, StoreError> {
    let (address, key) = (&event.address, event.address.consent_key());
    let mut known = db.prepare_cached("SELECT id FROM contact WHERE consent_key = ?1")?;
    if let Some(id) = known.query_row([&key], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    if event.kind == EventType::Erase {
        return erasure::forgotten_contact(db, &chain.keys.hash, &key);
    }
    db.prepare_cached("INSERT INTO contact (consent_key, objection_key, address) VALUES (?1, ?2, ?3)")?
        .execute(params![key, address.objection_key(Width::WIDEST), address.as_str()])?;
    Ok(db.last_insert_rowid())
}

fn insert(
    db: &Connection,
    chain: &mut Chain<'_>,
    contact: i64,
    recorded: &RecordedEvent,
    external: Option<[u8; 16]>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let event = &recorded.event;
    // The writer's own clock: what the event claims counts for its moment, and not for who could see it when.
    let (at, recorded_at) = (micros(recorded.at), micros(now));
    let external = external.as_ref().map(<[u8; 16]>::as_slice);
    let (controller, kind) = (event.controller.as_str(), event.kind.as_str());
    let parts = event.to_parts();
    let (proof_salt, proof) = chain.commit_to(&parts.proof)?;
    let (personal_salt, personal) = chain.commit_to(&parts.personal)?;
    db.prepare_cached(
        "INSERT INTO event (contact, controller, type, at, recorded_at, external, ledger, proof, proof_salt, personal,
             personal_salt)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        contact,
        controller,
        kind,
        at,
        recorded_at,
        external,
        chain.next(),
        parts.proof,
        proof_salt,
        parts.personal,
        personal_salt
    ])?;
    let row = db.last_insert_rowid();
    let entry = EventEntry { row, contact, controller, kind, at, recorded_at, external, proof, personal };
    chain.append(db, Kind::Event, row, &entry.to_json())?;
    Ok(row)
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
