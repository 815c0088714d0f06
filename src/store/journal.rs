//! The journal as it is written: one row per message, one per recipient, and what upstream said.

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::error::StoreError;
use super::ledger::{Chain, Salt, acts};
use super::moment::{micros, moment};
use super::sending::{self, Places};
use crate::consent::ledger::Digest;
use crate::consent::ledger::dropped::{Dropped, Part};
use crate::consent::ledger::entry::{
    DecisionPart, Kind, MessageEntry, MessagePrivate, OutcomeEntry, PersonPart, RevisionEntry, commitment,
};
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

/// Writes a message with all its decisions, as one entry of the ledger, and takes its places. Expects to be inside a
/// transaction.
pub fn record(db: &Connection, chain: &mut Chain<'_>, message: &MessageRecord) -> Result<(), StoreError> {
    sending::take(db, message)?;
    let texts = Texts::of(message)?;
    let private_part = MessagePrivate {
        credential: message.credential.as_deref(),
        client: &message.client,
        envelope_from: &message.envelope_from,
        sender_key: &texts.sender_key,
        message_id: message.message_id.as_deref(),
        class_evidence: &texts.class_evidence,
        facts: &texts.facts,
    };
    let (salt, private) = chain.commit_to(&private_part.to_json())?;
    let mut entry = MessageEntry {
        row: 0,
        reference: &message.reference,
        at: micros(message.at),
        session: &message.session,
        listener: &message.listener,
        size: i64::try_from(message.size).unwrap_or(i64::MAX),
        class: message.class.as_str(),
        class_rule: &message.class_rule,
        controller: message.controller.as_deref(),
        topics: &texts.topics,
        families: &texts.families,
        policy: &message.policy_hash,
        mode: message.mode.as_str(),
        notes: &texts.notes,
        event_seq: message.event_seq,
        sent_seq: message.places.seen,
        attempt: message.places.attempt.as_ref().map(<[u8; 32]>::as_slice),
        upstream: &message.upstream,
        private,
        decisions: &[],
    };
    entry.row = insert_message(db, chain.next(), &entry, &private_part, salt)?;
    let mut topic = db.prepare_cached("INSERT OR IGNORE INTO message_topic (message, topic) VALUES (?1, ?2)")?;
    for path in &message.topics {
        topic.execute(params![entry.row, path])?;
    }
    let decisions = message.verdicts.iter().map(|verdict| {
        let place = Place { message: entry.row, at: message.at, revises: None };
        insert_decision(db, chain, verdict, &place).map(|(_, digest)| digest)
    });
    let decisions: Vec<Digest> = decisions.collect::<Result<_, _>>()?;
    entry.decisions = &decisions;
    chain.append(db, Kind::Message, entry.row, &entry.to_json())
}

/// The columns that hold JSON, or are made for looking up.
struct Texts {
    sender_key: String,
    class_evidence: String,
    topics: String,
    families: String,
    facts: String,
    notes: String,
}

impl Texts {
    fn of(message: &MessageRecord) -> Result<Texts, StoreError> {
        Ok(Texts {
            sender_key: sender_key(&message.envelope_from),
            class_evidence: serde_json::to_string(&message.class_evidence)?,
            topics: serde_json::to_string(&message.topics)?,
            families: serde_json::to_string(&message.families)?,
            facts: serde_json::to_string(&message.facts)?,
            notes: serde_json::to_string(&message.notes)?,
        })
    }
}

fn insert_message(
    db: &Connection,
    ledger: i64,
    entry: &MessageEntry<'_>,
    private: &MessagePrivate<'_>,
    salt: Salt,
) -> Result<i64, StoreError> {
    db.prepare_cached(
        "INSERT INTO message (reference, at, session, listener, size, class, class_rule, controller, topics, families,
             policy, mode, notes, event_seq, sent_seq, attempt, upstream, ledger, credential, client, envelope_from,
             sender_key, message_id, class_evidence, facts, private_salt)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23, ?24, ?25, ?26)",
    )?
    .execute(params![
        entry.reference,
        entry.at,
        entry.session,
        entry.listener,
        entry.size,
        entry.class,
        entry.class_rule,
        entry.controller,
        entry.topics,
        entry.families,
        entry.policy,
        entry.mode,
        entry.notes,
        entry.event_seq,
        entry.sent_seq,
        entry.attempt,
        entry.upstream,
        ledger,
        private.credential,
        private.client,
        private.envelope_from,
        private.sender_key,
        private.message_id,
        private.class_evidence,
        private.facts,
        salt,
    ])?;
    Ok(db.last_insert_rowid())
}

/// Of a newer verdict: the first one, what the newer one could see, and its place in the ledger.
#[derive(Clone, Copy)]
struct Revises {
    first: i64,
    seen: Seen,
    ledger: i64,
}

/// Where a verdict stands.
struct Place {
    message: i64,
    at: Timestamp,
    revises: Option<Revises>,
}

fn insert_decision(
    db: &Connection,
    chain: &Chain<'_>,
    verdict: &RecordedVerdict,
    place: &Place,
) -> Result<(i64, Digest), StoreError> {
    let key = verdict.recipient.consent_key();
    let person =
        PersonPart { recipient: verdict.recipient.as_str(), recipient_key: &key, reply: verdict.reply.as_deref() };
    let (person_salt, person_digest) = chain.commit_to(&person.to_json())?;
    let salt = chain.salt()?;
    let last_day = verdict.last_day.map(|day| day.to_string());
    let mut part = DecisionPart {
        row: 0,
        message: place.message,
        at: micros(place.at),
        decision: verdict.decision.as_str(),
        reason: verdict.reason.as_str(),
        basis: verdict.basis.map(Basis::as_str),
        secondary: &serde_json::to_string(&verdict.secondary)?,
        because: &serde_json::to_string(&verdict.because)?,
        events: &serde_json::to_string(&verdict.events)?,
        last_day: last_day.as_deref(),
        flags: &serde_json::to_string(&verdict.flags)?,
        event_seq: place.revises.map(|revises| revises.seen.event_seq),
        sent_seq: place.revises.map(|revises| revises.seen.sent_seq),
        revises: place.revises.map(|revises| revises.first),
        person: person_digest,
    };
    db.prepare_cached(
        "INSERT INTO decision (message, at, recipient, recipient_key, decision, reason, basis, secondary, because,
             events, last_day, flags, reply, event_seq, sent_seq, revises, ledger, salt, person_salt)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    )?
    .execute(params![
        part.message,
        part.at,
        person.recipient,
        person.recipient_key,
        part.decision,
        part.reason,
        part.basis,
        part.secondary,
        part.because,
        part.events,
        part.last_day,
        part.flags,
        person.reply,
        part.event_seq,
        part.sent_seq,
        part.revises,
        place.revises.map(|revises| revises.ledger),
        salt,
        person_salt,
    ])?;
    part.row = db.last_insert_rowid();
    Ok((part.row, commitment(&salt, &part.to_json())))
}

/// Puts a newer verdict beside one that never took effect: an act of the person came before the copy did.
pub fn revise(
    db: &Connection,
    chain: &mut Chain<'_>,
    reference: &str,
    verdict: &RecordedVerdict,
    seen: Seen,
) -> Result<(), StoreError> {
    let message = known_message(db, reference)?.ok_or_else(|| unknown("a revised verdict"))?;
    let first = first_decision(db, message, &verdict.recipient)?.ok_or_else(|| unknown("a revised verdict"))?;
    let at = moment(db.query_row("SELECT at FROM message WHERE id = ?1", [message], |row| row.get(0))?)?;
    let place = Place { message, at, revises: Some(Revises { first, seen, ledger: chain.next() }) };
    let (row, decision) = insert_decision(db, chain, verdict, &place)?;
    chain.append(db, Kind::Revision, row, &RevisionEntry { row, message, decision }.to_json())
}

/// Links what upstream said to the decision, and gives back the places of what did not go; a message whose row was lost
/// has none to link to.
pub fn settle(db: &Connection, chain: &mut Chain<'_>, outcome: &Outcome) -> Result<(), StoreError> {
    let message = known_message(db, &outcome.reference)?.ok_or_else(|| unknown("an outcome"))?;
    let decision = match &outcome.recipient {
        Some(recipient) => Some(first_decision(db, message, recipient)?.ok_or_else(|| unknown("an outcome"))?),
        None => None,
    };
    let text = outcome.text.as_deref().map(|text| chain.commit_to(text)).transpose()?;
    let mut entry = OutcomeEntry {
        row: 0,
        message,
        decision,
        result: outcome.result.as_str(),
        code: outcome.code.map(i64::from),
        at: micros(outcome.at),
        took_us: i64::try_from(outcome.took_us).unwrap_or(i64::MAX),
        text: text.map(|(_, digest)| digest),
    };
    db.prepare_cached(
        "INSERT INTO outcome (message, decision, result, code, at, took_us, ledger, text, text_salt)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        entry.message,
        entry.decision,
        entry.result,
        entry.code,
        entry.at,
        entry.took_us,
        chain.next(),
        outcome.text,
        text.map(|(salt, _)| salt),
    ])?;
    entry.row = db.last_insert_rowid();
    chain.append(db, Kind::Outcome, entry.row, &entry.to_json())?;
    if outcome.result.is_certain_no() {
        sending::release(db, &outcome.reference, outcome.recipient.as_ref())?;
    }
    Ok(())
}

fn known_message(db: &Connection, reference: &str) -> Result<Option<i64>, StoreError> {
    let mut known = db.prepare_cached("SELECT id FROM message WHERE reference = ?1")?;
    Ok(known.query_row([reference], |row| row.get(0)).optional()?)
}

/// The first decision about a recipient, whose address may stand in a message in two spellings.
fn first_decision(db: &Connection, message: i64, recipient: &EmailAddress) -> Result<Option<i64>, StoreError> {
    let mut known = db.prepare_cached(
        "SELECT id FROM decision WHERE message = ?1 AND recipient_key = ?2 AND revises IS NULL
         ORDER BY recipient = ?3 DESC, id LIMIT 1",
    )?;
    let keys = params![message, recipient.consent_key(), recipient.as_str()];
    Ok(known.query_row(keys, |row| row.get(0)).optional()?)
}

fn unknown(what: &str) -> StoreError {
    StoreError::Failed(format!("{what} without its message"))
}

/// Drops messages from before `horizon` with all that belongs to them, and records which; and what no decision since then
/// can have seen of earlier mail. At most `limit` of each, to keep the transaction short; how many there were.
pub fn purge(
    db: &Connection,
    chain: &mut Chain<'_>,
    horizon: Timestamp,
    limit: usize,
    now: Timestamp,
) -> Result<i64, StoreError> {
    const OLD: &str = "SELECT id FROM message WHERE at < ?1 ORDER BY at LIMIT ?2";
    let horizon = micros(horizon);
    let mut dropped = Dropped::default();
    for (part, of_old) in [
        (Part::Message, OLD.to_owned()),
        (Part::Decision, format!("SELECT id FROM decision WHERE message IN ({OLD})")),
        (Part::Outcome, format!("SELECT id FROM outcome WHERE message IN ({OLD})")),
    ] {
        let mut rows = db.prepare_cached(&of_old)?;
        let mut rows = rows.query(params![horizon, limit])?;
        while let Some(row) = rows.next()? {
            dropped.add(part, row.get(0)?);
        }
    }
    let unseen = i64::try_from(sending::purge(db, horizon, limit)?).unwrap_or(i64::MAX);
    if dropped.is_empty() {
        return Ok(unseen);
    }
    for table in ["mailer_link", "hand_on"] {
        let of_old = format!("reference IN (SELECT reference FROM message WHERE id IN ({OLD}))");
        db.prepare_cached(&format!("DELETE FROM {table} WHERE {of_old}"))?.execute(params![horizon, limit])?;
    }
    // A newer verdict refers to the first one, so that it goes before it.
    for table in ["message_topic", "outcome", "decision"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE message IN ({OLD})"))?
            .execute(params![horizon, limit])?;
    }
    db.prepare_cached(&format!("DELETE FROM message WHERE id IN ({OLD})"))?.execute(params![horizon, limit])?;
    let body = json!({"rule": "journal_retention", "before": horizon, "dropped": dropped});
    acts::record(db, chain, acts::PURGE, &body, now)?;
    Ok(dropped.count(Part::Message) + unseen)
}

/// What a sender is looked up by: the same address however it was written; empty for the null sender.
pub fn sender_key(envelope_from: &str) -> String {
    let parsed = ReversePath::parse(envelope_from).ok();
    let key = parsed.as_ref().and_then(ReversePath::mailbox).map(EmailAddress::consent_key);
    key.unwrap_or_else(|| envelope_from.to_lowercase())
}
