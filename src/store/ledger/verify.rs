//! Holds the whole store to its ledger and names the first entry that does not hold.
//!
//! Three passes over one snapshot, each in the order of the rows and a page at a time: the chain with its tree and
//! checkpoints, then every row against its entry, then what is folded from the rows. An act is believed only where the
//! chain holds, so what it excuses is known before the rows are read.

mod chained;
mod kept;
mod people;
mod recorded;

use std::collections::BTreeMap;
use std::fmt;

use rusqlite::Connection;
use serde::Serialize;

use super::LedgerKeys;
use crate::consent::ledger::checkpoint::Checkpoint;
use crate::consent::ledger::entry::Kind;
use crate::consent::ledger::hex;
use crate::store::error::StoreError;

/// What the store is held to besides its own keys.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Whoever has one of these may have signed the checkpoints that the store keeps; none: they are not looked at.
    pub public_keys: Vec<[u8; 32]>,
    /// Checkpoints kept elsewhere, their signatures checked.
    pub checkpoints: Vec<Checkpoint>,
}

/// What was done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Changed,
    Removed,
    Inserted,
    OutOfOrder,
    /// The end is missing.
    Truncated,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Changed => "changed",
            What::Removed => "removed",
            What::Inserted => "inserted",
            What::OutOfOrder => "out of order",
            What::Truncated => "truncated",
        })
    }
}

/// The first thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The number of the entry, where it has one.
    #[serde(rename = "seq")]
    pub entry: Option<i64>,
    /// The kind of the entry.
    pub kind: Option<&'static str>,
    pub table: &'static str,
    /// The number of the row, where it has one.
    pub row: Option<i64>,
    pub what: What,
    /// For people; names nobody.
    pub detail: String,
}

impl Fault {
    fn new(table: &'static str, row: impl Into<Option<i64>>, what: What, detail: impl Into<String>) -> Fault {
        Fault { entry: None, kind: None, table, row: row.into(), what, detail: detail.into() }
    }

    fn at(self, entry: i64, kind: Kind) -> Fault {
        Fault { entry: Some(entry), kind: Some(kind.as_str()), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = self.entry {
            let kind = self.kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
            write!(f, "entry {entry}{kind}, ")?;
        }
        let row = self.row.map(|row| format!(", row {row}")).unwrap_or_default();
        write!(f, "table {}{row}: {}: {}", self.table, self.what, self.detail)
    }
}

/// What was held to the ledger, and held.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Entries of the ledger.
    pub entries: i64,
    /// How many of each kind.
    pub kinds: BTreeMap<&'static str, i64>,
    /// The root of the tree over them, in hexadecimal.
    pub root: String,
    pub contacts: i64,
    /// Checkpoints that the store keeps.
    pub checkpoints_kept: usize,
    /// The sizes of the checkpoints given.
    pub checkpoints_given: Vec<u64>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Answer {
    Holds(Verified),
    Broken(Fault),
}

/// How far it is: rows looked at, of so many.
pub type Progress<'a> = dyn FnMut(u64, u64) + 'a;

/// Expects one snapshot, so that what a gate writes meanwhile is not taken for a fault.
pub fn verify(
    db: &Connection,
    keys: &LedgerKeys,
    trust: &Trust,
    progress: &mut Progress<'_>,
) -> Result<Answer, StoreError> {
    let mut work = Work::measure(db, progress)?;
    let chained = chained::follow(db, keys, trust, &mut work)?;
    let holding = chained.tree.size();
    let mut rows = recorded::Rows::new(db, &chained.dropped);
    if let Some(fault) = rows.hold(holding, &mut work)? {
        return Ok(Answer::Broken(fault));
    }
    if let Some(fault) = chained.fault {
        return Ok(Answer::Broken(fault));
    }
    let (kinds, topics) = match rows.end()? {
        Ok(seen) => seen,
        Err(fault) => return Ok(Answer::Broken(fault)),
    };
    if let Some(fault) = kept::hold(db, &chained.dropped, &topics)? {
        return Ok(Answer::Broken(fault));
    }
    let contacts = match people::hold(db, &mut work)? {
        Ok(contacts) => contacts,
        Err(fault) => return Ok(Answer::Broken(fault)),
    };
    Ok(Answer::Holds(Verified {
        entries: i64::try_from(holding).unwrap_or(i64::MAX),
        kinds,
        root: hex(&chained.tree.root()),
        contacts,
        checkpoints_kept: chained.kept,
        checkpoints_given: trust.checkpoints.iter().map(|checkpoint| checkpoint.size).collect(),
    }))
}

/// Counts what was looked at and tells of it now and then.
struct Work<'a, 'p> {
    done: u64,
    all: u64,
    progress: &'a mut Progress<'p>,
}

impl<'a, 'p> Work<'a, 'p> {
    fn measure(db: &Connection, progress: &'a mut Progress<'p>) -> Result<Work<'a, 'p>, StoreError> {
        let all =
            "SELECT 2 * coalesce ((SELECT max (seq) FROM ledger), 0) + coalesce ((SELECT max (id) FROM contact), 0)";
        Ok(Work { done: 0, all: db.query_row(all, [], |row| row.get(0))?, progress })
    }

    fn step(&mut self) {
        const EVERY: u64 = 1000;
        self.done += 1;
        if self.done.is_multiple_of(EVERY) {
            (self.progress)(self.done, self.all.max(self.done));
        }
    }
}
