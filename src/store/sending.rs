//! What went to whom, as far as the next decision depends on it: advertising, which caps count, and notices of deletion,
//! of which only the first is service mail.
//!
//! A place is taken in the transaction that records its decision, and given back when the mail did not go. Taking,
//! giving back and the end of the client's right to try again are numbered in one sequence, so that a decision can be
//! told again later with exactly what it could see.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::deliveries;
use super::error::StoreError;
use super::journal::MessageRecord;
use super::moment::{micros, moment};
use crate::consent::limit::Window;
use crate::consent::state::Sent;
use crate::policy::decide::DELETION_NOTICE;
use crate::smtp::address::EmailAddress;

/// The places one message takes.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The number of the last change its decisions could see.
    pub seen: i64,
    /// Stands for the message: a retry finds the place of the first attempt by it.
    pub attempt: Option<[u8; 32]>,
    pub kinds: Vec<String>,
    pub taken: Vec<Place>,
}

/// One recipient's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub recipient: EmailAddress,
    /// Caps count it; else it is a notice of deletion as service mail.
    pub promotional: bool,
    /// How many the decision found free, this one included; `None`: as many as one likes.
    pub room: Option<u32>,
}

/// Until when a notice of deletion matters: for good.
const ALWAYS: i64 = i64::MAX;

/// How long a client may try again: as long as the delivery ledger knows its copies.
const RETRIED: SignedDuration = deliveries::KEPT;

/// What an earlier message means to a decision that may see the changes up to `?4`; also to one about the past.
pub const SENT: &str =
    "SELECT at, promotional, topics, kinds, CASE WHEN coalesce (confirmed > ?4, true) THEN attempt END
     FROM sending
     WHERE recipient_key = ?1 AND controller = ?2 AND matters_until >= ?3
         AND id <= ?4 AND coalesce (released > ?4, true)";

/// Places of one recipient that were taken after the change `?5` and are still held: those that caps count, or
/// those that count by their kind.
pub const TAKEN_SINCE: &str = "SELECT count (*) FROM sending
     WHERE recipient_key = ?1 AND controller = ?2 AND matters_until >= ?3
         AND id > ?5 AND released IS NULL AND iif (?4, promotional, NOT promotional OR matters_until = 9223372036854775807)";

/// The place that an earlier attempt at the same message holds.
pub const HELD: &str = "SELECT 1 FROM sending
     WHERE recipient_key = ?1 AND controller = ?2 AND matters_until >= ?3
         AND attempt = ?4 AND confirmed IS NULL AND released IS NULL";

/// Takes all places of a message or, when one of them is gone since its decision, none: then it is decided again.
pub fn take(db: &Connection, message: &MessageRecord) -> Result<(), StoreError> {
    let Some(controller) = &message.controller else { return Ok(()) };
    for place in &message.places.taken {
        take_one(db, message, controller, place)?;
    }
    Ok(())
}

fn take_one(db: &Connection, message: &MessageRecord, controller: &str, place: &Place) -> Result<(), StoreError> {
    let (key, at, places) = (place.recipient.consent_key(), micros(message.at), &message.places);
    if let Some(attempt) = &places.attempt {
        let mut held = db.prepare_cached(HELD)?;
        if held.exists(params![key, controller, at, attempt])? {
            return Ok(());
        }
    }
    if let Some(room) = place.room {
        let mut since = db.prepare_cached(TAKEN_SINCE)?;
        let taken: u32 =
            since.query_row(params![key, controller, at, place.promotional, places.seen], |row| row.get(0))?;
        if taken >= room {
            return Err(StoreError::PlaceTaken);
        }
    }
    let is_notice = places.kinds.iter().any(|kind| kind == DELETION_NOTICE);
    let matters_until = message.at.checked_add(Window::LONGEST).unwrap_or(Timestamp::MAX);
    db.prepare_cached(
        "INSERT INTO sending (recipient_key, controller, matters_until, at, reference, promotional, topics, kinds, attempt)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        key,
        controller,
        if is_notice { ALWAYS } else { micros(matters_until) },
        at,
        message.reference,
        place.promotional,
        serde_json::to_string(&message.topics)?,
        serde_json::to_string(&places.kinds)?,
        places.attempt,
    ])?;
    Ok(())
}

/// Gives back what a message holds for one recipient, or for all: it did not go.
pub fn release(db: &Connection, reference: &str, recipient: Option<&EmailAddress>) -> Result<(), StoreError> {
    let number = newest(db)? + 1;
    let released = match recipient {
        Some(recipient) => db
            .prepare_cached(
                "UPDATE sending SET released = ?1 WHERE reference = ?2 AND released IS NULL AND recipient_key = ?3",
            )?
            .execute(params![number, reference, recipient.consent_key()])?,
        None => db
            .prepare_cached(
                "UPDATE sending SET released = ?1 WHERE reference = ?2 AND released IS NULL AND recipient_key IN (
                     SELECT recipient_key FROM decision JOIN message ON message.id = decision.message
                     WHERE message.reference = ?2)",
            )?
            .execute(params![number, reference])?,
    };
    count(db, released, number)
}

/// The client knows how a message fared: the same bytes again are another message.
pub fn confirm(db: &Connection, attempt: &[u8; 32]) -> Result<(), StoreError> {
    let number = newest(db)? + 1;
    let mut open = db.prepare_cached("UPDATE sending SET confirmed = ?1 WHERE attempt = ?2 AND confirmed IS NULL")?;
    let confirmed = open.execute(params![number, attempt])?;
    count(db, confirmed, number)
}

/// A change that is no new row takes a number of the same sequence.
fn count(db: &Connection, changed: usize, number: i64) -> Result<(), StoreError> {
    if changed > 0 {
        db.prepare_cached("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'sending'")?.execute([number])?;
    }
    Ok(())
}

/// The number of the last change. SQLite keeps it for AUTOINCREMENT, so that it never comes again, whatever is dropped.
pub fn newest(db: &Connection) -> Result<i64, StoreError> {
    let mut last = db.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'sending'")?;
    Ok(last.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// The number of the last place that was taken before a moment.
pub fn newest_at(db: &Connection, at: Timestamp) -> Result<i64, StoreError> {
    let newest = "SELECT coalesce (max (id), 0) FROM sending WHERE at < ?1";
    Ok(db.query_row(newest, [micros(at)], |row| row.get(0))?)
}

/// What a decision at `now` has to know, as of the change `seen`; the oldest first.
pub fn to(
    db: &Connection,
    controller: &str,
    recipient_key: &str,
    now: Timestamp,
    seen: i64,
) -> Result<Vec<Sent>, StoreError> {
    let mut rows = db.prepare_cached(SENT)?;
    let mut rows = rows.query(params![recipient_key, controller, micros(now), seen])?;
    let mut sent = Vec::new();
    while let Some(row) = rows.next()? {
        let at = moment(row.get(0)?)?;
        let may_be_tried_again = now.duration_since(at) < RETRIED;
        sent.push(Sent {
            at,
            promotional: row.get(1)?,
            topics: serde_json::from_str(&row.get::<_, String>(2)?)?,
            kinds: serde_json::from_str(&row.get::<_, String>(3)?)?,
            attempt: row.get::<_, Option<[u8; 32]>>(4)?.filter(|_| may_be_tried_again),
        });
    }
    sent.sort_by_key(|sent| sent.at);
    Ok(sent)
}

/// Drops what is remembered of mail to one person in a controller's name, or in everybody's.
pub fn forget(db: &Connection, recipient: &EmailAddress, controller: Option<&str>) -> Result<usize, StoreError> {
    let mut known =
        db.prepare_cached("DELETE FROM sending WHERE recipient_key = ?1 AND controller = coalesce (?2, controller)")?;
    Ok(known.execute(params![recipient.consent_key(), controller])?)
}

/// Drops what no decision since `horizon` can have seen; at most `limit` rows, to keep the transaction short.
pub fn purge(db: &Connection, horizon: i64, limit: usize) -> Result<usize, StoreError> {
    let mut old = db.prepare_cached(
        "DELETE FROM sending WHERE id IN (SELECT id FROM sending WHERE matters_until < ?1 ORDER BY matters_until LIMIT ?2)",
    )?;
    Ok(old.execute(params![horizon, limit])?)
}
