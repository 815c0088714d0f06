//! What is derived from the record, compared with it and made anew: folded states, and the topics things are found by.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use serde::Serialize;
use serde_json::json;

use super::erasure::is_pseudonym;
use super::error::StoreError;
use super::fold;
use super::ledger::rows::{Cursor, EventRow, MessageRow, Recorded};
use super::ledger::{Chain, LedgerKeys, acts};
use super::presence::Lookout;
use super::schema;
use crate::consent::token::HashKeys;

/// How many contacts or messages are made anew under one lock.
const SLICE: usize = 500;

/// What was not what the record comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub table: &'static str,
    /// Of the contact or message.
    pub row: i64,
    /// The controller of a state.
    pub controller: Option<String>,
    pub what: &'static str,
}

/// Compares what is derived with what it is derived from; with `write` it is made anew. A gate may go on meanwhile.
pub struct Rebuild {
    db: Connection,
    keys: LedgerKeys,
    write: bool,
}

impl Rebuild {
    pub fn open(store: &Path, hash_keys: HashKeys, write: bool) -> Result<Rebuild, StoreError> {
        let db = if write { schema::open_writer(store)?.0 } else { schema::open_reader(store)?.0 };
        let keys = LedgerKeys::beside_others(&db, hash_keys, !write || Lookout::open(store)?.is_alone())?;
        Ok(Rebuild { db, keys, write })
    }

    /// All that differs, in the order of the tables; `progress` hears how many rows of how many were looked at.
    pub fn run(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<Difference>, StoreError> {
        let count = |table: &str, number: &str| -> Result<i64, StoreError> {
            let last = format!("SELECT coalesce (max ({number}), 0) FROM {table}");
            Ok(self.db.query_row(&last, [], |row| row.get(0))?)
        };
        let (contacts, messages) = (count("contact", "id")?, count("message", "id")?);
        let all = u64::try_from(contacts + messages + count("event", "seq")?).unwrap_or_default();
        let (mut found, mut done) = (Vec::new(), 0);
        for (last, table) in [(contacts, of_contact as Remake), (messages, of_message)] {
            let mut row = 0;
            while row < last {
                let until = last.min(row + i64::try_from(SLICE).unwrap_or(i64::MAX));
                self.slice(row + 1, until, table, &mut found)?;
                done += u64::try_from(until - row).unwrap_or_default();
                row = until;
                progress(done, all);
            }
        }
        self.topics_named(&mut found, (done, all), progress)?;
        if self.write && !found.is_empty() {
            self.record(found.len())?;
        }
        Ok(found)
    }

    fn slice(&mut self, first: i64, last: i64, remake: Remake, found: &mut Vec<Difference>) -> Result<(), StoreError> {
        let behaviour = if self.write { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
        let step = self.db.transaction_with_behavior(behaviour)?;
        for row in first..=last {
            remake(&step, row, self.write, found)?;
        }
        Ok(step.commit()?)
    }

    /// Every event is read in a snapshot, in which others write; what differs is written afterwards, held once more to
    /// what they wrote. `done` of `all` rows were looked at before.
    fn topics_named(
        &mut self,
        found: &mut Vec<Difference>,
        (done, all): (u64, u64),
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StoreError> {
        let snapshot = self.db.transaction_with_behavior(TransactionBehavior::Deferred)?;
        let (mut events, mut named, mut forgotten) = (Cursor::<EventRow>::new(), BTreeSet::new(), false);
        let mut looked_at = 0;
        let mut last = 0;
        while events.peek(&snapshot)?.is_some() {
            let Some(event) = events.pass() else { break };
            last = event.seq;
            match &event.proof.part {
                Some(proof) => named.extend(topics_in(&event.controller, proof)?),
                None => forgotten = true,
            }
            looked_at += 1;
            if looked_at % SLICE == 0 {
                progress(done + looked_at as u64, all);
            }
        }
        let known: BTreeSet<Topic> = super::events::topics_named(&snapshot)?.into_iter().collect();
        progress(all, all);
        drop(snapshot);
        let missing: Vec<Topic> = named.difference(&known).cloned().collect();
        let extra: Vec<Topic> = known.difference(&named).filter(|_| !forgotten).cloned().collect();
        let differs = |what| {
            move |(controller, _): &Topic| Difference {
                table: "topic_named",
                row: 0,
                controller: Some(controller.clone()),
                what,
            }
        };
        found.extend(missing.iter().map(differs("missing")));
        found.extend(extra.iter().map(differs("of nobody")));
        if self.write {
            missing.chunks(SLICE).try_for_each(|some| self.name(some))?;
            extra.chunks(SLICE).try_for_each(|some| self.unname(some, last))?;
        }
        Ok(())
    }

    fn name(&mut self, topics: &[Topic]) -> Result<(), StoreError> {
        let step = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (controller, topic) in topics {
            step.prepare_cached("INSERT OR IGNORE INTO topic_named (controller, topic) VALUES (?1, ?2)")?
                .execute([controller, topic])?;
        }
        Ok(step.commit()?)
    }

    /// Whatever an event behind `last` names stays.
    fn unname(&mut self, topics: &[Topic], last: i64) -> Result<(), StoreError> {
        let step = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let named = named_since(&step, last)?;
        for (controller, topic) in topics.iter().filter(|topic| !named.contains(topic)) {
            step.prepare_cached("DELETE FROM topic_named WHERE controller = ?1 AND topic = ?2")?
                .execute([controller, topic])?;
        }
        Ok(step.commit()?)
    }

    /// Who looks at the record later can see that it was mended.
    fn record(&mut self, rows: usize) -> Result<(), StoreError> {
        let step = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut chain = Chain::open(&step, &self.keys)?;
        acts::record(&step, &mut chain, acts::REBUILD, &json!({"rows": rows}), Timestamp::now())?;
        chain.seal(&step)?;
        Ok(step.commit()?)
    }
}

/// Controller and topic.
type Topic = (String, String);

fn topics_in(controller: &str, proof: &str) -> Result<Vec<Topic>, StoreError> {
    let proof: serde_json::Value = serde_json::from_str(proof)?;
    let topics = proof["topics"].as_array().into_iter().flatten().filter_map(|topic| topic.as_str());
    Ok(topics.filter(|topic| *topic != "*").map(|topic| (controller.to_owned(), topic.to_owned())).collect())
}

fn named_since(db: &Connection, last: i64) -> Result<BTreeSet<Topic>, StoreError> {
    let mut rows = db.prepare_cached("SELECT controller, proof FROM event WHERE seq > ?1 AND proof IS NOT NULL")?;
    let mut rows = rows.query([last])?;
    let mut named = BTreeSet::new();
    while let Some(row) = rows.next()? {
        named.extend(topics_in(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)?);
    }
    Ok(named)
}

type Remake = fn(&Connection, i64, bool, &mut Vec<Difference>) -> Result<(), StoreError>;

fn of_contact(db: &Connection, contact: i64, write: bool, found: &mut Vec<Difference>) -> Result<(), StoreError> {
    let mut address = db.prepare_cached("SELECT address FROM contact WHERE id = ?1")?;
    let mut address = address.query([contact])?;
    let Some(address) = address.next()?.map(|row| row.get::<_, String>(0)).transpose()? else { return Ok(()) };
    let folded = match fold::person(db, contact)? {
        Some(person) if !is_pseudonym(&address) => fold::states(&person, &address)?,
        _ => Vec::new(),
    };
    let mut rows = db.prepare_cached("SELECT controller, facts FROM state WHERE contact = ?1 ORDER BY controller")?;
    let known = rows.query_map([contact], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let known: Vec<(String, String)> = known.collect::<Result<_, _>>()?;
    let mut differs = |controller: &str, what| {
        found.push(Difference { table: "state", row: contact, controller: Some(controller.to_owned()), what });
    };
    for (controller, facts) in &folded {
        match known.iter().find(|(of, _)| of == controller) {
            Some((_, stored)) if stored == facts => continue,
            Some(_) => differs(controller, "differs"),
            None => differs(controller, "missing"),
        }
        if write {
            db.prepare_cached(
                "INSERT INTO state (controller, contact, facts) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET facts = excluded.facts",
            )?
            .execute(params![controller, contact, facts])?;
        }
    }
    for (controller, _) in known.iter().filter(|(of, _)| !folded.iter().any(|(controller, _)| controller == of)) {
        differs(controller, "of nobody");
        if write {
            db.prepare_cached("DELETE FROM state WHERE contact = ?1 AND controller = ?2")?
                .execute(params![contact, controller])?;
        }
    }
    Ok(())
}

fn of_message(db: &Connection, message: i64, write: bool, found: &mut Vec<Difference>) -> Result<(), StoreError> {
    let Some(row) = MessageRow::get(db, message)? else { return Ok(()) };
    let expected: BTreeSet<String> = serde_json::from_str(&row.topics)?;
    let mut known = db.prepare_cached("SELECT topic FROM message_topic WHERE message = ?1")?;
    let known: BTreeSet<String> = known.query_map([message], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if known == expected {
        return Ok(());
    }
    found.push(Difference { table: "message_topic", row: message, controller: row.controller, what: "differs" });
    if write {
        db.prepare_cached("DELETE FROM message_topic WHERE message = ?1")?.execute([message])?;
        let mut insert = db.prepare_cached("INSERT INTO message_topic (message, topic) VALUES (?1, ?2)")?;
        expected.iter().try_for_each(|topic| insert.execute(params![message, topic]).map(drop))?;
    }
    Ok(())
}
