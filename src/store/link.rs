//! Since when our unsubscribe address has been failing: kept, so that a restart does not begin the grace anew.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;
use super::moment::{micros, moment};

pub fn set(db: &Connection, failing_since: Option<Timestamp>) -> Result<(), StoreError> {
    match failing_since {
        Some(since) => db.execute("INSERT OR REPLACE INTO link_failing (only, since) VALUES (1, ?1)", [micros(since)]),
        None => db.execute("DELETE FROM link_failing", []),
    }?;
    Ok(())
}

pub fn failing_since(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let since = db.query_row("SELECT since FROM link_failing", [], |row| row.get(0)).optional()?;
    since.map(moment).transpose()
}
