//! The one thread that writes. What waits is committed together, so durability costs one sync per group.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, Savepoint, TransactionBehavior};
use serde_json::Value;
use tokio::sync::oneshot;

use super::asking::{self, Asking};
use super::deliveries::{self, Copy};
use super::error::StoreError;
use super::events::{self, Suppress};
use super::hand_on::{self, LinkKey, MailerLink, Tried};
use super::handovers;
use super::journal::{self, MessageRecord, Outcome, RecordedVerdict, Seen};
use super::ledger::checkpoints::{self, NewCheckpoint};
use super::ledger::{Chain, LedgerKeys, acts};
use super::link;
use super::policies::{self, KeptPolicy};
use super::retention;
use super::schema::{self, Place};
use super::sending;
use super::texts::{self, KeptText};
use super::unclear_mail::{self, Resolution, UnclearMail};
use crate::consent::event::{ConsentEvent, EventType};

/// More than this waits for the next group, so that the first ones are not kept waiting by the last.
const LARGEST_GROUP: usize = 512;

/// How often the delivery ledger is swept, and how much of it at once.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
const SWEEP_ROWS: usize = 1000;

/// One thing to write.
#[derive(Debug)]
pub enum Change {
    Message(Box<MessageRecord>),
    Revision { reference: String, verdict: Box<RecordedVerdict>, seen: Seen },
    Outcome(Box<Outcome>),
    Event(Box<ConsentEvent>),
    Forget { erase: Box<ConsentEvent>, seen: i64 },
    Events { events: Vec<ConsentEvent>, seen: i64, left_through: Option<LinkKey> },
    Suppress(Suppress),
    Delivery { key: [u8; 32], copy: Copy },
    Release { reference: String },
    Policy(KeptPolicy),
    Text(Box<KeptText>),
    HandedOver { act: i64, contacts: Vec<i64> },
    Asking(Asking),
    BeginAsking { request: i64, language: String },
    TakeAsking { request: i64, sent: u8 },
    EndAsking { request: i64 },
    PurgeJournal { horizon: Timestamp },
    LinkFailing { since: Option<Timestamp> },
    DropProofs { seqs: Vec<i64>, horizon: Timestamp },
    PurgeSuppressions { horizon: Timestamp },
    Act { kind: &'static str, body: Value },
    Checkpoint(Box<NewCheckpoint>),
    Objection { event: Box<ConsentEvent>, link: LinkKey },
    SuppressThrough { objection: Suppress, link: LinkKey },
    MailerLink(Box<MailerLink>),
    HandOn(Tried),
    UnclearMail(Box<UnclearMail>),
    Resolution(Box<Resolution>),
    PurgeUnclearMail { horizon: Timestamp },
}

impl Change {
    /// Whether something is gone from the record by it.
    fn erases(&self) -> bool {
        match self {
            Change::Event(event) => event.kind == EventType::Erase,
            Change::Forget { .. }
            | Change::PurgeJournal { .. }
            | Change::DropProofs { .. }
            | Change::PurgeSuppressions { .. } => true,
            Change::Events { events, .. } => events.iter().any(|event| event.kind == EventType::Erase),
            Change::Resolution(_) | Change::PurgeUnclearMail { .. } => true,
            _ => false,
        }
    }
}

/// The number of the row, where the caller wants one; otherwise 0.
pub type Written = Result<i64, StoreError>;

#[derive(Debug)]
pub enum Job {
    /// `answer`: who hears when it is durable. Without one a failure is a gap: logged and counted.
    Write { change: Change, answer: Option<oneshot::Sender<Written>> },
    /// Finish what is waiting.
    Stop,
}

impl Job {
    fn into_write(self) -> Option<Waiting> {
        match self {
            Job::Write { change, answer } => Some((change, answer)),
            Job::Stop => None,
        }
    }
}

type Waiting = (Change, Option<oneshot::Sender<Written>>);

/// What the writer has done so far.
#[derive(Debug, Default)]
pub struct Health {
    groups: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    gaps: AtomicU64,
}

impl Health {
    /// Commits; `written` divided by this is the size of a group.
    pub fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Rows that are missing from the journal because nobody waited for them and they could not be written.
    pub fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// A row was lost. The reference alone says which: addresses stay out of the log.
    pub(super) fn gap(&self, change: &Change, error: &StoreError) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
        let (what, reference) = match change {
            Change::Message(message) => ("decision", message.reference.as_str()),
            Change::Revision { reference, .. } => ("decision", reference.as_str()),
            Change::Outcome(outcome) => ("outcome", outcome.reference.as_str()),
            Change::Delivery { .. } => ("delivery", ""),
            Change::Release { reference } => ("release", reference.as_str()),
            Change::Event(_) | Change::Events { .. } | Change::Forget { .. } | Change::Suppress(_) => ("consent", ""),
            Change::Policy(policy) => ("policy", policy.hash.as_str()),
            Change::Text(text) => ("text", text.version.as_str()),
            Change::HandedOver { .. } => ("handover", ""),
            Change::Asking(_) | Change::BeginAsking { .. } | Change::TakeAsking { .. } | Change::EndAsking { .. } => {
                ("asking", "")
            }
            Change::PurgeJournal { .. } => ("purge", ""),
            Change::LinkFailing { .. } => ("link", ""),
            Change::DropProofs { .. } | Change::PurgeSuppressions { .. } => ("purge", ""),
            Change::Act { kind, .. } => (*kind, ""),
            Change::Checkpoint(_) => ("checkpoint", ""),
            Change::Objection { .. } | Change::SuppressThrough { .. } => ("consent", ""),
            Change::MailerLink(link) => ("mailer link", link.reference.as_str()),
            Change::HandOn(_) => ("unsubscribe passed on", ""),
            Change::UnclearMail(_) | Change::Resolution(_) => ("unclear mail", ""),
            Change::PurgeUnclearMail { .. } => ("purge", ""),
        };
        tracing::error!(what, r#ref = reference, %error, "journal gap: a row was not written");
    }
}

pub struct Writer {
    pub db: Connection,
    pub place: Place,
    pub keys: Arc<LedgerKeys>,
    pub jobs: Receiver<Job>,
    pub health: Arc<Health>,
    /// Something was erased that may still stand in the write-ahead log.
    pub erased: bool,
}

impl Writer {
    /// Until it is told to stop or nobody can give it work any more.
    pub fn run(mut self) {
        let mut swept = Instant::now();
        self.sweep();
        loop {
            let first = match self.jobs.recv_timeout(SWEEP_EVERY) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.carry_out(first).is_break() {
                return;
            }
            if swept.elapsed() >= SWEEP_EVERY {
                swept = Instant::now();
                self.sweep();
            }
        }
    }

    fn carry_out(&mut self, first: Option<Job>) -> ControlFlow<()> {
        let mut group = Vec::new();
        let mut next = first;
        while let Some(job) = next {
            let Job::Write { change, answer } = job else {
                group.extend(self.jobs.try_iter().filter_map(Job::into_write));
                self.commit(group);
                return ControlFlow::Break(());
            };
            group.push((change, answer));
            next = if group.len() < LARGEST_GROUP { self.jobs.try_recv().ok() } else { None };
        }
        self.commit(group);
        ControlFlow::Continue(())
    }

    fn commit(&mut self, group: Vec<Waiting>) {
        if group.is_empty() {
            return;
        }
        let written = self.write_all(group.iter().map(|(change, _)| change));
        self.erased |= group.iter().any(|(change, _)| change.erases());
        self.health.groups.fetch_add(1, Ordering::Relaxed);
        for (place, (change, answer)) in group.into_iter().enumerate() {
            let result = written.as_ref().map_or_else(|e| Err(e.clone()), |each| each[place].clone());
            let count = if result.is_ok() { &self.health.written } else { &self.health.failed };
            count.fetch_add(1, Ordering::Relaxed);
            match (answer, result) {
                // Who waited may have given up; what is written stays written.
                (Some(answer), result) => _ = answer.send(result),
                (None, Err(error)) => self.health.gap(&change, &error),
                (None, Ok(_)) => {}
            }
        }
        self.clear_log();
    }

    /// What was erased goes from the write-ahead log too, as soon as nobody reads. Nobody is waited for: the next sweep
    /// tries again.
    fn clear_log(&mut self) {
        if !self.erased {
            return;
        }
        let cleared = schema::clear_log(&self.db);
        self.erased = !cleared.unwrap_or_else(|error| {
            tracing::warn!(%error, "the write-ahead log was not cleared of what was erased");
            false
        });
    }

    /// One transaction. A change that fails is undone alone; when the transaction itself fails, all of them did.
    fn write_all<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) -> Result<Vec<Written>, StoreError> {
        self.place.check()?;
        let now = Timestamp::now();
        let mut group = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut chain = Chain::open(&group, &self.keys)?;
        let mut written = Vec::new();
        for change in changes {
            let before = chain.head();
            let result = write_one(group.savepoint()?, &mut chain, change, now);
            if result.is_err() {
                chain.back_to(before);
            }
            if group.is_autocommit() {
                // SQLite has rolled the whole transaction back, as it does when the device is full.
                return Err(result.err().unwrap_or(StoreError::Full));
            }
            written.push(result);
        }
        chain.seal(&group)?;
        group.commit()?;
        Ok(written)
    }

    fn sweep(&mut self) {
        self.clear_log();
        match deliveries::purge(&self.db, Timestamp::now(), SWEEP_ROWS) {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "delivery ledger swept"),
            Err(error) => tracing::warn!(%error, "delivery ledger not swept"),
        }
    }
}

fn write_one(step: Savepoint<'_>, chain: &mut Chain<'_>, change: &Change, now: Timestamp) -> Written {
    let number = match change {
        Change::Message(message) => journal::record(&step, chain, message).map(|()| 0),
        Change::Revision { reference, verdict, seen } => {
            journal::revise(&step, chain, reference, verdict, *seen).map(|()| 0)
        }
        Change::Outcome(outcome) => journal::settle(&step, chain, outcome).map(|()| 0),
        Change::Event(event) => events::append(&step, chain, event, now).map(|appended| appended.seq),
        Change::Forget { erase, seen } => match events::anything_since(&step, &erase.address, *seen)? {
            true => Ok(0),
            false => events::append(&step, chain, erase, now).map(|appended| appended.seq),
        },
        Change::Events { events, seen, left_through } => {
            let last = events::append_all(&step, chain, events, *seen, now);
            match left_through {
                Some(link) => last.and_then(|last| hand_on::queue(&step, link, now).map(|()| last)),
                None => last,
            }
        }
        Change::Suppress(objection) => events::suppress(&step, chain, objection, now).map(|()| 0),
        Change::Delivery { key, copy } => write_delivery(&step, key, copy, now).map(|()| 0),
        Change::Release { reference } => sending::release(&step, reference, None).map(|()| 0),
        Change::Policy(policy) => policies::keep(&step, chain, policy).map(|()| 0),
        Change::HandedOver { act, contacts } => handovers::add_people(&step, *act, contacts).map(|()| 0),
        Change::Asking(asking) => asking::keep(&step, asking).map(i64::from),
        Change::BeginAsking { request, language } => asking::begin(&step, *request, language, now).map(i64::from),
        Change::TakeAsking { request, sent } => asking::take(&step, *request, *sent).map(i64::from),
        Change::EndAsking { request } => asking::end(&step, *request).map(|()| 0),
        Change::Text(text) => texts::keep(&step, chain, text).map(i64::from),
        Change::DropProofs { seqs, horizon } => retention::drop_proofs(&step, chain, seqs, *horizon, now),
        Change::PurgeSuppressions { horizon } => retention::purge_suppressions(&step, chain, *horizon, SWEEP_ROWS, now),
        Change::LinkFailing { since } => link::set(&step, *since).map(|()| 0),
        Change::PurgeJournal { horizon } => journal::purge(&step, chain, *horizon, SWEEP_ROWS, now),
        Change::Checkpoint(new) => checkpoints::keep(&step, new).map(|()| 0),
        Change::Objection { event, link } => {
            let seq = events::append(&step, chain, event, now).map(|appended| appended.seq);
            seq.and_then(|seq| hand_on::queue(&step, link, now).map(|()| seq))
        }
        Change::SuppressThrough { objection, link } => {
            let kept = events::suppress(&step, chain, objection, now);
            kept.and_then(|()| hand_on::queue(&step, link, now)).map(|()| 0)
        }
        Change::MailerLink(link) => hand_on::keep(&step, link).map(|()| 0),
        Change::HandOn(tried) => hand_on::settle(&step, tried).map(|()| 0),
        Change::UnclearMail(mail) => unclear_mail::keep(&step, mail),
        Change::Resolution(resolution) => unclear_mail::resolve(&step, chain, resolution, now),
        Change::PurgeUnclearMail { horizon } => unclear_mail::purge(&step, *horizon),
        Change::Act { kind, body } => acts::record(&step, chain, kind, body, now),
    }?;
    step.commit()?;
    Ok(number)
}

/// A client that knows how its message fared has neither copies nor a place to come back for.
fn write_delivery(step: &Savepoint<'_>, key: &[u8; 32], copy: &Copy, now: Timestamp) -> Result<(), StoreError> {
    deliveries::write(step, key, copy, now)?;
    if *copy == Copy::Release { sending::confirm(step, key) } else { Ok(()) }
}
