//! Who was asked by mail to confirm a request, and who is to be asked. A row is marked before its mail leaves, so that
//! nobody is asked twice whatever stops in between.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::StoreError;
use super::moment::{micros, moment};

/// One request and how often its person was asked to confirm it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The number of the event that asks to be confirmed.
    pub request: i64,
    /// Of the mail.
    pub language: String,
    /// Mails that were begun: 1 after the first, 2 after the reminder.
    pub sent: u8,
    /// When the next one is; `None`: there is none.
    pub due: Option<Timestamp>,
}

/// Written anew or in place of what was there; whether there is such an event. Who asks anew is not reminded of an
/// earlier request to the same controller.
pub fn keep(db: &Connection, asking: &Asking) -> Result<bool, StoreError> {
    let Asking { request, language, sent, due } = asking;
    let kept = db
        .prepare_cached(
            "INSERT INTO asking (request, contact, controller, language, sent, due)
             SELECT seq, contact, controller, ?2, ?3, ?4 FROM event WHERE seq = ?1 AND personal IS NOT NULL
             ON CONFLICT DO UPDATE SET language = excluded.language, sent = excluded.sent, due = excluded.due",
        )?
        .execute(params![request, language, sent, due.map(micros)])?;
    db.prepare_cached(
        "UPDATE asking SET due = NULL WHERE request <> ?1 AND sent > 0 AND due IS NOT NULL AND (contact, controller) =
             (SELECT contact, controller FROM event WHERE seq = ?1)",
    )?
    .execute([request])?;
    Ok(kept > 0)
}

/// To be asked as soon as the gate comes to it, unless that was so before; whether it is new.
pub fn begin(db: &Connection, request: i64, language: &str, now: Timestamp) -> Result<bool, StoreError> {
    let mut known = db.prepare_cached("SELECT 1 FROM asking WHERE request = ?1")?;
    if known.exists([request])? {
        return Ok(false);
    }
    keep(db, &Asking { request, language: language.to_owned(), sent: 0, due: Some(now) })
}

/// Marks the next mail as sent, unless somebody else has; whether it may leave.
pub fn take(db: &Connection, request: i64, sent: u8) -> Result<bool, StoreError> {
    let taken = db
        .prepare_cached(
            "UPDATE asking SET sent = sent + 1, due = NULL WHERE request = ?1 AND sent = ?2 AND due IS NOT NULL",
        )?
        .execute(params![request, sent])?;
    Ok(taken > 0)
}

/// Nothing more is due for it.
pub fn end(db: &Connection, request: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE asking SET due = NULL WHERE request = ?1")?.execute([request])?;
    Ok(())
}

/// What is due, the longest first.
pub fn due(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<Asking>, StoreError> {
    let mut rows = db.prepare_cached(
        "SELECT request, language, sent, due FROM asking WHERE due <= ?1 ORDER BY due, request LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = rows.query_map(params![micros(now), limit], columns)?.collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(asking).collect()
}

/// How a request stands; none: nobody was asked yet.
pub fn of_request(db: &Connection, request: i64) -> Result<Option<Asking>, StoreError> {
    let mut row = db.prepare_cached("SELECT request, language, sent, due FROM asking WHERE request = ?1")?;
    row.query_row([request], columns).optional()?.map(asking).transpose()
}

/// For an erasure.
pub fn forget(db: &Connection, contact: i64, controller: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM asking WHERE contact = ?1 AND controller = ?2")?
        .execute(params![contact, controller])?;
    Ok(())
}

type Columns = (i64, String, u8, Option<i64>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn asking((request, language, sent, due): Columns) -> Result<Asking, StoreError> {
    Ok(Asking { request, language, sent, due: due.map(moment).transpose()? })
}
