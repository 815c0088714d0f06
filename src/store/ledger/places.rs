//! Where in the ledger the rows stand that a proof is about.

use rusqlite::{Connection, ToSql, params};

use super::acts;
use crate::store::error::StoreError;

/// What a proof is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A message by its reference, with newer verdicts and what upstream said.
    Message(&'a str),
    Event(i64),
    /// All that was ever recorded of a contact.
    Contact(i64),
    /// The wordings stored under a version.
    Text(&'a str),
    /// A policy that came into force, by its hash.
    Policy(&'a str),
}

/// The numbers of the entries, in their order.
pub fn of(db: &Connection, subject: Subject<'_>) -> Result<Vec<i64>, StoreError> {
    const MESSAGE: &str = "WITH wanted AS (SELECT id, ledger FROM message WHERE reference = ?1)
        SELECT ledger FROM wanted
        UNION SELECT ledger FROM decision WHERE message IN (SELECT id FROM wanted) AND ledger IS NOT NULL
        UNION SELECT ledger FROM outcome WHERE message IN (SELECT id FROM wanted) ORDER BY 1";
    const ACT: &str = "SELECT ledger FROM act WHERE kind = ?1 AND body ->> ?2 = ?3 ORDER BY 1";
    match subject {
        Subject::Message(reference) => list(db, MESSAGE, params![reference]),
        Subject::Event(seq) => list(db, "SELECT ledger FROM event WHERE seq = ?1", params![seq]),
        Subject::Contact(id) => list(db, "SELECT ledger FROM event WHERE contact = ?1 ORDER BY 1", params![id]),
        Subject::Text(version) => list(db, ACT, params![acts::TEXT, "$.version", version]),
        Subject::Policy(hash) => list(db, ACT, params![acts::POLICY, "$.hash", hash]),
    }
}

fn list(db: &Connection, sql: &str, wanted: &[&dyn ToSql]) -> Result<Vec<i64>, StoreError> {
    let mut rows = db.prepare_cached(sql)?;
    Ok(rows.query_map(wanted, |row| row.get(0))?.collect::<Result<_, _>>()?)
}
