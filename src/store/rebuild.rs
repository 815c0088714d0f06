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
        let count = |table: &str| -> Result<i64, StoreError> {
            let last = format!("SELECT coalesce (max (id), 0) FROM {table}");
            Ok(self.db.query_row(&last, [], |row| row.get(0))?)
        };
        let (contacts, messages) = (count("contact")?, count("message")?);
        let all = u64::try_from(contacts + messages).unwrap_or_default();
        let mut found = Vec::new();
        for (last, table) in [(contacts, of_contact as Remake), (messages, of_message)] {
            let mut row = 0;
            while row < last {
                let until = last.min(row + i64::try_from(SLICE).unwrap_or(i64::MAX));
                self.slice(row + 1, until, table, &mut found)?;
                row = until;
                progress(u64::try_from(row).unwrap_or_default(), all);
            }
        }
        self.topics_named(&mut found)?;
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

    fn topics_named(&mut self, found: &mut Vec<Difference>) -> Result<(), StoreError> {
        let behaviour = if self.write { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
        let step = self.db.transaction_with_behavior(behaviour)?;
        let (mut events, mut named, mut forgotten) = (Cursor::<EventRow>::new(), BTreeSet::new(), false);
        while events.peek(&step)?.is_some() {
            let Some(event) = events.pass() else { break };
            let Some(proof) = event.proof.part else {
                forgotten = true;
                continue;
            };
            let proof: serde_json::Value = serde_json::from_str(&proof)?;
            let topics = proof["topics"].as_array().into_iter().flatten().filter_map(|topic| topic.as_str());
            named
                .extend(topics.filter(|topic| *topic != "*").map(|topic| (event.controller.clone(), topic.to_owned())));
        }
        let known: BTreeSet<(String, String)> = super::events::topics_named(&step)?.into_iter().collect();
        let missing = named.difference(&known);
        let extra = known.difference(&named).filter(|_| !forgotten);
        let differs = |what| {
            move |(controller, _): &(String, String)| Difference {
                table: "topic_named",
                row: 0,
                controller: Some(controller.clone()),
                what,
            }
        };
        found.extend(missing.clone().map(differs("missing")));
        found.extend(extra.clone().map(differs("of nobody")));
        if self.write {
            for (controller, topic) in missing {
                step.execute(
                    "INSERT INTO topic_named (controller, topic) VALUES (?1, ?2)",
                    params![controller, topic],
                )?;
            }
            for (controller, topic) in extra {
                step.execute(
                    "DELETE FROM topic_named WHERE controller = ?1 AND topic = ?2",
                    params![controller, topic],
                )?;
            }
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
