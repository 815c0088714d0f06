//! What is over its retention: found by readers, dropped by the writer in slices, and recorded.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::erasure::is_pseudonym;
use super::error::StoreError;
use super::events;
use super::ledger::{Chain, acts};
use super::moment::micros;
use crate::consent::ledger::dropped::{Dropped, Part};
use crate::consent::ledger::entry::commitment;
use crate::consent::token::HashKeys;
use crate::smtp::address::EmailAddress;

/// Somebody of whom one controller knows something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub contact: i64,
    pub controller: String,
    pub address: EmailAddress,
}

impl Known {
    /// Where the next page begins.
    pub fn place(&self) -> (i64, String) {
        (self.contact, self.controller.clone())
    }
}

/// For a progress bar.
pub fn known_count(db: &Connection) -> Result<u64, StoreError> {
    Ok(db.query_row("SELECT count (*) FROM state", [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

/// A page of everybody at every controller, in the order of their rows.
pub fn known_after(db: &Connection, after: Option<&(i64, String)>, limit: usize) -> Result<Vec<Known>, StoreError> {
    let (contact, controller) = after.map_or((0, ""), |(contact, controller)| (*contact, controller.as_str()));
    let mut rows = db.prepare_cached(
        "SELECT state.contact, state.controller, contact.address
         FROM state JOIN contact ON contact.id = state.contact
         WHERE (state.contact, state.controller) > (?1, ?2) ORDER BY state.contact, state.controller LIMIT ?3",
    )?;
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
    let found = rows.query_map(params![contact, controller, limit], columns)?.collect::<Result<Vec<_>, _>>()?;
    let known = |(contact, controller, address): (i64, String, String)| {
        Ok(Known { contact, controller, address: events::address(&address)? })
    };
    found.into_iter().map(known).collect()
}

/// Events of people forgotten whose proof nothing has relied on since; their numbers, in order, behind `after`.
pub fn proofs_unused_since(
    db: &Connection,
    keys: &HashKeys,
    horizon: Timestamp,
    after: i64,
    limit: usize,
) -> Result<Vec<i64>, StoreError> {
    let mut rows = db.prepare_cached(
        "SELECT seq FROM event
         WHERE personal IS NULL AND proof IS NOT NULL AND min (at, recorded_at) < ?1 AND seq > ?2 ORDER BY seq",
    )?;
    let mut rows = rows.query(params![micros(horizon), after])?;
    let mut unused = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        if !is_used(db, keys, seq, horizon)? {
            unused.push(seq);
        }
        if unused.len() == limit {
            break;
        }
    }
    Ok(unused)
}

/// Whether a decision since then relied on the event. The journal knows whoever is forgotten by a pseudonym.
fn is_used(db: &Connection, keys: &HashKeys, seq: i64, horizon: Timestamp) -> Result<bool, StoreError> {
    let mut whose = db.prepare_cached(
        "SELECT contact.consent_key, contact.objection_key FROM event JOIN contact ON contact.id = event.contact
         WHERE event.seq = ?1",
    )?;
    let found = whose.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((consent_key, objection_key)): Option<(String, String)> = found else { return Ok(true) };
    let names = if is_pseudonym(&objection_key) { vec![objection_key] } else { keys.all_pseudonyms(&consent_key) };
    let mut relied = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM decision, json_each (decision.events)
             WHERE decision.recipient_key = ?1 AND decision.at >= ?2 AND json_each.value = ?3)",
    )?;
    for name in names {
        if relied.query_row(params![name, micros(horizon), seq], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Drops the proofs of these events, of those of them that are still unused, and records which.
pub fn drop_proofs(
    db: &Connection,
    chain: &mut Chain<'_>,
    seqs: &[i64],
    horizon: Timestamp,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let mut dropped = Dropped::default();
    let mut kept = db.prepare_cached(
        "SELECT proof, proof_salt FROM event WHERE seq = ?1 AND personal IS NULL AND proof IS NOT NULL",
    )?;
    let mut drop_part =
        db.prepare_cached("UPDATE event SET proof = NULL, proof_salt = NULL, proof_digest = ?2 WHERE seq = ?1")?;
    for seq in seqs {
        let parts =
            kept.query_row([seq], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))).optional()?;
        let Some((proof, salt)) = parts else { continue };
        if is_used(db, &chain.keys.hash, *seq, horizon)? {
            continue;
        }
        drop_part.execute(params![seq, commitment(&salt, &proof)])?;
        dropped.add(Part::EventProof, *seq);
    }
    record(db, chain, "evidence_retention", horizon, &dropped, now)?;
    Ok(dropped.count(Part::EventProof))
}

/// Drops marks of objections from before `horizon`, at most `limit` of them, and records which.
pub fn purge_suppressions(
    db: &Connection,
    chain: &mut Chain<'_>,
    horizon: Timestamp,
    limit: usize,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let mut dropped = Dropped::default();
    let mut gone = db.prepare_cached(
        "DELETE FROM suppression WHERE (controller, hash, topics) IN (
             SELECT controller, hash, topics FROM suppression WHERE at < ?1 LIMIT ?2)
         RETURNING act",
    )?;
    let mut rows = gone.query(params![micros(horizon), limit])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        dropped.add(Part::Suppression, row.get(0)?);
        count += 1;
    }
    record(db, chain, "suppression_retention", horizon, &dropped, now)?;
    Ok(count)
}

fn record(
    db: &Connection,
    chain: &mut Chain<'_>,
    rule: &str,
    horizon: Timestamp,
    dropped: &Dropped,
    now: Timestamp,
) -> Result<(), StoreError> {
    if dropped.is_empty() {
        return Ok(());
    }
    let body = json!({"rule": rule, "before": micros(horizon), "dropped": dropped});
    acts::record(db, chain, acts::PURGE, &body, now).map(drop)
}

pub fn suppressions_before(db: &Connection, horizon: Timestamp) -> Result<i64, StoreError> {
    Ok(db.query_row("SELECT count (*) FROM suppression WHERE at < ?1", [micros(horizon)], |row| row.get(0))?)
}

pub fn messages_before(db: &Connection, horizon: Timestamp) -> Result<i64, StoreError> {
    Ok(db.query_row("SELECT count (*) FROM message WHERE at < ?1", [micros(horizon)], |row| row.get(0))?)
}
