//! Rows as the ledger sees them: what an entry was made of, read back.

use std::collections::VecDeque;

use rusqlite::{Connection, Row};

use super::acts;
use crate::consent::ledger::Digest;
use crate::consent::ledger::dropped::Dropped;
use crate::consent::ledger::entry::{
    ActEntry, DecisionPart, EventEntry, MessageEntry, MessagePrivate, OutcomeEntry, PersonPart, RevisionEntry,
    commitment,
};
use crate::store::error::StoreError;

/// How many rows are read at once.
const PAGE: usize = 500;

/// Why a row cannot be what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(pub &'static str);

/// A part that may have been dropped: there with its salt, or gone with the digest in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub part: Option<String>,
    pub salt: Option<Vec<u8>>,
    pub digest: Option<Vec<u8>>,
}

impl Split {
    fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Split> {
        Ok(Split { part: row.get(first)?, salt: row.get(first + 1)?, digest: row.get(first + 2)? })
    }

    /// What stands in the entry, and whether the part is gone.
    pub fn settle(&self) -> Result<(Digest, bool), Misfit> {
        match (&self.part, &self.salt, &self.digest) {
            (Some(part), Some(salt), None) => Ok((commitment(salt, part), false)),
            (None, None, Some(digest)) => {
                let digest = Digest::try_from(digest.as_slice()).map_err(|_| Misfit("a digest is none"))?;
                Ok((digest, true))
            }
            (Some(_), None, _) => Err(Misfit("the salt of a part is gone")),
            (None, Some(_), _) | (None, None, None) => Err(Misfit("a part is gone and nothing stands in its place")),
            (Some(_), Some(_), Some(_)) => Err(Misfit("a part stands beside the digest that would take its place")),
        }
    }
}

/// A row that has an entry, or a part in one.
pub trait Recorded: Sized {
    /// Columns and table, up to WHERE.
    const SELECT: &'static str;
    /// The column of the row's number.
    const NUMBER: &'static str;

    fn read(row: &Row<'_>) -> rusqlite::Result<Self>;
    fn row(&self) -> i64;

    fn get(db: &Connection, row: i64) -> Result<Option<Self>, StoreError> {
        let mut found = db.prepare_cached(&format!("{} WHERE {} = ?1", Self::SELECT, Self::NUMBER))?;
        let mut found = found.query([row])?;
        Ok(found.next()?.map(Self::read).transpose()?)
    }
}

/// The rows of a table in the order of their numbers, a page at a time.
pub struct Cursor<T> {
    page: VecDeque<T>,
    after: i64,
    ended: bool,
}

impl<T: Recorded> Cursor<T> {
    pub fn new() -> Cursor<T> {
        Cursor { page: VecDeque::new(), after: i64::MIN, ended: false }
    }

    /// The next row, without passing it.
    pub fn peek(&mut self, db: &Connection) -> Result<Option<&T>, StoreError> {
        if self.page.is_empty() && !self.ended {
            let number = T::NUMBER;
            let sql = format!("{} WHERE {number} > ?1 ORDER BY {number} LIMIT {PAGE}", T::SELECT);
            let mut rows = db.prepare_cached(&sql)?;
            let found = rows.query_map([self.after], |row| T::read(row))?;
            self.page = found.collect::<Result<_, _>>()?;
            self.ended = self.page.len() < PAGE;
            self.after = self.page.back().map_or(self.after, T::row);
        }
        Ok(self.page.front())
    }

    pub fn pass(&mut self) -> Option<T> {
        self.page.pop_front()
    }
}

#[derive(Clone, Debug)]
pub struct EventRow {
    pub seq: i64,
    pub contact: i64,
    pub controller: String,
    pub kind: String,
    pub at: i64,
    pub recorded_at: i64,
    pub external: Option<Vec<u8>>,
    pub ledger: i64,
    pub proof: Split,
    pub personal: Split,
}

impl Recorded for EventRow {
    const SELECT: &'static str = "SELECT seq, contact, controller, type, at, recorded_at, external, ledger,
        proof, proof_salt, proof_digest, personal, personal_salt, personal_digest FROM event";
    const NUMBER: &'static str = "seq";

    fn read(row: &Row<'_>) -> rusqlite::Result<EventRow> {
        Ok(EventRow {
            seq: row.get(0)?,
            contact: row.get(1)?,
            controller: row.get(2)?,
            kind: row.get(3)?,
            at: row.get(4)?,
            recorded_at: row.get(5)?,
            external: row.get(6)?,
            ledger: row.get(7)?,
            proof: Split::read(row, 8)?,
            personal: Split::read(row, 11)?,
        })
    }

    fn row(&self) -> i64 {
        self.seq
    }
}

impl EventRow {
    pub fn canonical(&self) -> Result<String, Misfit> {
        let entry = EventEntry {
            row: self.seq,
            contact: self.contact,
            controller: &self.controller,
            kind: &self.kind,
            at: self.at,
            recorded_at: self.recorded_at,
            external: self.external.as_deref(),
            proof: self.proof.settle()?.0,
            personal: self.personal.settle()?.0,
        };
        Ok(entry.to_json())
    }
}

#[derive(Clone, Debug)]
pub struct MessageRow {
    pub id: i64,
    pub reference: String,
    pub at: i64,
    pub session: String,
    pub listener: String,
    pub size: i64,
    pub class: String,
    pub class_rule: String,
    pub controller: Option<String>,
    pub topics: String,
    pub families: String,
    pub policy: String,
    pub mode: String,
    pub notes: String,
    pub event_seq: i64,
    pub sent_seq: i64,
    pub attempt: Option<Vec<u8>>,
    pub upstream: String,
    pub ledger: i64,
    /// The columns that may name a person, as one part.
    pub private: Split,
}

impl Recorded for MessageRow {
    const SELECT: &'static str = "SELECT id, reference, at, session, listener, size, class, class_rule, controller, topics,
        families, policy, mode, notes, event_seq, sent_seq, attempt, upstream, ledger, credential, client, envelope_from, sender_key,
        message_id, class_evidence, facts, private_salt, private_digest FROM message";
    const NUMBER: &'static str = "id";

    fn read(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
        Ok(MessageRow {
            id: row.get(0)?,
            reference: row.get(1)?,
            at: row.get(2)?,
            session: row.get(3)?,
            listener: row.get(4)?,
            size: row.get(5)?,
            class: row.get(6)?,
            class_rule: row.get(7)?,
            controller: row.get(8)?,
            topics: row.get(9)?,
            families: row.get(10)?,
            policy: row.get(11)?,
            mode: row.get(12)?,
            notes: row.get(13)?,
            event_seq: row.get(14)?,
            sent_seq: row.get(15)?,
            attempt: row.get(16)?,
            upstream: row.get(17)?,
            ledger: row.get(18)?,
            private: Split { part: private_part(row)?, salt: row.get(26)?, digest: row.get(27)? },
        })
    }

    fn row(&self) -> i64 {
        self.id
    }
}

/// None when every column is empty; columns that are missing one by one make a part that fits nothing.
fn private_part(row: &Row<'_>) -> rusqlite::Result<Option<String>> {
    let columns: Vec<Option<String>> = (19..26).map(|column| row.get(column)).collect::<Result<_, _>>()?;
    if columns.iter().all(Option::is_none) {
        return Ok(None);
    }
    let text = |column: usize| columns[column].as_deref().unwrap_or_default();
    let private = MessagePrivate {
        credential: columns[0].as_deref(),
        client: text(1),
        envelope_from: text(2),
        sender_key: text(3),
        message_id: columns[4].as_deref(),
        class_evidence: text(5),
        facts: text(6),
    };
    Ok(Some(private.to_json()))
}

impl MessageRow {
    pub fn canonical(&self, decisions: &[Digest]) -> Result<String, Misfit> {
        let entry = MessageEntry {
            row: self.id,
            reference: &self.reference,
            at: self.at,
            session: &self.session,
            listener: &self.listener,
            size: self.size,
            class: &self.class,
            class_rule: &self.class_rule,
            controller: self.controller.as_deref(),
            topics: &self.topics,
            families: &self.families,
            policy: &self.policy,
            mode: &self.mode,
            notes: &self.notes,
            event_seq: self.event_seq,
            sent_seq: self.sent_seq,
            attempt: self.attempt.as_deref(),
            upstream: &self.upstream,
            private: self.private.settle()?.0,
            decisions,
        };
        Ok(entry.to_json())
    }
}

#[derive(Clone, Debug)]
pub struct DecisionRow {
    pub id: i64,
    pub message: i64,
    pub at: i64,
    pub decision: String,
    pub reason: String,
    pub basis: Option<String>,
    pub secondary: String,
    pub because: String,
    pub events: String,
    pub last_day: Option<String>,
    pub flags: String,
    pub event_seq: Option<i64>,
    pub sent_seq: Option<i64>,
    pub revises: Option<i64>,
    pub ledger: Option<i64>,
    pub salt: Vec<u8>,
    /// Recipient and reply.
    pub person: Split,
}

impl Recorded for DecisionRow {
    const SELECT: &'static str = "SELECT id, message, at, decision, reason, basis, secondary, because, events, last_day,
        flags, event_seq, sent_seq, revises, ledger, salt, recipient, recipient_key, reply, person_salt, person_digest FROM decision";
    const NUMBER: &'static str = "id";

    fn read(row: &Row<'_>) -> rusqlite::Result<DecisionRow> {
        let (recipient, key, reply): (String, String, Option<String>) = (row.get(16)?, row.get(17)?, row.get(18)?);
        let (salt, digest): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(19)?, row.get(20)?);
        let forgotten = digest.is_some() && reply.is_none() && crate::store::erasure::is_pseudonym(&recipient);
        let person = PersonPart { recipient: &recipient, recipient_key: &key, reply: reply.as_deref() };
        let part = (!forgotten || recipient != key).then(|| person.to_json());
        Ok(DecisionRow {
            id: row.get(0)?,
            message: row.get(1)?,
            at: row.get(2)?,
            decision: row.get(3)?,
            reason: row.get(4)?,
            basis: row.get(5)?,
            secondary: row.get(6)?,
            because: row.get(7)?,
            events: row.get(8)?,
            last_day: row.get(9)?,
            flags: row.get(10)?,
            event_seq: row.get(11)?,
            sent_seq: row.get(12)?,
            revises: row.get(13)?,
            ledger: row.get(14)?,
            salt: row.get(15)?,
            person: Split { part, salt, digest },
        })
    }

    fn row(&self) -> i64 {
        self.id
    }
}

impl DecisionRow {
    /// The part that its digest stands for in an entry.
    pub fn part(&self) -> Result<String, Misfit> {
        let part = DecisionPart {
            row: self.id,
            message: self.message,
            at: self.at,
            decision: &self.decision,
            reason: &self.reason,
            basis: self.basis.as_deref(),
            secondary: &self.secondary,
            because: &self.because,
            events: &self.events,
            last_day: self.last_day.as_deref(),
            flags: &self.flags,
            event_seq: self.event_seq,
            sent_seq: self.sent_seq,
            revises: self.revises,
            person: self.person.settle()?.0,
        };
        Ok(part.to_json())
    }

    pub fn digest(&self) -> Result<Digest, Misfit> {
        Ok(commitment(&self.salt, &self.part()?))
    }

    /// Of a newer verdict.
    pub fn canonical(&self) -> Result<String, Misfit> {
        Ok(RevisionEntry { row: self.id, message: self.message, decision: self.digest()? }.to_json())
    }
}

#[derive(Clone, Debug)]
pub struct OutcomeRow {
    pub id: i64,
    pub message: i64,
    pub decision: Option<i64>,
    pub result: String,
    pub code: Option<i64>,
    pub at: i64,
    pub took_us: i64,
    pub ledger: i64,
    pub text: Split,
}

impl Recorded for OutcomeRow {
    const SELECT: &'static str = "SELECT id, message, decision, result, code, at, took_us, ledger,
        text, text_salt, text_digest FROM outcome";
    const NUMBER: &'static str = "id";

    fn read(row: &Row<'_>) -> rusqlite::Result<OutcomeRow> {
        Ok(OutcomeRow {
            id: row.get(0)?,
            message: row.get(1)?,
            decision: row.get(2)?,
            result: row.get(3)?,
            code: row.get(4)?,
            at: row.get(5)?,
            took_us: row.get(6)?,
            ledger: row.get(7)?,
            text: Split::read(row, 8)?,
        })
    }

    fn row(&self) -> i64 {
        self.id
    }
}

impl OutcomeRow {
    /// Whether upstream said anything, whether it is still there or not.
    pub fn has_text(&self) -> bool {
        self.text.part.is_some() || self.text.salt.is_some() || self.text.digest.is_some()
    }

    pub fn canonical(&self) -> Result<String, Misfit> {
        let entry = OutcomeEntry {
            row: self.id,
            message: self.message,
            decision: self.decision,
            result: &self.result,
            code: self.code,
            at: self.at,
            took_us: self.took_us,
            text: if self.has_text() { Some(self.text.settle()?.0) } else { None },
        };
        Ok(entry.to_json())
    }
}

#[derive(Clone, Debug)]
pub struct ActRow {
    pub id: i64,
    pub at: i64,
    pub kind: String,
    pub body: String,
    pub ledger: i64,
}

impl Recorded for ActRow {
    const SELECT: &'static str = "SELECT id, at, kind, body, ledger FROM act";
    const NUMBER: &'static str = "id";

    fn read(row: &Row<'_>) -> rusqlite::Result<ActRow> {
        Ok(ActRow { id: row.get(0)?, at: row.get(1)?, kind: row.get(2)?, body: row.get(3)?, ledger: row.get(4)? })
    }

    fn row(&self) -> i64 {
        self.id
    }
}

impl ActRow {
    pub fn canonical(&self) -> String {
        ActEntry { row: self.id, at: self.at, kind: &self.kind, body: &self.body }.to_json()
    }

    /// Which rows lost what by it.
    pub fn dropped(&self) -> Option<Dropped> {
        let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        let drops = matches!(self.kind.as_str(), acts::ERASURE | acts::PURGE);
        drops.then(|| serde_json::from_value(body["dropped"].clone()).ok()).flatten()
    }
}
