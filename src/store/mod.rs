//! What is remembered: consent, decisions, deliveries. All SQL lives here.
//!
//! One thread writes and commits in groups; everybody reads on a connection of their own and never waits.

mod asking;
mod corrections;
mod deliveries;
mod erasure;
mod error;
mod events;
mod fold;
mod hand_on;
mod handovers;
mod identity;
mod import;
mod journal;
mod journal_query;
mod ledger;
mod link;
mod moment;
mod policies;
mod presence;
mod reader;
mod rebuild;
mod retention;
mod schema;
mod sending;
#[cfg(test)]
mod tests;
mod texts;
mod unclear_mail;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::consent::event::ConsentEvent;
use crate::consent::token::HashKeys;
use crate::policy::rules::Policy;
use deliveries::Copy;
use ledger::{Chain, LedgerKeys, acts};
use presence::{Lookout, Presence};
use writer::{Change, Job, Writer, Written};

pub use asking::Asking;
pub use deliveries::Delivery;
pub use erasure::{Erasable, Erasure};
pub use error::StoreError;
pub use events::{Appended, Suppress};
pub use hand_on::{HandOn, LinkKey, MailerLink, Tried};
pub use handovers::Handover;
pub use import::{Clash, Importer, Progress, Slice, Waiting};
pub use journal::{MessageRecord, Outcome, OutcomeResult, RecordedVerdict, Seen};
pub use journal_query::{Count, DecisionRow, Filter, MessageRow, OutcomeRow, Position, SentMail, Story};
pub use ledger::checkpoints::NewCheckpoint;
pub use ledger::places::Subject;
pub use ledger::proofs::{LedgerEntry, Opening};
pub use ledger::verify::{Answer, Fault, Trust, Verified, What};
pub use policies::KeptPolicy;
pub use reader::{Contact, Reader};
pub use rebuild::{Difference, Rebuild};
pub use retention::Known;
pub use sending::{Place, Places};
pub use texts::KeptText;
pub use unclear_mail::{Resolution, UnclearMail, UnclearRow};
pub use writer::Health;

/// How many changes wait for the writer. While another process holds the lock it writes nothing, and mail that does not
/// wait for its row would pile rows up until memory is gone.
const LONGEST_QUEUE: usize = 20_000;

/// How long a change is waited for: the group before it and its own, each of which may wait two seconds for the lock,
/// and the syncs. A client's own patience for a reply (RFC 5321 section 4.5.3.2) is minutes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store of a running gate: hands changes to the writer, opens readers. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    keys: Arc<LedgerKeys>,
    jobs: SyncSender<Job>,
    health: Arc<Health>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens or makes the store, brings its schema up to date, and starts the writer.
    pub fn open(path: &Path, hash_keys: HashKeys) -> Result<Store, StoreError> {
        let alone = Lookout::open(path)?.is_alone();
        // A bulk import makes room for whoever is there, already while the store is opened.
        let presence = Presence::announce(path)?;
        let (db, place) = schema::open_writer(path)?;
        let keys = Arc::new(LedgerKeys::beside_others(&db, hash_keys, alone)?);
        // A ledger that does not hold is told of at the start, not by the first message.
        Chain::open(&*db.unchecked_transaction()?, &keys)?;
        let (jobs, waiting) = sync_channel(LONGEST_QUEUE);
        let health = Arc::new(Health::default());
        let writer = Writer { db, place, keys: keys.clone(), jobs: waiting, health: health.clone(), erased: false };
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || {
            let _seen = presence;
            writer.run();
        });
        let writer = thread.map_err(|e| StoreError::Failed(format!("no thread for the writer: {e}")))?;
        let inner = Inner { path: path.to_owned(), keys, jobs, health, writer: Mutex::new(Some(writer)) };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// A connection for one thread to read with.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open_shared(&self.inner.path, self.inner.keys.clone())
    }

    /// What the writer has done so far.
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// Resolves when message and decisions are durable and its places taken; with [`StoreError::PlaceTaken`] nothing of
    /// it was written.
    pub async fn record_message(&self, message: MessageRecord) -> Result<(), StoreError> {
        self.write(Change::Message(Box::new(message))).await.map(drop)
    }

    /// Replaces a verdict that never took effect; resolves when that is durable.
    pub async fn revise_verdict(
        &self,
        reference: String,
        verdict: RecordedVerdict,
        seen: Seen,
    ) -> Result<(), StoreError> {
        self.write(Change::Revision { reference, verdict: Box::new(verdict), seen }).await.map(drop)
    }

    /// For service mail that does not wait for its row: with the next group commit, and before an orderly end.
    pub fn record_message_later(&self, message: MessageRecord) {
        self.write_later(Change::Message(Box::new(message)));
    }

    /// What upstream said, with the next group commit.
    pub fn record_outcome(&self, outcome: Outcome) {
        self.write_later(Change::Outcome(Box::new(outcome)));
    }

    /// The same; resolves when it is durable, so that what is tried next finds the place given back.
    pub async fn settle_outcome(&self, outcome: Outcome) -> Result<(), StoreError> {
        self.write(Change::Outcome(Box::new(outcome))).await.map(drop)
    }

    /// Gives back whatever places a message holds whose row may still be written though nobody waits for it any more.
    pub fn release_places(&self, reference: String) {
        self.write_later(Change::Release { reference });
    }

    /// Resolves with the event's number when it is durable and folded. A known `id` gives the number it
    /// already has, but for an objection that is not the one it stands for. Whether it stands for something else, who takes
    /// events from outside asks before: [`Reader::clash`].
    pub async fn record_event(&self, event: ConsentEvent) -> Result<i64, StoreError> {
        self.write(Change::Event(Box::new(event))).await
    }

    /// An objection through a link: the event, and in the same transaction what is passed on to the mailer for it.
    pub async fn record_objection(&self, event: ConsentEvent, link: LinkKey) -> Result<i64, StoreError> {
        self.write(Change::Objection { event: Box::new(event), link }).await
    }

    /// The same of somebody we have no row for.
    pub async fn suppress_through(&self, objection: Suppress, link: LinkKey) -> Result<(), StoreError> {
        self.write(Change::SuppressThrough { objection, link }).await.map(drop)
    }

    /// Keeps a mailer's own link that ours replaces; resolves when it is durable.
    pub async fn keep_mailer_link(&self, link: MailerLink) -> Result<(), StoreError> {
        self.write(Change::MailerLink(Box::new(link))).await.map(drop)
    }

    /// What a try to pass an unsubscribe on has come to.
    pub async fn settle_hand_on(&self, tried: Tried) -> Result<(), StoreError> {
        self.write(Change::HandOn(tried)).await.map(drop)
    }

    /// With the next group commit, for what nobody waits for.
    pub fn record_event_later(&self, event: ConsentEvent) {
        self.write_later(Change::Event(Box::new(event)));
    }

    /// Keeps a message for a person to look at; resolves with its number when it is durable.
    pub async fn keep_unclear_mail(&self, mail: UnclearMail) -> Result<i64, StoreError> {
        self.write(Change::UnclearMail(Box::new(mail))).await
    }

    /// Carries out what an operator made of one: the number of its event, 0 without one; `None` when there is no such
    /// message.
    pub async fn resolve_unclear_mail(&self, resolution: Resolution) -> Result<Option<i64>, StoreError> {
        let seq = self.write(Change::Resolution(Box::new(resolution))).await?;
        Ok((seq >= 0).then_some(seq))
    }

    /// Drops unclear mail from before `horizon`; how many.
    pub async fn purge_unclear_mail(&self, horizon: Timestamp) -> Result<i64, StoreError> {
        self.write(Change::PurgeUnclearMail { horizon }).await
    }

    /// Carries out an `erase` that was decided on when `seen` was the newest event; 0 when something else was recorded of
    /// the person since, which may be what keeps them.
    pub async fn forget(&self, erase: ConsentEvent, seen: i64) -> Result<i64, StoreError> {
        self.write(Change::Forget { erase: Box::new(erase), seen }).await
    }

    /// Records all of these or none, with [`StoreError::Overtaken`] where anything was recorded of the people they are
    /// about after the event of number `seen`. Resolves with the number of the last. `left_through`: the link that a no
    /// among them was said through, which is passed on to the mailer in the same transaction.
    pub async fn record_events(
        &self,
        events: Vec<ConsentEvent>,
        seen: i64,
        left_through: Option<LinkKey>,
    ) -> Result<i64, StoreError> {
        self.write(Change::Events { events, seen, left_through }).await
    }

    /// Somebody was given what is known of them; the number of the act.
    pub async fn record_access(&self, controller: &str, contact: Option<i64>) -> Result<i64, StoreError> {
        let body = serde_json::json!({"controller": controller, "contact": contact, "proof": "code_by_mail"});
        self.record_act(acts::ACCESS, body).await
    }

    /// The objection of somebody we have no row for.
    pub async fn suppress(&self, objection: Suppress) -> Result<(), StoreError> {
        self.write(Change::Suppress(objection)).await.map(drop)
    }

    /// A copy is about to be sent; resolves when that is durable.
    pub async fn delivery_intent(&self, key: [u8; 32], recipient: [u8; 16]) -> Result<(), StoreError> {
        self.write(Change::Delivery { key, copy: Copy::Intent { recipient } }).await.map(drop)
    }

    /// Upstream took the copy.
    pub async fn delivery_done(&self, key: [u8; 32], recipient: [u8; 16], reply: &str) -> Result<(), StoreError> {
        let copy = Copy::Done { recipient, reply: reply.to_owned() };
        self.write(Change::Delivery { key, copy }).await.map(drop)
    }

    /// Upstream definitely did not take the copy.
    pub async fn delivery_forget(&self, key: [u8; 32], recipient: [u8; 16]) -> Result<(), StoreError> {
        self.write(Change::Delivery { key, copy: Copy::Forget { recipient } }).await.map(drop)
    }

    /// The client has its answer, so no copy of this message will be asked for again (R73).
    pub async fn delivery_release(&self, key: [u8; 32]) -> Result<(), StoreError> {
        self.write(Change::Delivery { key, copy: Copy::Release }).await.map(drop)
    }

    /// Keeps the texts of a policy that comes into force.
    pub async fn keep_policy(&self, policy: &Policy, at: Timestamp) -> Result<(), StoreError> {
        let kept = KeptPolicy {
            hash: policy.hash.clone(),
            mode: policy.mode.as_str().to_owned(),
            sources: policy.sources.clone(),
            first_in_force: at,
            last_in_force: at,
        };
        self.write(Change::Policy(kept)).await.map(drop)
    }

    /// Keeps a wording that is shown to people; whether it is new.
    pub async fn keep_text(&self, text: KeptText) -> Result<bool, StoreError> {
        self.write(Change::Text(Box::new(text))).await.map(|added| added > 0)
    }

    /// How often somebody was asked to confirm a request, and when again; durable before the mail it counts leaves.
    pub async fn keep_asking(&self, asking: Asking) -> Result<(), StoreError> {
        self.write(Change::Asking(asking)).await.map(drop)
    }

    /// Somebody is to be asked to confirm a request; whether that is new.
    pub async fn begin_asking(&self, request: i64, language: &str) -> Result<bool, StoreError> {
        let language = language.to_owned();
        self.write(Change::BeginAsking { request, language }).await.map(|new| new > 0)
    }

    /// Marks the next mail to confirm a request as sent; whether it may leave.
    pub async fn take_asking(&self, asking: &Asking) -> Result<bool, StoreError> {
        self.write(Change::TakeAsking { request: asking.request, sent: asking.sent }).await.map(|taken| taken > 0)
    }

    /// Nothing more is sent to have a request confirmed.
    pub async fn end_asking(&self, request: i64) -> Result<(), StoreError> {
        self.write(Change::EndAsking { request }).await.map(drop)
    }

    /// Somebody takes a list; the number of the act.
    pub async fn record_handover(&self, handover: &Handover) -> Result<i64, StoreError> {
        self.record_act(acts::HANDOVER, serde_json::to_value(handover)?).await
    }

    /// Records what was done with the record itself; resolves with the act's number. The body names nobody.
    pub async fn record_act(&self, kind: &'static str, body: serde_json::Value) -> Result<i64, StoreError> {
        self.write(Change::Act { kind, body }).await
    }

    /// These contacts stand on the list that this act records.
    pub async fn add_handed_over(&self, act: i64, contacts: Vec<i64>) -> Result<(), StoreError> {
        self.write(Change::HandedOver { act, contacts }).await.map(drop)
    }

    /// Drops the oldest messages from before `horizon`, a slice of them; the number dropped, 0 when none are left.
    pub async fn purge_journal(&self, horizon: Timestamp) -> Result<i64, StoreError> {
        self.write(Change::PurgeJournal { horizon }).await
    }

    /// Drops the proofs of these events, as far as nothing has relied on them since `horizon`; how many.
    pub async fn drop_proofs(&self, seqs: Vec<i64>, horizon: Timestamp) -> Result<i64, StoreError> {
        self.write(Change::DropProofs { seqs, horizon }).await
    }

    /// Drops marks of objections from before `horizon`, a slice of them; the number dropped, 0 when none are left.
    pub async fn purge_suppressions(&self, horizon: Timestamp) -> Result<i64, StoreError> {
        self.write(Change::PurgeSuppressions { horizon }).await
    }

    /// Keeps since when our unsubscribe address has been failing, or that it answers.
    pub async fn keep_link_failing(&self, since: Option<Timestamp>) -> Result<(), StoreError> {
        self.write(Change::LinkFailing { since }).await.map(drop)
    }

    /// Keeps a checkpoint for the next one to go on from; it proves nothing until it is kept elsewhere too.
    pub async fn keep_checkpoint(&self, new: NewCheckpoint) -> Result<(), StoreError> {
        self.write(Change::Checkpoint(Box::new(new))).await.map(drop)
    }

    /// Writes what is waiting and stops the writer; later changes are answered with [`StoreError::Gone`].
    pub fn shutdown(self) {
        self.inner.stop();
    }

    /// After [`PATIENCE`], or at once when the queue is full, the answer is [`StoreError::Busy`]: 451, and the client
    /// comes again. A change that was waited for too long stays queued and may still be written. That does no harm,
    /// because changes are written in the order in which they were handed over:
    ///
    /// - a message's row stands in the journal without an outcome, which is what came of it; the retry has its own. Its
    ///   places are given back, see [`Store::release_places`];
    /// - a revised verdict is the one by which the copy was held back;
    /// - an intent for a copy that was not sent makes a retry send it, as no row would; what is written of a copy
    ///   afterwards (done, forgotten, released) is what happened to it;
    /// - an objection from a link carries an id, and a suppression its hash, so that said again it is the same one; any
    ///   other event was really said, and is at worst in the history twice;
    /// - policies and purges come to the same when done again.
    async fn write(&self, change: Change) -> Written {
        let (answer, written) = oneshot::channel();
        let job = Job::Write { change, answer: Some(answer) };
        self.inner.jobs.try_send(job).map_err(|refused| refusal(&refused))?;
        match timeout(PATIENCE, written).await {
            Ok(written) => written.unwrap_or(Err(StoreError::Gone)),
            Err(_) => Err(StoreError::Busy),
        }
    }

    fn write_later(&self, change: Change) {
        let Err(refused) = self.inner.jobs.try_send(Job::Write { change, answer: None }) else {
            return;
        };
        let error = refusal(&refused);
        if let TrySendError::Full(Job::Write { change, .. }) | TrySendError::Disconnected(Job::Write { change, .. }) =
            refused
        {
            self.inner.health.gap(&change, &error);
        }
    }
}

/// Nobody waits for room: a task that did would keep other clients waiting too.
fn refusal(refused: &TrySendError<Job>) -> StoreError {
    match refused {
        TrySendError::Full(_) => StoreError::Busy,
        TrySendError::Disconnected(_) => StoreError::Gone,
    }
}

impl Inner {
    fn stop(&self) {
        let thread = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(thread) = thread {
            // Both fail only when the writer is gone already.
            _ = self.jobs.send(Job::Stop);
            _ = thread.join();
        }
    }
}

impl Drop for Inner {
    /// Nothing that was handed over is lost because somebody forgot to shut down.
    fn drop(&mut self) {
        self.stop();
    }
}
