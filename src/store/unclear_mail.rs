//! Mail to the gate that a person has to look at: kept for a while, erased with whomever it names.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::json;

use super::error::StoreError;
use super::events;
use super::ledger::{Chain, acts};
use super::moment::{micros, moment};
use crate::consent::event::ConsentEvent;

/// So many are kept; beyond that the oldest goes.
const MOST: i64 = 1000;

/// One message, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnclearMail {
    pub at: Timestamp,
    /// A word.
    pub why: String,
    pub controller: Option<String>,
    pub address: Option<String>,
    pub digest: [u8; 32],
    /// In wire form, cut off where it is long.
    pub message: Vec<u8>,
    /// Consent keys of everybody it names.
    pub people: Vec<String>,
}

/// One message as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnclearRow {
    pub id: i64,
    pub at: Timestamp,
    pub why: String,
    pub controller: Option<String>,
    pub address: Option<String>,
}

/// What an operator made of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution {
    pub id: i64,
    /// `object`, `bounce`, `complaint` or `nothing`.
    pub taken_as: String,
    pub by: String,
    pub event: Option<Box<ConsentEvent>>,
}

/// Its number; that of the first one where the same message came again.
pub fn keep(db: &Connection, mail: &UnclearMail) -> Result<i64, StoreError> {
    let mut known = db.prepare_cached("SELECT id FROM unclear_mail WHERE digest = ?1")?;
    if let Some(id) = known.query_row([mail.digest], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    db.prepare_cached(
        "INSERT INTO unclear_mail (at, why, controller, address, digest, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![micros(mail.at), mail.why, mail.controller, mail.address, mail.digest, mail.message])?;
    let id = db.last_insert_rowid();
    let mut name =
        db.prepare_cached("INSERT OR IGNORE INTO unclear_mail_person (mail, consent_key) VALUES (?1, ?2)")?;
    for key in &mail.people {
        name.execute(params![id, key])?;
    }
    // Bounces go before what may be somebody's wish.
    let dropped = drop_those(
        db,
        "id IN (SELECT id FROM unclear_mail
                ORDER BY why LIKE 'request%' OR why LIKE '%complaint%' OR why LIKE 'feedback%' DESC, id DESC
                LIMIT -1 OFFSET ?1)",
        MOST,
    )?;
    if dropped > 0 {
        tracing::warn!(dropped, "more unclear mail than is kept; see `consentry inbox list`");
    }
    Ok(id)
}

/// Drops what has waited too long; how many.
pub fn purge(db: &Connection, horizon: Timestamp) -> Result<i64, StoreError> {
    drop_those(db, "at < ?1", micros(horizon))
}

/// Everything that names the person.
pub fn forget(db: &Connection, consent_key: &str) -> Result<(), StoreError> {
    let mut named = db.prepare_cached("SELECT mail FROM unclear_mail_person WHERE consent_key = ?1")?;
    let mails: Vec<i64> = named.query_map([consent_key], |row| row.get(0))?.collect::<Result<_, _>>()?;
    mails.into_iter().try_for_each(|mail| drop_those(db, "id = ?1", mail).map(drop))
}

fn drop_those(db: &Connection, which: &str, value: i64) -> Result<i64, StoreError> {
    // Foreign keys may be off on this connection, so nothing is left to the cascade.
    let people = format!("DELETE FROM unclear_mail_person WHERE mail IN (SELECT id FROM unclear_mail WHERE {which})");
    db.prepare_cached(&people)?.execute([value])?;
    let dropped = db.prepare_cached(&format!("DELETE FROM unclear_mail WHERE {which}"))?.execute([value])?;
    Ok(i64::try_from(dropped).unwrap_or(i64::MAX))
}

/// What was decided about one: the event, the act that says by whom, and the message is gone. Its event's number, 0
/// without one; -1 when there is no such message, and nothing was done.
pub fn resolve(
    db: &Connection,
    chain: &mut Chain<'_>,
    resolution: &Resolution,
    now: Timestamp,
) -> Result<i64, StoreError> {
    if row(db, resolution.id)?.is_none() {
        return Ok(-1);
    }
    let event = resolution.event.as_ref().map(|event| events::append(db, chain, event, now)).transpose()?;
    let seq = event.map_or(0, |appended| appended.seq);
    let body = json!({
        "mail": resolution.id, "taken_as": resolution.taken_as, "by": resolution.by,
        "event": event.map(|appended| appended.seq),
    });
    acts::record(db, chain, acts::RESOLUTION, &body, now)?;
    drop_those(db, "id = ?1", resolution.id)?;
    Ok(seq)
}

/// The oldest first.
pub fn list(db: &Connection) -> Result<Vec<UnclearRow>, StoreError> {
    let mut rows = db.prepare_cached("SELECT id, at, why, controller, address FROM unclear_mail ORDER BY id")?;
    let found = rows.query_map([], columns)?.collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(told).collect()
}

/// One with its message.
pub fn show(db: &Connection, id: i64) -> Result<Option<(UnclearRow, Vec<u8>)>, StoreError> {
    let Some(found) = row(db, id)? else { return Ok(None) };
    let mut message = db.prepare_cached("SELECT message FROM unclear_mail WHERE id = ?1")?;
    Ok(Some((found, message.query_row([id], |row| row.get(0))?)))
}

fn row(db: &Connection, id: i64) -> Result<Option<UnclearRow>, StoreError> {
    let mut row = db.prepare_cached("SELECT id, at, why, controller, address FROM unclear_mail WHERE id = ?1")?;
    row.query_row([id], columns).optional()?.map(told).transpose()
}

type Columns = (i64, i64, String, Option<String>, Option<String>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn told((id, at, why, controller, address): Columns) -> Result<UnclearRow, StoreError> {
    Ok(UnclearRow { id, at: moment(at)?, why, controller, address })
}
