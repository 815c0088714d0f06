//! Every policy that was ever in force, by hash, so that an old decision can be told again.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::error::StoreError;
use super::ledger::{Chain, acts};
use super::moment::{micros, moment};
use crate::consent::ledger::{hex, sha256};
use crate::policy::rules::PolicySource;

/// A policy as it was read from its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPolicy {
    /// `sha256:…`.
    pub hash: String,
    pub mode: String,
    /// The policy file first, then its packs.
    pub sources: Vec<PolicySource>,
    pub first_in_force: Timestamp,
    /// When it was last loaded.
    pub last_in_force: Timestamp,
}

pub fn keep(db: &Connection, chain: &mut Chain<'_>, policy: &KeptPolicy) -> Result<(), StoreError> {
    let sources = serde_json::to_string(&policy.sources)?;
    let body = json!({"hash": policy.hash, "mode": policy.mode, "sources": hex(&sha256(&[sources.as_bytes()]))});
    acts::record(db, chain, acts::POLICY, &body, policy.last_in_force)?;
    db.prepare_cached(
        "INSERT INTO policy (hash, mode, sources, first_in_force, last_in_force) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET last_in_force = max (last_in_force, excluded.last_in_force)",
    )?
    .execute(params![
        policy.hash,
        policy.mode,
        sources,
        micros(policy.first_in_force),
        micros(policy.last_in_force)
    ])?;
    Ok(())
}

/// The newest first.
pub fn list(db: &Connection) -> Result<Vec<KeptPolicy>, StoreError> {
    let mut rows = db.prepare_cached(&format!("{SELECT} ORDER BY last_in_force DESC, first_in_force DESC"))?;
    let found = rows.query_map([], columns)?.collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(kept).collect()
}

pub fn get(db: &Connection, hash: &str) -> Result<Option<KeptPolicy>, StoreError> {
    let mut row = db.prepare_cached(&format!("{SELECT} WHERE hash = ?1"))?;
    row.query_row([hash], columns).optional()?.map(kept).transpose()
}

const SELECT: &str = "SELECT hash, mode, sources, first_in_force, last_in_force FROM policy";

type Columns = (String, String, String, i64, i64);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn kept((hash, mode, sources, first, last): Columns) -> Result<KeptPolicy, StoreError> {
    let sources = serde_json::from_str(&sources)?;
    Ok(KeptPolicy { hash, mode, sources, first_in_force: moment(first)?, last_in_force: moment(last)? })
}
