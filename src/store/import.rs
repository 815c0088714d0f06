//! Events in bulk, while a gate goes on deciding: short transactions, each of which says how far it got.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::error::StoreError;
use super::events;
use super::moment::micros;
use super::schema::{self, Place};
use crate::consent::event::ConsentEvent;

/// How long events are added under the write lock, at first and at most. The commit comes on top, as slow as the
/// device is, so the budget follows what a slice really took: together they stay well below 100 ms.
const FIRST_BUDGET: Duration = Duration::from_millis(10);
const LARGEST_BUDGET: Duration = Duration::from_millis(20);
const SMALLEST_BUDGET: Duration = Duration::from_millis(1);

/// What a slice may take, commit included, before the next ones become smaller.
const LONG: Duration = Duration::from_millis(40);

/// How long the lock is left to others afterwards: several times as long as they wait between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes the events of one file. What was committed stays when it is killed, and the next run goes on behind it.
pub struct Importer {
    db: Connection,
    place: Place,
    digest: String,
    budget: Duration,
}

/// How far an earlier run of the same file got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub lines_done: u64,
    pub events_added: u64,
    pub finished: bool,
}

/// What one transaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    pub added: u64,
    /// Their id was known already.
    pub known: u64,
    /// How long others could not write.
    pub held: Duration,
}

impl Importer {
    /// `digest` stands for the file and for how it is read.
    pub fn open(store: &Path, digest: &str) -> Result<(Importer, Progress), StoreError> {
        let (db, place) = schema::open_writer(store)?;
        // What was written is carried into the database between slices, not while the lock is held.
        db.pragma_update(None, "wal_autocheckpoint", 0)?;
        let progress = db
            .query_row(
                "SELECT lines_done, events_added, finished_at IS NOT NULL FROM import WHERE digest = ?1",
                [digest],
                |row| Ok(Progress { lines_done: row.get(0)?, events_added: row.get(1)?, finished: row.get(2)? }),
            )
            .optional()?;
        let digest = digest.to_owned();
        Ok((Importer { db, place, digest, budget: FIRST_BUDGET }, progress.unwrap_or_default()))
    }

    /// Takes events (with the line they stand on) from the front and writes them in one short transaction.
    pub fn write_slice(&mut self, waiting: &mut VecDeque<(u64, ConsentEvent)>) -> Result<Slice, StoreError> {
        self.place.check()?;
        let now = Timestamp::now();
        let step = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (locked, mut slice, mut line) = (Instant::now(), Slice::default(), 0);
        while locked.elapsed() < self.budget
            && let Some((number, event)) = waiting.pop_front()
        {
            line = number;
            if events::append(&step, &event, now)?.fresh { slice.added += 1 } else { slice.known += 1 }
        }
        step.prepare_cached(
            "INSERT INTO import (digest, lines_done, events_added, started_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET lines_done = max (lines_done, excluded.lines_done),
                 events_added = events_added + excluded.events_added",
        )?
        .execute(params![self.digest, line, slice.added, micros(now)])?;
        step.commit()?;
        slice.held = locked.elapsed();
        self.leave_room(slice.held)?;
        Ok(slice)
    }

    /// Lets others write, and carries over what was written; PASSIVE waits for nobody and makes nobody wait.
    fn leave_room(&mut self, held: Duration) -> Result<(), StoreError> {
        self.budget = if held > LONG { self.budget / 2 } else { self.budget + self.budget / 4 };
        self.budget = self.budget.clamp(SMALLEST_BUDGET, LARGEST_BUDGET);
        self.db.query_row("PRAGMA wal_checkpoint (PASSIVE)", [], |_| Ok(()))?;
        std::thread::sleep(PAUSE);
        Ok(())
    }

    /// Every line has been written.
    pub fn finish(self) -> Result<(), StoreError> {
        let mut done = self.db.prepare("UPDATE import SET finished_at = ?2 WHERE digest = ?1")?;
        done.execute(params![self.digest, micros(Timestamp::now())])?;
        Ok(())
    }
}
