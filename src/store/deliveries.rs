//! The delivery ledger: which copies of a message upstream already has, so that a retry does not send them again.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::error::StoreError;
use super::moment::micros;

/// Longer than any mailer retries (R73).
pub const KEPT: SignedDuration = SignedDuration::from_hours(5 * 24);

/// One copy. Not done: it was about to be sent and nobody heard the answer, so a retry sends it again (R74).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub recipient: [u8; 16],
    pub done: bool,
    /// What upstream said to it.
    pub reply: Option<String>,
}

/// What is written about a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copy {
    /// Its final dot is about to be sent.
    Intent { recipient: [u8; 16] },
    /// Upstream took it.
    Done { recipient: [u8; 16], reply: String },
    /// Upstream definitely did not.
    Forget { recipient: [u8; 16] },
    /// The client knows: nothing of this message will be tried again.
    Release,
}

pub fn write(db: &Connection, key: &[u8; 32], copy: &Copy, now: Timestamp) -> Result<(), StoreError> {
    match copy {
        Copy::Intent { recipient } => db
            .prepare_cached(
                "INSERT INTO delivery (key, recipient, done, at) VALUES (?1, ?2, 0, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![key, recipient, micros(now)])?,
        Copy::Done { recipient, reply } => db
            .prepare_cached(
                "INSERT INTO delivery (key, recipient, done, reply, at) VALUES (?1, ?2, 1, ?3, ?4)
                 ON CONFLICT DO UPDATE SET done = 1, reply = excluded.reply, at = excluded.at",
            )?
            .execute(params![key, recipient, reply, micros(now)])?,
        Copy::Forget { recipient } => db
            .prepare_cached("DELETE FROM delivery WHERE key = ?1 AND recipient = ?2")?
            .execute(params![key, recipient])?,
        Copy::Release => db.prepare_cached("DELETE FROM delivery WHERE key = ?1")?.execute([key])?,
    };
    Ok(())
}

/// Drops what no retry will ask for any more; at most `limit` rows, to keep the transaction short.
pub fn purge(db: &Connection, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let horizon = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    let mut old = db.prepare_cached(
        "DELETE FROM delivery WHERE (key, recipient) IN (SELECT key, recipient FROM delivery WHERE at < ?1 LIMIT ?2)",
    )?;
    Ok(old.execute(params![micros(horizon), limit])?)
}

pub fn of_message(db: &Connection, key: &[u8; 32]) -> Result<Vec<Delivery>, StoreError> {
    let mut rows = db.prepare_cached("SELECT recipient, done, reply FROM delivery WHERE key = ?1")?;
    let delivery =
        |row: &rusqlite::Row<'_>| Ok(Delivery { recipient: row.get(0)?, done: row.get(1)?, reply: row.get(2)? });
    Ok(rows.query_map([key], delivery)?.collect::<Result<_, _>>()?)
}
