//! Lists that were handed to others: who took which, how many stood on it, why others did not, and who they are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::ledger::acts;
use crate::policy::handover::Use;
use crate::policy::verdict::Reason;

/// One list. Names nobody that stands on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    pub at: Timestamp,
    /// Who took it.
    pub by: String,
    pub controller: String,
    #[serde(flatten)]
    pub to: Use,
    /// Only these topics, with all below them; empty: all.
    pub topics: Vec<String>,
    pub people: u64,
    pub left_out: BTreeMap<Reason, u64>,
    /// `sha256:…` of the file, so that it can be told from another one.
    pub sha256: String,
}

/// These people stood on it.
pub fn add_people(db: &Connection, act: i64, contacts: &[i64]) -> Result<(), StoreError> {
    let mut add = db.prepare_cached("INSERT OR IGNORE INTO handed_over (contact, act) VALUES (?1, ?2)")?;
    for contact in contacts {
        add.execute(params![contact, act])?;
    }
    Ok(())
}

/// Who is forgotten by a controller stood on none of its lists; how many did is in their acts.
pub fn forget(db: &Connection, contact: i64, controller: &str) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM handed_over WHERE contact = ?1
             AND act IN (SELECT id FROM act WHERE kind = ?2 AND json_extract (body, '$.controller') = ?3)",
    )?
    .execute(params![contact, acts::HANDOVER, controller])?;
    Ok(())
}

/// All of them, the oldest first.
pub fn list(db: &Connection) -> Result<Vec<Handover>, StoreError> {
    let mut rows = db.prepare_cached("SELECT body FROM act WHERE kind = ?1 ORDER BY id")?;
    read(rows.query_map([acts::HANDOVER], body)?.collect::<Result<_, _>>()?)
}

/// Those that this contact stood on.
pub fn of_contact(db: &Connection, contact: i64) -> Result<Vec<Handover>, StoreError> {
    let mut rows = db.prepare_cached(
        "SELECT body FROM act WHERE id IN (SELECT act FROM handed_over WHERE contact = ?1) ORDER BY id",
    )?;
    read(rows.query_map([contact], body)?.collect::<Result<_, _>>()?)
}

fn body(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

fn read(bodies: Vec<String>) -> Result<Vec<Handover>, StoreError> {
    bodies.iter().map(|body| Ok(serde_json::from_str(body)?)).collect()
}
