//! The journal as it is written: one row per message, one per recipient, and what upstream said.

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::moment::micros;
use super::sending::{self, Places};
use crate::policy::because::Because;
use crate::policy::facts::MessageFacts;
use crate::policy::rules::{Class, Mode};
use crate::policy::verdict::{Basis, Decision, Reason, Verdict};
use crate::policy::word::words;
use crate::smtp::address::{EmailAddress, ReversePath};

/// One message and its verdicts, as they were when it was decided. Never the body, nor the subject.
#[derive(Clone, Debug)]
pub struct MessageRecord {
    pub reference: String,
    pub at: Timestamp,
    pub session: String,
    pub listener: String,
    pub credential: Option<String>,
    pub client: String,
    pub envelope_from: String,
    pub message_id: Option<String>,
    pub size: u64,
    pub class: Class,
    pub class_rule: String,
    pub class_evidence: Vec<String>,
    pub controller: Option<String>,
    pub topics: Vec<String>,
    pub families: Vec<String>,
    pub policy_hash: String,
    pub mode: Mode,
    pub facts: MessageFacts,
    pub notes: Vec<String>,
    /// The highest event number the decision could know.
    pub event_seq: i64,
    pub upstream: String,
    pub verdicts: Vec<RecordedVerdict>,
    /// What it takes of the room that earlier mail leaves.
    pub places: Places,
}

/// How far a decision could see: the numbers of the last event and of the last change to what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub event_seq: i64,
    pub sent_seq: i64,
}

/// What was decided about one recipient, and what its mailer was told when it was withheld.
#[derive(Clone, Debug)]
pub struct RecordedVerdict {
    pub recipient: EmailAddress,
    pub decision: Decision,
    pub reason: Reason,
    pub basis: Option<Basis>,
    pub secondary: Vec<Reason>,
    pub because: Because,
    pub events: Vec<i64>,
    pub last_day: Option<Date>,
    pub flags: Vec<Reason>,
    pub reply: Option<String>,
}

impl RecordedVerdict {
    pub fn new(verdict: &Verdict, reply: Option<String>) -> RecordedVerdict {
        RecordedVerdict {
            recipient: verdict.recipient.clone(),
            decision: verdict.decision,
            reason: verdict.reason,
            basis: verdict.basis,
            secondary: verdict.secondary.clone(),
            because: verdict.because.clone(),
            events: verdict.events.clone(),
            last_day: verdict.last_day,
            flags: verdict.flags.clone(),
            reply,
        }
    }
}

words! {
    /// What became of a copy.
    pub enum OutcomeResult {
        Delivered = "delivered",
        Refused = "refused",
        Deferred = "deferred",
        Unknown = "unknown",
        Discarded = "discarded",
        AlreadyDelivered = "already_delivered",
        Withheld = "withheld",
    }
}

impl OutcomeResult {
    /// For certain nothing went; what nobody knows may have gone.
    pub fn is_certain_no(self) -> bool {
        match self {
            OutcomeResult::Refused | OutcomeResult::Deferred | OutcomeResult::Discarded | OutcomeResult::Withheld => {
                true
            }
            OutcomeResult::Delivered | OutcomeResult::Unknown | OutcomeResult::AlreadyDelivered => false,
        }
    }
}

/// What upstream said, once it has; a decision without one reads as outcome unknown.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub reference: String,
    /// `None`: every copy that was allowed.
    pub recipient: Option<EmailAddress>,
    pub result: OutcomeResult,
    pub code: Option<u16>,
    pub text: Option<String>,
    pub at: Timestamp,
    pub took_us: u64,
}

/// Writes a message with all its decisions and takes its places. Expects to be inside a transaction.
pub fn record(db: &Connection, message: &MessageRecord) -> Result<(), StoreError> {
    sending::take(db, message)?;
    insert_message(db, message)?;
    let id = db.last_insert_rowid();
    let mut topic = db.prepare_cached("INSERT OR IGNORE INTO message_topic (message, topic) VALUES (?1, ?2)")?;
    for path in &message.topics {
        topic.execute(params![id, path])?;
    }
    for verdict in &message.verdicts {
        insert_decision(db, id, message.at, verdict)?;
    }
    Ok(())
}

fn insert_message(db: &Connection, message: &MessageRecord) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO message (reference, at, session, listener, credential, client, envelope_from, sender_key,
             message_id, size, class, class_rule, class_evidence, controller, topics, families, policy, mode, facts,
             notes, event_seq, sent_seq, attempt, upstream)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
             ?24)",
    )?
    .execute(params![
        message.reference,
        micros(message.at),
        message.session,
        message.listener,
        message.credential,
        message.client,
        message.envelope_from,
        sender_key(&message.envelope_from),
        message.message_id,
        i64::try_from(message.size).unwrap_or(i64::MAX),
        message.class.as_str(),
        message.class_rule,
        serde_json::to_string(&message.class_evidence)?,
        message.controller,
        serde_json::to_string(&message.topics)?,
        serde_json::to_string(&message.families)?,
        message.policy_hash,
        message.mode.as_str(),
        serde_json::to_string(&message.facts)?,
        serde_json::to_string(&message.notes)?,
        message.event_seq,
        message.places.seen,
        message.places.attempt,
        message.upstream,
    ])?;
    Ok(())
}

fn insert_decision(db: &Connection, message: i64, at: Timestamp, verdict: &RecordedVerdict) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO decision (message, at, recipient, recipient_key, decision, reason, basis, secondary, because,
             events, last_day, flags, reply)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        message,
        micros(at),
        verdict.recipient.as_str(),
        verdict.recipient.consent_key(),
        verdict.decision.as_str(),
        verdict.reason.as_str(),
        verdict.basis.map(Basis::as_str),
        serde_json::to_string(&verdict.secondary)?,
        serde_json::to_string(&verdict.because)?,
        serde_json::to_string(&verdict.events)?,
        verdict.last_day.map(|day| day.to_string()),
        serde_json::to_string(&verdict.flags)?,
        verdict.reply,
    ])?;
    Ok(())
}

/// Puts a newer verdict in the place of one that never took effect: an act of the person came before the copy did.
pub fn revise(db: &Connection, reference: &str, verdict: &RecordedVerdict, seen: Seen) -> Result<(), StoreError> {
    let message: i64 = db.query_row("SELECT id FROM message WHERE reference = ?1", [reference], |row| row.get(0))?;
    db.execute(
        "UPDATE decision SET decision = ?3, reason = ?4, basis = ?5, secondary = ?6, because = ?7, events = ?8,
             last_day = ?9, flags = ?10, event_seq = ?11, sent_seq = ?12
         WHERE message = ?1 AND recipient_key = ?2",
        params![
            message,
            verdict.recipient.consent_key(),
            verdict.decision.as_str(),
            verdict.reason.as_str(),
            verdict.basis.map(Basis::as_str),
            serde_json::to_string(&verdict.secondary)?,
            serde_json::to_string(&verdict.because)?,
            serde_json::to_string(&verdict.events)?,
            verdict.last_day.map(|day| day.to_string()),
            serde_json::to_string(&verdict.flags)?,
            seen.event_seq,
            seen.sent_seq,
        ],
    )?;
    Ok(())
}

/// Links what upstream said to the decision, and gives back the places of what did not go; a message whose row was lost
/// has none to link to.
pub fn settle(db: &Connection, outcome: &Outcome) -> Result<(), StoreError> {
    let mut known = db.prepare_cached("SELECT id FROM message WHERE reference = ?1")?;
    let message: Option<i64> = known.query_row([&outcome.reference], |row| row.get(0)).optional()?;
    let message = message.ok_or_else(|| StoreError::Failed("an outcome without its message".into()))?;
    db.prepare_cached(
        "INSERT INTO outcome (message, recipient_key, result, code, text, at, took_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        message,
        outcome.recipient.as_ref().map(EmailAddress::consent_key),
        outcome.result.as_str(),
        outcome.code,
        outcome.text,
        micros(outcome.at),
        i64::try_from(outcome.took_us).unwrap_or(i64::MAX),
    ])?;
    if outcome.result.is_certain_no() {
        sending::release(db, &outcome.reference, outcome.recipient.as_ref())?;
    }
    Ok(())
}

/// Drops messages from before `horizon` with all that belongs to them, and what no decision since then can have seen of
/// earlier mail; at most `limit` of each, to keep the transaction short.
pub fn purge(db: &Connection, horizon: Timestamp, limit: usize) -> Result<usize, StoreError> {
    const OLD: &str = "SELECT id FROM message WHERE at < ?1 ORDER BY at LIMIT ?2";
    let horizon = micros(horizon);
    for table in ["message_topic", "decision", "outcome"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE message IN ({OLD})"))?
            .execute(params![horizon, limit])?;
    }
    let unseen = sending::purge(db, horizon, limit)?;
    let old =
        db.prepare_cached(&format!("DELETE FROM message WHERE id IN ({OLD})"))?.execute(params![horizon, limit])?;
    Ok(old + unseen)
}

/// What a sender is looked up by: the same address however it was written; empty for the null sender.
pub fn sender_key(envelope_from: &str) -> String {
    let parsed = ReversePath::parse(envelope_from).ok();
    let key = parsed.as_ref().and_then(ReversePath::mailbox).map(EmailAddress::consent_key);
    key.unwrap_or_else(|| envelope_from.to_lowercase())
}
