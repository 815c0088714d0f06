//! The wordings that `text_version` names. One that was shown cannot be shown otherwise afterwards: a text never changes
//! and never goes.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::error::StoreError;
use super::ledger::{Chain, acts};
use super::moment::{micros, moment};
use crate::consent::state::ContactState;

/// A wording as it was shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptText {
    pub version: String,
    pub language: String,
    pub body: String,
    /// `sha256:…` over the bytes of the body.
    pub sha256: String,
    pub added_at: Timestamp,
}

impl KeptText {
    pub fn new(version: &str, language: &str, body: String, added_at: Timestamp) -> KeptText {
        let sum = digest(&SHA256, body.as_bytes());
        let digits: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let (version, language) = (version.to_owned(), language.to_owned());
        KeptText { version, language, body, sha256: format!("sha256:{digits}"), added_at }
    }
}

/// Whether it is new; the same text again is fine, another one under the same name is refused.
pub fn keep(db: &Connection, chain: &mut Chain<'_>, text: &KeptText) -> Result<bool, StoreError> {
    let mut known = db.prepare_cached("SELECT sha256 FROM text WHERE version = ?1 AND language = ?2")?;
    let known: Option<String> = known.query_row(params![text.version, text.language], |row| row.get(0)).optional()?;
    match known {
        Some(sha256) if sha256 == text.sha256 => return Ok(false),
        Some(sha256) => {
            let (version, language) = (text.version.clone(), text.language.clone());
            return Err(StoreError::TextDiffers { version, language, sha256 });
        }
        None => {}
    }
    db.prepare_cached("INSERT INTO text (version, language, body, sha256, added_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![text.version, text.language, text.body, text.sha256, micros(text.added_at)])?;
    let body = json!({"version": text.version, "language": text.language, "sha256": text.sha256});
    acts::record(db, chain, acts::TEXT, &body, text.added_at)?;
    Ok(true)
}

/// All of them, the oldest first.
pub fn list(db: &Connection) -> Result<Vec<KeptText>, StoreError> {
    let mut rows = db.prepare_cached(&format!("{SELECT} ORDER BY added_at, version, language"))?;
    let found = rows.query_map([], columns)?.collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(kept).collect()
}

/// One version in all its languages.
pub fn of_version(db: &Connection, version: &str) -> Result<Vec<KeptText>, StoreError> {
    let mut rows = db.prepare_cached(&format!("{SELECT} WHERE version = ?1 ORDER BY language"))?;
    let found = rows.query_map([version], columns)?.collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(kept).collect()
}

/// The versions that events name and nobody had stored by `until` (none: by now). `stored` remembers those that are
/// there, for what is there stays.
pub fn missing(
    db: &Connection,
    state: &ContactState,
    stored: &mut HashSet<String>,
    until: Option<Timestamp>,
) -> Result<BTreeSet<String>, StoreError> {
    let mut missing = BTreeSet::new();
    for version in state.events.iter().filter_map(|recorded| recorded.event.text_version.as_deref()) {
        if missing.contains(version) || (until.is_none() && stored.contains(version)) {
            continue;
        }
        let mut known = db.prepare_cached("SELECT 1 FROM text WHERE version = ?1 AND added_at <= ?2 LIMIT 1")?;
        if !known.exists(params![version, until.map_or(i64::MAX, micros)])? {
            missing.insert(version.to_owned());
        } else if until.is_none() {
            stored.insert(version.to_owned());
        }
    }
    Ok(missing)
}

const SELECT: &str = "SELECT version, language, body, sha256, added_at FROM text";

type Columns = (String, String, String, String, i64);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn kept((version, language, body, sha256, added_at): Columns) -> Result<KeptText, StoreError> {
    Ok(KeptText { version, language, body, sha256, added_at: moment(added_at)? })
}
