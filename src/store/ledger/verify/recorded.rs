//! The second pass: every row against its entry, every entry against its row.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::{Fault, What, Work, kept};
use crate::consent::ledger::Digest;
use crate::consent::ledger::dropped::{Dropped, Part};
use crate::consent::ledger::entry::{Kind, leaf};
use crate::store::error::StoreError;
use crate::store::ledger::rows::{
    ActRow, Cursor, DecisionRow, EventRow, MessageRow, Misfit, OutcomeRow, Recorded, Split,
};

/// Controller and topic of what events name.
pub type Topics = BTreeSet<(String, String)>;

/// How many entries there are of each kind, and the topics named.
pub type Seen = (BTreeMap<&'static str, i64>, Topics);

pub struct Rows<'a> {
    db: &'a Connection,
    dropped: &'a Dropped,
    events: Cursor<EventRow>,
    messages: Cursor<MessageRow>,
    decisions: Cursor<DecisionRow>,
    outcomes: Cursor<OutcomeRow>,
    acts: Cursor<ActRow>,
    kinds: BTreeMap<&'static str, i64>,
    topics: Topics,
    marks: kept::PurgedMarks,
    /// Rows of `message_topic`.
    message_topics: i64,
}

/// A fault is an answer; only the store can fail.
type Held = Result<Option<Fault>, StoreError>;

/// An entry of the ledger.
struct Entry {
    seq: i64,
    row: i64,
    leaf: Digest,
}

enum Found<T> {
    Row(T),
    Gone,
    /// Another row comes first, which no entry stands for.
    Stranger(i64),
}

impl<'a> Rows<'a> {
    pub fn new(db: &'a Connection, dropped: &'a Dropped) -> Rows<'a> {
        Rows {
            db,
            dropped,
            events: Cursor::new(),
            messages: Cursor::new(),
            decisions: Cursor::new(),
            outcomes: Cursor::new(),
            acts: Cursor::new(),
            kinds: BTreeMap::new(),
            topics: BTreeSet::new(),
            marks: kept::PurgedMarks::default(),
            message_topics: 0,
        }
    }

    /// The first entry up to `last` whose row is not what it was.
    pub fn hold(&mut self, last: u64, work: &mut Work<'_, '_>) -> Held {
        let mut entries = self.db.prepare("SELECT seq, entry, row, leaf FROM ledger WHERE seq <= ?1 ORDER BY seq")?;
        let mut entries = entries.query([last])?;
        while let Some(found) = entries.next()? {
            work.step();
            let entry = Entry { seq: found.get(0)?, row: found.get(2)?, leaf: found.get(3)? };
            let kind = Kind::parse(found.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?);
            let Some(kind) = kind else {
                let why = "its kind is none that this program knows";
                return Ok(Some(Fault {
                    entry: Some(entry.seq),
                    ..Fault::new("ledger", entry.seq, What::Changed, why)
                }));
            };
            *self.kinds.entry(kind.as_str()).or_default() += 1;
            let fault = match kind {
                Kind::Event => self.event(&entry)?,
                Kind::Message => self.message(&entry)?,
                Kind::Revision => self.revision(&entry)?,
                Kind::Outcome => self.outcome(&entry)?,
                Kind::Act => self.act(&entry)?,
            };
            if let Some(fault) = fault {
                return Ok(Some(fault.at(entry.seq, kind)));
            }
        }
        Ok(None)
    }

    /// What is left has no entry.
    pub fn end(mut self) -> Result<Result<Seen, Fault>, StoreError> {
        let db = self.db;
        let stranger = |table, row: Option<i64>| row.map(|row| inserted(table, row));
        let left = stranger("event", self.events.peek(db)?.map(Recorded::row))
            .or(stranger("message", self.messages.peek(db)?.map(Recorded::row)))
            .or(stranger("decision", self.decisions.peek(db)?.map(Recorded::row)))
            .or(stranger("outcome", self.outcomes.peek(db)?.map(Recorded::row)))
            .or(stranger("act", self.acts.peek(db)?.map(Recorded::row)));
        let topics: i64 = db.query_row("SELECT count (*) FROM message_topic", [], |row| row.get(0))?;
        let why = "it holds topics of no message";
        let astray = (topics != self.message_topics).then(|| Fault::new("message_topic", None, What::Inserted, why));
        Ok(match left.or(astray) {
            Some(fault) => Err(fault),
            None => Ok((self.kinds, self.topics)),
        })
    }

    fn event(&mut self, entry: &Entry) -> Held {
        let row = match take(&mut self.events, self.db, entry.row)? {
            Found::Row(row) => row,
            other => return Ok(Some(missing("event", entry.row, &other))),
        };
        let parts = [(&row.proof, Part::EventProof), (&row.personal, Part::EventPersonal)];
        if let Some(fault) = compare("event", entry, row.ledger, row.canonical()) {
            return Ok(Some(fault));
        }
        if let Some(fault) = parts.iter().find_map(|(split, part)| self.lost("event", entry.row, split, *part)) {
            return Ok(Some(fault));
        }
        self.name_topics(&row)?;
        Ok(None)
    }

    fn name_topics(&mut self, row: &EventRow) -> Result<(), StoreError> {
        let Some(proof) = &row.proof.part else { return Ok(()) };
        let proof: serde_json::Value = serde_json::from_str(proof)?;
        let topics = proof["topics"].as_array().into_iter().flatten().filter_map(|topic| topic.as_str());
        for topic in topics.filter(|topic| *topic != "*") {
            self.topics.insert((row.controller.clone(), topic.to_owned()));
        }
        Ok(())
    }

    fn message(&mut self, entry: &Entry) -> Held {
        let row = match take(&mut self.messages, self.db, entry.row)? {
            Found::Row(_) if self.dropped.contains(Part::Message, entry.row) => {
                return Ok(Some(back("message", entry.row)));
            }
            Found::Row(row) => row,
            Found::Gone if self.dropped.contains(Part::Message, entry.row) => return Ok(None),
            other => return Ok(Some(missing("message", entry.row, &other))),
        };
        let mut decisions = Vec::new();
        while let Some(decision) = self.decisions.peek(self.db)?.filter(|d| d.message == row.id && d.revises.is_none())
        {
            let digest = decision.digest();
            let Some(decision) = self.decisions.pass() else { break };
            match digest {
                Ok(_) if decision.ledger.is_some() => {
                    let why = "it says that it has an entry of its own";
                    return Ok(Some(Fault::new("decision", decision.id, What::Changed, why)));
                }
                Ok(digest) => decisions.push(digest),
                Err(Misfit(why)) => return Ok(Some(Fault::new("decision", decision.id, What::Changed, why))),
            }
            if let Some(fault) = self.lost("decision", decision.id, &decision.person, Part::DecisionPerson) {
                return Ok(Some(fault));
            }
        }
        let fault = compare("message", entry, row.ledger, row.canonical(&decisions));
        let fault = fault.map(|fault| match fault.what {
            What::Changed => Fault {
                detail: format!("{}, or one of its {} decisions is not", fault.detail, decisions.len()),
                ..fault
            },
            _ => fault,
        });
        match fault.or_else(|| self.lost("message", row.id, &row.private, Part::MessagePrivate)) {
            Some(fault) => Ok(Some(fault)),
            None => self.message_topics(&row),
        }
    }

    /// The index of topics says what the message says.
    fn message_topics(&mut self, row: &MessageRow) -> Held {
        let expected: BTreeSet<String> = serde_json::from_str(&row.topics)?;
        let mut found = self.db.prepare_cached("SELECT topic FROM message_topic WHERE message = ?1 ORDER BY topic")?;
        let found: Vec<String> = found.query_map([row.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        self.message_topics += i64::try_from(found.len()).unwrap_or(i64::MAX);
        let same = found.iter().eq(&expected);
        let why = "the topics it is found by are not those of the message; `consentry ledger rebuild` makes them anew";
        Ok((!same).then(|| Fault::new("message_topic", row.id, What::Changed, why)))
    }

    fn revision(&mut self, entry: &Entry) -> Held {
        let row = match take(&mut self.decisions, self.db, entry.row)? {
            Found::Row(row) => row,
            Found::Gone if self.dropped.contains(Part::Decision, entry.row) => return Ok(None),
            other => return Ok(Some(missing("decision", entry.row, &other))),
        };
        let fault = compare("decision", entry, row.ledger.unwrap_or_default(), row.canonical());
        Ok(fault.or_else(|| self.lost("decision", row.id, &row.person, Part::DecisionPerson)))
    }

    fn outcome(&mut self, entry: &Entry) -> Held {
        let row = match take(&mut self.outcomes, self.db, entry.row)? {
            Found::Row(row) => row,
            Found::Gone if self.dropped.contains(Part::Outcome, entry.row) => return Ok(None),
            other => return Ok(Some(missing("outcome", entry.row, &other))),
        };
        let fault = compare("outcome", entry, row.ledger, row.canonical());
        let lost = || row.has_text().then(|| self.lost("outcome", row.id, &row.text, Part::OutcomeText)).flatten();
        Ok(fault.or_else(lost))
    }

    fn act(&mut self, entry: &Entry) -> Held {
        let row = match take(&mut self.acts, self.db, entry.row)? {
            Found::Row(row) => row,
            other => return Ok(Some(missing("act", entry.row, &other))),
        };
        match compare("act", entry, row.ledger, Ok(row.canonical())) {
            Some(fault) => Ok(Some(fault)),
            None => kept::hold_act(self.db, self.dropped, &mut self.marks, &row),
        }
    }

    /// A part may be gone only where an act says so, and then has to stay gone.
    fn lost(&self, table: &'static str, row: i64, split: &Split, part: Part) -> Option<Fault> {
        match (split.settle(), self.dropped.contains(part, row)) {
            (Ok((_, true)), false) => {
                let why = "what names the person, or what was said, is gone, and no erasure or retention lists it";
                Some(Fault::new(table, row, What::Removed, why))
            }
            (Ok((_, false)), true) => Some(back(table, row)),
            (Ok(_), _) => None,
            (Err(Misfit(why)), _) => Some(Fault::new(table, row, What::Changed, why)),
        }
    }
}

fn take<T: Recorded>(cursor: &mut Cursor<T>, db: &Connection, row: i64) -> Result<Found<T>, StoreError> {
    let next = cursor.peek(db)?.map(Recorded::row);
    Ok(match next {
        Some(next) if next < row => Found::Stranger(next),
        Some(next) if next == row => cursor.pass().map_or(Found::Gone, Found::Row),
        _ => Found::Gone,
    })
}

fn missing<T>(table: &'static str, row: i64, found: &Found<T>) -> Fault {
    match found {
        Found::Stranger(stranger) => inserted(table, *stranger),
        Found::Gone | Found::Row(_) => {
            Fault::new(table, row, What::Removed, "the row is gone, and no act says that it may be")
        }
    }
}

fn inserted(table: &'static str, row: i64) -> Fault {
    Fault::new(table, row, What::Inserted, "no entry of the ledger stands for this row")
}

fn back(table: &'static str, row: i64) -> Fault {
    Fault::new(
        table,
        row,
        What::Inserted,
        "this was dropped by an erasure or at the end of its retention, and stands there again",
    )
}

fn compare(table: &'static str, entry: &Entry, place: i64, canonical: Result<String, Misfit>) -> Option<Fault> {
    let holds = match &canonical {
        Ok(canonical) => leaf(canonical) == entry.leaf,
        Err(Misfit(why)) => return Some(Fault::new(table, entry.row, What::Changed, *why)),
    };
    match (holds, place == entry.seq) {
        (true, true) => None,
        (true, false) => {
            Some(Fault::new(table, entry.row, What::Changed, "it says that it stands elsewhere in the ledger"))
        }
        (false, false) => {
            let why = format!("what stands here belongs to entry {place}");
            Some(Fault::new(table, entry.row, What::OutOfOrder, why))
        }
        (false, true) => Some(Fault::new(table, entry.row, What::Changed, "the row is not what was recorded")),
    }
}
