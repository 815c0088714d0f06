//! The journal as it is read: pages by any filter, one message's whole story, counts.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::{Serialize, Serializer};

use super::error::StoreError;
use super::hand_on::{self, HandOn};
use super::journal::sender_key;
use super::moment::{micros, moment};
use crate::consent::token::HashKeys;
use crate::policy::because::Because;
use crate::policy::facts::MessageFacts;
use crate::policy::verdict::{Decision, Reason};
use crate::smtp::address::EmailAddress;

/// Which decisions; what is not named is not asked about.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    pub decision: Option<Decision>,
    pub reason: Option<Reason>,
    /// The topic or one below it.
    pub topic: Option<String>,
    pub controller: Option<String>,
    /// Envelope sender; empty is the null sender.
    pub sender: Option<String>,
    pub recipient: Option<EmailAddress>,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    at: i64,
    message: i64,
    decision: i64,
}

/// A message as it was decided.
#[derive(Clone, Debug, Serialize)]
pub struct MessageRow {
    #[serde(rename = "ref")]
    pub reference: String,
    pub at: Timestamp,
    pub session: String,
    pub listener: String,
    pub credential: Option<String>,
    pub client: String,
    pub envelope_from: String,
    pub message_id: Option<String>,
    pub size: i64,
    pub class: String,
    pub class_rule: String,
    pub class_evidence: Vec<String>,
    pub controller: Option<String>,
    pub topics: Vec<String>,
    pub families: Vec<String>,
    pub policy: String,
    pub mode: String,
    pub notes: Vec<String>,
    pub upstream: String,
    /// By what its places are known to be its own.
    #[serde(skip)]
    pub attempt: Option<[u8; 32]>,
}

/// What was decided about one recipient, and the last that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionRow {
    #[serde(skip)]
    pub position: Position,
    pub recipient: String,
    pub decision: String,
    pub reason: String,
    pub basis: Option<String>,
    pub secondary: Vec<String>,
    /// In JSON a sentence in English.
    #[serde(serialize_with = "sentence")]
    pub because: Because,
    pub events: Vec<i64>,
    pub last_day: Option<String>,
    pub flags: Vec<String>,
    pub reply: Option<String>,
    /// The highest event number this verdict could know.
    pub event_seq: i64,
    /// The last change to what was sent before that it could see.
    pub sent_seq: i64,
    /// The recipient's data were erased: a pseudonym stands for the address.
    pub erased: bool,
    /// None: the outcome is unknown, or there was nothing to deliver.
    pub outcome: Option<OutcomeRow>,
}

/// What upstream said.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeRow {
    pub result: String,
    pub code: Option<u16>,
    pub text: Option<String>,
    pub at: Timestamp,
    pub took_us: i64,
}

/// One message with everything that is kept of it.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    #[serde(flatten)]
    pub message: MessageRow,
    /// None: everybody it went to was erased, and what the rules looked at with them.
    pub facts: Option<MessageFacts>,
    pub decisions: Vec<DecisionRow>,
    /// The unsubscribe that was passed on to the mailer's own link.
    pub handed_on: Vec<HandOn>,
}

/// How many decisions were alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    pub class: String,
    pub decision: String,
    pub reason: String,
    pub recipients: i64,
    pub messages: i64,
}

fn sentence<S: Serializer>(because: &Because, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(because)
}

impl DecisionRow {
    /// The row's number.
    pub fn id(&self) -> i64 {
        self.position.decision
    }
}

const COLUMNS: &str = "m.id, m.reference, m.at, m.session, m.listener, m.credential, coalesce (m.client, 'erased'),
    coalesce (m.envelope_from, 'erased'), m.message_id, m.size, m.class, m.class_rule, coalesce (m.class_evidence, '[]'),
    m.controller, m.topics, m.families, m.policy, m.mode, m.notes, m.upstream,
    d.id, d.recipient, d.decision, d.reason, d.basis, d.secondary, d.because, d.events, d.last_day, d.flags, d.reply,
    coalesce (d.event_seq, m.event_seq),
    o.result, o.code, o.text, o.at, o.took_us, coalesce (d.sent_seq, m.sent_seq), m.attempt, d.person_salt IS NULL";

/// The last outcome that is about the recipient, or about every copy that left.
const TABLES: &str = "decision AS d JOIN message AS m ON m.id = d.message
    LEFT JOIN outcome AS o ON o.id = (
        SELECT max (id) FROM outcome WHERE message = d.message AND (decision = coalesce (d.revises, d.id)
            OR (decision IS NULL AND (d.decision = 'allow' OR m.mode = 'monitor'))))";

/// Of several verdicts about one recipient of a message the newest counts.
const NEWEST: &str = "NOT EXISTS (
    SELECT 1 FROM decision AS n WHERE n.revises = coalesce (d.revises, d.id) AND n.id > d.id)";

pub fn page(
    db: &Connection,
    keys: &HashKeys,
    filter: &Filter,
    after: Option<Position>,
    limit: usize,
) -> Result<Vec<(MessageRow, DecisionRow)>, StoreError> {
    let mut wanted = Conditions::of(filter, keys);
    // Both orders are the same; the one whose index the filter can use is the one that needs no sorting.
    let by = if filter.recipient.is_some() || filter.reason.is_some() { "d.at, d.message" } else { "m.at, m.id" };
    if let Some(Position { at, message, decision }) = after {
        wanted.add(&format!("({by}, d.id) < (?, ?, ?)"), [at.into(), message.into(), decision.into()]);
    }
    let order = by.split(", ").map(|column| format!("{column} DESC, ")).collect::<String>();
    let tail = format!("ORDER BY {order}d.id DESC LIMIT {limit}");
    wanted.select(db, &tail)
}

pub fn since(
    db: &Connection,
    keys: &HashKeys,
    filter: &Filter,
    id: i64,
    limit: usize,
) -> Result<Vec<(MessageRow, DecisionRow)>, StoreError> {
    let mut wanted = Conditions::of(filter, keys);
    wanted.add("d.id > ?", [id.into()]);
    wanted.select(db, &format!("ORDER BY d.id LIMIT {limit}"))
}

pub fn story(db: &Connection, keys: &HashKeys, reference: &str) -> Result<Option<Story>, StoreError> {
    let mut facts = db.prepare_cached("SELECT facts FROM message WHERE reference = ?1")?;
    let Some(facts) = facts.query_row([reference], |row| row.get::<_, Option<String>>(0)).optional()? else {
        return Ok(None);
    };
    let mut wanted = Conditions::of(&Filter::default(), keys);
    wanted.add("m.reference = ?", [reference.to_owned().into()]);
    let rows = wanted.select(db, "ORDER BY d.id")?;
    let message = rows.first().map(|(message, _)| message.clone());
    let decisions = rows.into_iter().map(|(_, decision)| decision).collect();
    let facts = facts.map(|facts| serde_json::from_str(&facts)).transpose()?;
    let handed_on = hand_on::list(db, Some(reference), 1)?;
    Ok(message.map(|message| Story { message, facts, decisions, handed_on }))
}

pub fn counts(db: &Connection, keys: &HashKeys, filter: &Filter) -> Result<Vec<Count>, StoreError> {
    let Conditions { text, values } = Conditions::of(filter, keys);
    let mut rows = db.prepare(&format!(
        "SELECT m.class, d.decision, d.reason, count (*), count (DISTINCT m.id)
         FROM decision AS d JOIN message AS m ON m.id = d.message WHERE {text}
         GROUP BY m.class, d.decision, d.reason ORDER BY count (*) DESC, d.reason"
    ))?;
    let count = |row: &Row<'_>| {
        let (class, decision, reason) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Count { class, decision, reason, recipients: row.get(3)?, messages: row.get(4)? })
    };
    Ok(rows.query_map(params_from_iter(values), count)?.collect::<Result<_, _>>()?)
}

/// A WHERE clause and what its question marks stand for.
struct Conditions {
    text: String,
    values: Vec<Value>,
}

impl Conditions {
    fn of(filter: &Filter, keys: &HashKeys) -> Conditions {
        let mut wanted = Conditions { text: NEWEST.into(), values: Vec::new() };
        let by_decision = filter.recipient.is_some() || filter.reason.is_some();
        let at = if by_decision { "d.at" } else { "m.at" };
        filter.since.iter().for_each(|since| wanted.add(&format!("{at} >= ?"), [micros(*since).into()]));
        filter.until.iter().for_each(|until| wanted.add(&format!("{at} < ?"), [micros(*until).into()]));
        filter.decision.iter().for_each(|decision| wanted.add("d.decision = ?", [text(decision.as_str())]));
        filter.reason.iter().for_each(|reason| wanted.add("d.reason = ?", [text(reason.as_str())]));
        filter.controller.iter().for_each(|controller| wanted.add("m.controller = ?", [text(controller)]));
        filter.sender.iter().for_each(|sender| wanted.add("m.sender_key = ?", [text(&sender_key(sender))]));
        if let Some(to) = &filter.recipient {
            wanted.add_recipient(&to.consent_key(), keys);
        }
        if let Some(topic) = &filter.topic {
            // `/` is followed by `0`: everything between is the topic's own branch.
            wanted.add(
                "EXISTS (SELECT 1 FROM message_topic AS t WHERE t.message = m.id
                    AND (t.topic = ? OR (t.topic > ? AND t.topic < ?)))",
                [text(topic), text(&format!("{topic}/")), text(&format!("{topic}0"))],
            );
        }
        wanted
    }

    fn add<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
        self.values.extend(values);
    }

    /// Under the address, and under whatever stands for it since it was erased.
    fn add_recipient(&mut self, key: &str, keys: &HashKeys) {
        let pseudonyms = keys.all_pseudonyms(key);
        self.text.push_str(&format!(" AND d.recipient_key IN (?{})", ", ?".repeat(pseudonyms.len())));
        self.values.push(text(key));
        self.values.extend(pseudonyms.iter().map(|pseudonym| text(pseudonym)));
    }

    fn select(self, db: &Connection, tail: &str) -> Result<Vec<(MessageRow, DecisionRow)>, StoreError> {
        let mut rows = db.prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE {} {tail}", self.text))?;
        let mut rows = rows.query(params_from_iter(self.values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((message(row)?, decision(row)?));
        }
        Ok(found)
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn message(row: &Row<'_>) -> Result<MessageRow, StoreError> {
    Ok(MessageRow {
        reference: row.get(1)?,
        at: moment(row.get(2)?)?,
        session: row.get(3)?,
        listener: row.get(4)?,
        credential: row.get(5)?,
        client: row.get(6)?,
        envelope_from: row.get(7)?,
        message_id: row.get(8)?,
        size: row.get(9)?,
        class: row.get(10)?,
        class_rule: row.get(11)?,
        class_evidence: list(row, 12)?,
        controller: row.get(13)?,
        topics: list(row, 14)?,
        families: list(row, 15)?,
        policy: row.get(16)?,
        mode: row.get(17)?,
        notes: list(row, 18)?,
        upstream: row.get(19)?,
        attempt: row.get(38)?,
    })
}

fn decision(row: &Row<'_>) -> Result<DecisionRow, StoreError> {
    let outcome = match row.get::<_, Option<String>>(32)? {
        Some(result) => Some(OutcomeRow {
            result,
            code: row.get(33)?,
            text: row.get(34)?,
            at: moment(row.get(35)?)?,
            took_us: row.get(36)?,
        }),
        None => None,
    };
    Ok(DecisionRow {
        position: Position { at: row.get(2)?, message: row.get(0)?, decision: row.get(20)? },
        recipient: row.get(21)?,
        decision: row.get(22)?,
        reason: row.get(23)?,
        basis: row.get(24)?,
        secondary: list(row, 25)?,
        because: serde_json::from_str(&row.get::<_, String>(26)?)?,
        events: serde_json::from_str(&row.get::<_, String>(27)?)?,
        last_day: row.get(28)?,
        flags: list(row, 29)?,
        reply: row.get(30)?,
        event_seq: row.get(31)?,
        sent_seq: row.get(37)?,
        erased: row.get(39)?,
        outcome,
    })
}

fn list(row: &Row<'_>, column: usize) -> Result<Vec<String>, StoreError> {
    Ok(serde_json::from_str(&row.get::<_, String>(column)?)?)
}

/// One message that went to somebody, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMail {
    pub controller: Option<String>,
    /// Without angle brackets.
    pub message_id: Option<String>,
}

/// So many messages to one address are looked through.
const MOST_SENT: i64 = 500;

/// What was let through to one address since then, the newest first; in monitor mode everything was.
pub fn sent_to(db: &Connection, recipient_key: &str, since: Timestamp) -> Result<Vec<SentMail>, StoreError> {
    let mut rows = db.prepare_cached(
        "SELECT m.controller, m.message_id FROM decision AS d JOIN message AS m ON m.id = d.message
         WHERE d.recipient_key = ?1 AND d.at >= ?2 AND (d.decision = 'allow' OR m.mode = 'monitor')
         ORDER BY d.at DESC LIMIT ?3",
    )?;
    let sent = rows.query_map(params![recipient_key, micros(since), MOST_SENT], |row| {
        let message_id: Option<String> = row.get(1)?;
        let bare = |id: String| id.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
        Ok(SentMail { controller: row.get(0)?, message_id: message_id.map(bare) })
    })?;
    Ok(sent.collect::<Result<_, _>>()?)
}
