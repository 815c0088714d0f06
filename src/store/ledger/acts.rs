//! Acts: what was done with the record itself, chained like what it is a record of.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;

use super::Chain;
use crate::consent::ledger::entry::{ActEntry, Kind};
use crate::store::error::StoreError;
use crate::store::moment::micros;

/// A policy came into force.
pub const POLICY: &str = "policy";
/// A wording was stored.
pub const TEXT: &str = "text";
/// Somebody without a row objected.
pub const SUPPRESSION: &str = "suppression";
/// A person was forgotten.
pub const ERASURE: &str = "erasure";
/// What is derived from the record was made anew.
pub const REBUILD: &str = "rebuild";
/// What was over its retention was dropped.
pub const PURGE: &str = "purge";
/// Somebody was given what is known of them.
pub const ACCESS: &str = "access";
/// Somebody took a list.
pub const HANDOVER: &str = "handover";

/// An operator looked at a message that no program could make out.
pub const RESOLUTION: &str = "resolution";

/// Records an act; its number. The body names nobody: it stays as long as the ledger does.
pub fn record(
    db: &Connection,
    chain: &mut Chain<'_>,
    kind: &str,
    body: &Value,
    at: Timestamp,
) -> Result<i64, StoreError> {
    let (at, body) = (micros(at), body.to_string());
    db.prepare_cached("INSERT INTO act (at, kind, body, ledger) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        at,
        kind,
        body,
        chain.next()
    ])?;
    let row = db.last_insert_rowid();
    chain.append(db, Kind::Act, row, &ActEntry { row, at, kind, body: &body }.to_json())?;
    Ok(row)
}
