//! Unsubscribes that are passed on to the mailer's own link: queued with the objection, tried until they are over.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::error::StoreError;
use super::moment::{micros, moment};
use crate::consent::token::{HashKeys, UnsubscribeToken};
use crate::smtp::address::{EmailAddress, Width};

/// By what a link of ours finds the mailer's that it replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkKey {
    pub controller: String,
    pub hash: [u8; 16],
    /// The second in which our link was made.
    pub issued: i64,
}

impl LinkKey {
    pub fn of(token: &UnsubscribeToken) -> LinkKey {
        LinkKey { controller: token.controller.clone(), hash: token.hash, issued: token.issued_at.as_second() }
    }
}

/// A mailer's link, and the message in which ours replaced it.
#[derive(Clone, PartialEq, Eq)]
pub struct MailerLink {
    pub key: LinkKey,
    pub reference: String,
    pub url: String,
}

/// The address is as good as the person's name.
impl std::fmt::Debug for MailerLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailerLink").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// One unsubscribe on its way to a mailer.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct HandOn {
    #[serde(skip)]
    pub id: i64,
    #[serde(rename = "ref")]
    pub reference: String,
    pub controller: String,
    /// Only what stands before the path is ever shown.
    #[serde(skip)]
    pub url: String,
    pub host: String,
    pub queued_at: Timestamp,
    pub tries: u32,
    pub tried_at: Option<Timestamp>,
    /// When it is tried next; `None` once it is over.
    pub next_at: Option<Timestamp>,
    /// The mailer has taken it.
    pub done: bool,
    /// What the last try met with.
    pub result: Option<String>,
}

impl std::fmt::Debug for HandOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandOn")
            .field("reference", &self.reference)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

/// What a try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub id: i64,
    pub at: Timestamp,
    pub done: bool,
    pub next_at: Option<Timestamp>,
    pub result: String,
}

pub fn keep(db: &Connection, link: &MailerLink) -> Result<(), StoreError> {
    let MailerLink { key, reference, url } = link;
    db.prepare_cached(
        "INSERT OR REPLACE INTO mailer_link (controller, hash, issued, reference, url) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![key.controller, key.hash, key.issued, reference, url])?;
    Ok(())
}

/// Queues what hangs on this link of ours; used twice, it is passed on once.
pub fn queue(db: &Connection, key: &LinkKey, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO hand_on (controller, hash, reference, url, queued_at, tries, next_at, done)
         SELECT controller, hash, reference, url, ?4, 0, ?4, 0 FROM mailer_link
         WHERE controller = ?1 AND hash = ?2 AND issued = ?3",
    )?
    .execute(params![key.controller, key.hash, key.issued, micros(now)])?;
    Ok(())
}

pub fn settle(db: &Connection, tried: &Tried) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE hand_on SET tries = tries + 1, tried_at = ?2, done = ?3, next_at = ?4, result = ?5 WHERE id = ?1",
    )?
    .execute(params![tried.id, micros(tried.at), tried.done, tried.next_at.map(micros), tried.result])?;
    Ok(())
}

/// Nothing is left of the links of a person, nor of what was passed on.
pub fn forget(db: &Connection, keys: &HashKeys, person: &EmailAddress, controller: &str) -> Result<(), StoreError> {
    for hash in keys.all_hashes(controller, &person.objection_key(Width::WIDEST)) {
        for table in ["mailer_link", "hand_on"] {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE controller = ?1 AND hash = ?2"))?
                .execute(params![controller, hash])?;
        }
    }
    Ok(())
}

const COLUMNS: &str = "id, reference, controller, url, queued_at, tries, tried_at, next_at, done, result";

/// Whose turn it is, the longest waiting first.
pub fn due(db: &Connection, now: Timestamp, limit: usize) -> Result<Vec<HandOn>, StoreError> {
    let due = format!("SELECT {COLUMNS} FROM hand_on WHERE next_at <= ?1 ORDER BY next_at LIMIT ?2");
    let mut rows = db.prepare_cached(&due)?;
    let found = rows.query_map(params![micros(now), limit], columns)?.collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(read).collect()
}

/// The newest first; of one message where `reference` is given.
pub fn list(db: &Connection, reference: Option<&str>, limit: usize) -> Result<Vec<HandOn>, StoreError> {
    let all = format!("SELECT {COLUMNS} FROM hand_on WHERE ?1 IS NULL OR reference = ?1 ORDER BY id DESC LIMIT ?2");
    let mut rows = db.prepare_cached(&all)?;
    let found = rows.query_map(params![reference, limit], columns)?.collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(read).collect()
}

type Columns = (i64, String, String, String, i64, u32, Option<i64>, Option<i64>, bool, Option<String>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
        row.get(8)?,
        row.get(9)?,
    ))
}

fn read(columns: Columns) -> Result<HandOn, StoreError> {
    let (id, reference, controller, url, queued_at, tries, tried_at, next_at, done, result) = columns;
    let host = url.split("://").nth(1).unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    Ok(HandOn {
        id,
        reference,
        controller,
        url,
        host,
        queued_at: moment(queued_at)?,
        tries,
        tried_at: tried_at.map(moment).transpose()?,
        next_at: next_at.map(moment).transpose()?,
        done,
        result,
    })
}
