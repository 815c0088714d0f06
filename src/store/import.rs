//! Events in bulk, while a gate goes on deciding: short transactions, each of which says how far it got.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::error::StoreError;
use super::events::{self, Appended};
use super::ledger::{Chain, LedgerKeys};
use super::moment::micros;
use super::presence::Lookout;
use super::schema::{self, Place};
use crate::consent::event::ConsentEvent;
use crate::consent::token::HashKeys;

/// How long events are added under the write lock beside a gate, at first and within which bounds.
const FIRST_BUDGET: Duration = Duration::from_millis(10);
const LARGEST_BUDGET: Duration = Duration::from_millis(30);
const SMALLEST_BUDGET: Duration = Duration::from_millis(1);

/// What a slice may take beside a gate. The commit comes on top of the events and is as slow as the device is, so their
/// time is what the last commit left of this: both together stay below 100 ms.
const LONG: Duration = Duration::from_millis(60);

/// How long the lock is left to others afterwards: several times as long as they wait between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// How long events are added, and how many, while nobody else writes. Addresses come in no order, so their indexes are
/// written all over: the more events share a transaction, the fewer pages are written twice. Whoever arrives ends it, and
/// waits for no more than its commit.
const ALONE_BUDGET: Duration = Duration::from_secs(2);
const ALONE_EVENTS: u64 = 30_000;

/// How many events are added between two looks for others.
const LOOK_EVERY: u64 = 64;

/// What SQLite keeps of the indexes in memory.
const CACHE_KIB: i64 = 64 * 1024;

/// Writes the events of one file. What was committed stays when it is killed, and the next run goes on behind it.
pub struct Importer {
    db: Connection,
    place: Place,
    keys: LedgerKeys,
    lookout: Lookout,
    digest: String,
    budget: Duration,
}

/// Events, each with its line.
pub type Queue = VecDeque<(u64, ConsentEvent)>;

/// Events on their way to the store, and where more come from. `wait`: whether to wait for them.
pub struct Waiting<'a> {
    pub events: Queue,
    pub more: &'a mut dyn FnMut(&mut Queue, bool),
}

impl Waiting<'_> {
    /// The line of the next one. None: there is none, or none yet.
    pub fn line(&mut self, wait: bool) -> Option<u64> {
        if self.events.is_empty() {
            (self.more)(&mut self.events, wait);
        }
        self.events.front().map(|(line, _)| *line)
    }
}

/// How far an earlier run of the same file got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub lines_done: u64,
    pub events_added: u64,
    pub finished: bool,
}

/// What one transaction did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    pub added: u64,
    /// They were recorded before, as their id tells.
    pub known: u64,
    /// How long others could not write.
    pub held: Duration,
    /// Nobody else was there when it ended.
    pub alone: bool,
    /// What was left out, and went past.
    pub clashes: Vec<Clash>,
}

/// An event that was not written: the file itself gave its id to another one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Clash {
    pub line: u64,
    pub event: ConsentEvent,
    pub error: StoreError,
}

impl Slice {
    /// How many were looked at.
    fn events(&self) -> u64 {
        self.added + self.known + self.clashes.len() as u64
    }
}

impl Importer {
    /// `digest` stands for the file and for how it is read.
    pub fn open(store: &Path, hash_keys: HashKeys, digest: &str) -> Result<(Importer, Progress), StoreError> {
        let (db, place) = schema::open_writer(store)?;
        // What was written is carried into the database between slices, not while the lock is held.
        db.pragma_update(None, "wal_autocheckpoint", 0)?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let progress = db
            .query_row(
                "SELECT lines_done, events_added, finished_at IS NOT NULL FROM import WHERE digest = ?1",
                [digest],
                |row| Ok(Progress { lines_done: row.get(0)?, events_added: row.get(1)?, finished: row.get(2)? }),
            )
            .optional()?;
        let (lookout, digest) = (Lookout::open(store)?, digest.to_owned());
        let keys = LedgerKeys::beside_others(&db, hash_keys, lookout.is_alone())?;
        let importer = Importer { db, place, keys, lookout, digest, budget: FIRST_BUDGET };
        Ok((importer, progress.unwrap_or_default()))
    }

    /// Takes events from the front and writes them in one transaction, a short one when somebody else writes too. The
    /// events of one line stay together.
    pub fn write_slice(&mut self, waiting: &mut Waiting<'_>) -> Result<Slice, StoreError> {
        self.place.check()?;
        let now = Timestamp::now();
        let mut alone = self.lookout.is_alone();
        let step = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut chain = Chain::open(&step, &self.keys)?;
        let (locked, mut slice, mut line) = (Instant::now(), Slice::default(), 0);
        while let Some(number) = waiting.line(alone) {
            let events = slice.events();
            if number != line && events > 0 {
                alone = alone && (!events.is_multiple_of(LOOK_EVERY) || self.lookout.is_alone());
                let budget = if alone { ALONE_BUDGET } else { self.budget };
                if locked.elapsed() >= budget || events >= ALONE_EVENTS {
                    break;
                }
            }
            let Some((number, event)) = waiting.events.pop_front() else { break };
            line = number;
            match events::append(&step, &mut chain, &event, now)? {
                Appended { fresh: true, .. } => slice.added += 1,
                Appended { differs: true, seq, .. } => {
                    slice.clashes.push(Clash { line, event, error: StoreError::IdTaken { seq } });
                }
                Appended { .. } => slice.known += 1,
            }
        }
        step.prepare_cached(
            "INSERT INTO import (digest, lines_done, events_added, started_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET lines_done = max (lines_done, excluded.lines_done),
                 events_added = events_added + excluded.events_added",
        )?
        .execute(params![self.digest, line, slice.added, micros(now)])?;
        chain.seal(&step)?;
        let added = locked.elapsed();
        step.commit()?;
        slice.held = locked.elapsed();
        slice.alone = alone;
        self.leave_room(&slice, slice.held - added)?;
        Ok(slice)
    }

    /// Lets others write, and carries over what was written; PASSIVE waits for nobody and makes nobody wait.
    fn leave_room(&mut self, slice: &Slice, commit: Duration) -> Result<(), StoreError> {
        self.db.query_row("PRAGMA wal_checkpoint (PASSIVE)", [], |_| Ok(()))?;
        if !slice.alone {
            let left = LONG.saturating_sub(commit);
            self.budget = ((self.budget + left) / 2).clamp(SMALLEST_BUDGET, LARGEST_BUDGET);
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Every line has been written.
    pub fn finish(self) -> Result<(), StoreError> {
        let mut done = self.db.prepare("UPDATE import SET finished_at = ?2 WHERE digest = ?1")?;
        done.execute(params![self.digest, micros(Timestamp::now())])?;
        // A file may hold erasures. Where somebody reads just now, the gate or the last to close does it.
        schema::clear_log(&self.db).map(drop)
    }
}
