//! Forgetting, beside a gate that runs: in groups, with pauses in which others write.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::Person;
use crate::cli::CliError;
use crate::config::Settings;
use crate::consent::event::{Actor, ConsentEvent, EventType};
use crate::store::{Reader, Store, StoreError};

/// How many people are forgotten in one transaction, and how many proofs are dropped.
const GROUP: usize = 32;
const PROOFS: usize = 500;
/// How long somebody else may hold the store before this gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

pub struct Purge {
    runtime: Runtime,
    store: Store,
    group: Vec<Person>,
}

impl Purge {
    pub fn open(settings: &Settings) -> Result<Purge, CliError> {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| CliError::Failed(format!("no runtime: {error}")))?;
        let store = Store::open(&settings.store, settings.hash_keys.clone())?;
        Ok(Purge { runtime, store, group: Vec::new() })
    }

    /// Waits for its group to fill; whoever is forgotten by then.
    pub fn forget(&mut self, person: Person, now: Timestamp) -> Result<Vec<Person>, CliError> {
        self.group.push(person);
        if self.group.len() < GROUP { Ok(Vec::new()) } else { self.forget_rest(now) }
    }

    /// Those who are still waiting.
    pub fn forget_rest(&mut self, now: Timestamp) -> Result<Vec<Person>, CliError> {
        let people = std::mem::take(&mut self.group);
        if people.is_empty() {
            return Ok(people);
        }
        let group: Vec<_> = people.iter().map(|person| (erasure(person, now), person.seen)).collect();
        let store = self.store.clone();
        let erased = self.patiently(async move || {
            let mut erasures = JoinSet::new();
            for (place, (erasure, seen)) in group.iter().cloned().enumerate() {
                let store = store.clone();
                erasures.spawn(async move { (place, store.forget(erasure, seen).await) });
            }
            let mut erased = vec![0; group.len()];
            while let Some(done) = erasures.join_next().await {
                let (place, seq) = done.map_err(|_| StoreError::Gone)?;
                erased[place] = seq?;
            }
            Ok(erased)
        })?;
        // Whoever said something meanwhile stays: what is due for them is for the next run to see.
        let forgotten = people.into_iter().zip(erased).filter(|(person, seq)| *seq > person.seen);
        Ok(forgotten.map(|(person, _)| person).collect())
    }

    /// Drops the proofs of people forgotten that nothing has relied on since.
    pub fn proofs(&mut self, reader: &mut Reader, before: Timestamp) -> Result<i64, CliError> {
        let (mut dropped, mut after) = (0, 0);
        loop {
            let page = reader.proofs_unused_since(before, after, PROOFS)?;
            let Some(last) = page.last() else { return Ok(dropped) };
            after = *last;
            let store = self.store.clone();
            dropped += self.patiently(async move || store.drop_proofs(page.clone(), before).await)?;
        }
    }

    pub fn suppressions(&mut self, before: Timestamp) -> Result<i64, CliError> {
        let store = self.store.clone();
        self.until_nothing_is_left(async move || store.purge_suppressions(before).await)
    }

    pub fn journal(&mut self, before: Timestamp) -> Result<i64, CliError> {
        let store = self.store.clone();
        self.until_nothing_is_left(async move || store.purge_journal(before).await)
    }

    fn until_nothing_is_left(&mut self, drop: impl AsyncFn() -> Result<i64, StoreError>) -> Result<i64, CliError> {
        let mut dropped = 0;
        loop {
            match self.patiently(&drop)? {
                0 => return Ok(dropped),
                some => dropped += some,
            }
        }
    }

    /// Again while somebody else writes; then a pause as long as that took. Every change may be made twice.
    fn patiently<T>(&mut self, change: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, CliError> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let began = Instant::now();
            let outcome = self.runtime.block_on(change());
            std::thread::sleep(began.elapsed().max(SHORTEST_PAUSE));
            match outcome {
                Err(StoreError::Busy) if Instant::now() < give_up => {}
                outcome => return Ok(outcome?),
            }
        }
    }

    pub fn close(self) {
        self.store.shutdown();
    }
}

/// Its id makes a repeated one the same, until there is something new of the person to forget.
fn erasure(person: &Person, now: Timestamp) -> ConsentEvent {
    let Person { address, controller, standing, newest, .. } = person;
    let id = format!("retention-{}-{}-{newest}", address.consent_key(), standing.last_day);
    ConsentEvent {
        at: Some(now),
        actor: Some(Actor::Operator),
        source: Some("retention".to_owned()),
        evidence: Some(json!({ "last_day": standing.last_day, "reason": standing.reason() })),
        id: Some(id),
        ..ConsentEvent::new(address.clone(), controller.as_str(), EventType::Erase)
    }
}
