//! What is kept beside the rows because an act said so: marks of objections, policies, wordings, pseudonyms.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use super::recorded::Topics;
use super::{Fault, What};
use crate::consent::ledger::dropped::{Dropped, Part};
use crate::consent::ledger::{Digest, hex, sha256, unhex};
use crate::store::error::StoreError;
use crate::store::ledger::acts;
use crate::store::ledger::rows::ActRow;

type Held = Result<Option<Fault>, StoreError>;

/// Whether what the act says is what is there.
pub fn hold_act(db: &Connection, dropped: &Dropped, purged: &mut PurgedMarks, act: &ActRow) -> Held {
    let Ok(body) = serde_json::from_str::<Value>(&act.body) else { return Ok(None) };
    match act.kind.as_str() {
        acts::SUPPRESSION => hold_mark(db, dropped, purged, act, &body),
        acts::POLICY => hold_policy(db, &body),
        acts::TEXT => hold_text(db, act, &body),
        acts::ERASURE | acts::PURGE => hold_pseudonym(db, act, &body),
        _ => Ok(None),
    }
}

const MARK: &str = "SELECT act >= ?1 FROM suppression WHERE controller = ?2 AND hash = ?3 AND topics = ?4";

/// The mark of an objection is there, from this act or a later one.
fn hold_mark(db: &Connection, dropped: &Dropped, purged: &mut PurgedMarks, act: &ActRow, body: &Value) -> Held {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let hash = unhex(text("hash")).unwrap_or_default();
    let mut found = db.prepare_cached(MARK)?;
    let found: Option<bool> =
        found.query_row(params![act.id, text("controller"), hash, text("topics")], |row| row.get(0)).optional()?;
    // Said again later, it went with the later act.
    if found == Some(true) || purged.until(db, dropped, body)? >= Some(act.id) {
        return Ok(None);
    }
    let why = "the mark of an objection is gone or was set back";
    Ok(Some(Fault::new("suppression", act.id, What::Removed, why)))
}

/// Marks that were dropped at the end of their retention, by a digest of which they are, with the last act that went.
#[derive(Default)]
pub struct PurgedMarks {
    found: Option<HashMap<Digest, i64>>,
}

impl PurgedMarks {
    /// The last act about the same mark that was dropped. All of them are looked for at once, and only when one is missed.
    fn until(&mut self, db: &Connection, dropped: &Dropped, body: &Value) -> Result<Option<i64>, StoreError> {
        let found = match self.found.take() {
            Some(found) => found,
            None => find_purged(db, dropped)?,
        };
        Ok(self.found.insert(found).get(&which(body)).copied())
    }
}

fn find_purged(db: &Connection, dropped: &Dropped) -> Result<HashMap<Digest, i64>, StoreError> {
    let mut said = db.prepare("SELECT id, body FROM act WHERE kind = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id")?;
    let mut found = HashMap::new();
    for (first, last) in dropped.ranges(Part::Suppression) {
        let mut rows = said.query(params![acts::SUPPRESSION, first, last])?;
        while let Some(row) = rows.next()? {
            if let Ok(body) = serde_json::from_str::<Value>(&row.get::<_, String>(1)?) {
                found.insert(which(&body), row.get(0)?); // the later one takes the place of the earlier
            }
        }
    }
    Ok(found)
}

fn which(body: &Value) -> Digest {
    let [controller, hash, topics] =
        ["controller", "hash", "topics"].map(|name| body[name].as_str().unwrap_or_default());
    sha256(&[json!([controller, hash, topics]).to_string().as_bytes()])
}

fn hold_policy(db: &Connection, body: &Value) -> Held {
    let mut found = db.prepare_cached("SELECT mode, sources FROM policy WHERE hash = ?1")?;
    let hash = body["hash"].as_str().unwrap_or_default();
    let found: Option<(String, String)> = found.query_row([hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let why = |what: &str| format!("the policy {hash} that was in force {what}");
    Ok(match found {
        None => Some(Fault::new("policy", None, What::Removed, why("is gone"))),
        Some((mode, _)) if body["mode"] != mode.as_str() => {
            Some(Fault::new("policy", None, What::Changed, why("had another mode")))
        }
        Some(_) => None,
    })
}

fn hold_text(db: &Connection, act: &ActRow, body: &Value) -> Held {
    let (version, language) =
        (body["version"].as_str().unwrap_or_default(), body["language"].as_str().unwrap_or_default());
    let mut found =
        db.prepare_cached("SELECT body, sha256, added_at FROM text WHERE version = ?1 AND language = ?2")?;
    let found: Option<(String, String, i64)> =
        found.query_row([version, language], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let told =
        |what, why: &str| Some(Fault::new("text", None, what, format!("the wording {version} ({language}) {why}")));
    Ok(match found {
        None => told(What::Removed, "is gone"),
        Some((text, sum, added_at)) => {
            let digest = format!("sha256:{}", hex(&sha256(&[text.as_bytes()])));
            let same = body["sha256"] == digest.as_str() && sum == digest && added_at == act.at;
            if same { None } else { told(What::Changed, "is not the one that was stored") }
        }
    })
}

/// Whoever was erased stands under the pseudonym that was given then, and under nothing else.
fn hold_pseudonym(db: &Connection, act: &ActRow, body: &Value) -> Held {
    let Some(pseudonym) = body["pseudonym"].as_str() else { return Ok(None) };
    let mut others = db.prepare_cached(
        "SELECT id FROM decision WHERE id BETWEEN ?1 AND ?2
             AND (recipient IS NOT ?3 OR recipient_key IS NOT ?3 OR reply IS NOT NULL) ORDER BY id",
    )?;
    let listed = act.dropped().unwrap_or_default();
    for (first, last) in listed.ranges(Part::DecisionPerson) {
        let mut others = others.query(params![first, last, pseudonym])?;
        if let Some(row) = others.next()? {
            let why = "it does not stand under the pseudonym that took the erased recipient's place";
            return Ok(Some(Fault::new("decision", row.get::<_, i64>(0)?, What::Changed, why)));
        }
    }
    let Some(contact) = body["contact"].as_i64() else { return Ok(None) };
    let mut forgotten = db.prepare_cached(
        "SELECT 1 FROM contact WHERE id = ?1 AND address = ?2 AND objection_key = ?2
             AND consent_key IN (?2 || ':' || ?1, ?2 || ':0')",
    )?;
    let holds = forgotten.exists(params![contact, pseudonym])?;
    let why = "it does not stand under the pseudonym that took the erased person's place";
    Ok((!holds).then(|| Fault::new("contact", contact, What::Changed, why)))
}

/// Rows that no act speaks of.
pub fn hold(db: &Connection, dropped: &Dropped, topics: &Topics) -> Held {
    if let Some(fault) = marks(db)? {
        return Ok(Some(fault));
    }
    if let Some(fault) = policies(db)? {
        return Ok(Some(fault));
    }
    let unknown = "SELECT version FROM text AS t WHERE NOT EXISTS (SELECT 1 FROM act WHERE kind = ?1
        AND json_extract (body, '$.version') = t.version AND json_extract (body, '$.language') = t.language)";
    let version: Option<String> = db.query_row(unknown, [acts::TEXT], |row| row.get(0)).optional()?;
    if let Some(version) = version {
        let why = format!("no act of the ledger speaks of the wording {version}");
        return Ok(Some(Fault::new("text", None, What::Inserted, why)));
    }
    topics_named(db, dropped, topics)
}

/// Each mark says what its act says.
fn marks(db: &Connection) -> Held {
    let mut other = db.prepare(
        "SELECT s.act FROM suppression AS s LEFT JOIN act AS a ON a.id = s.act AND a.kind = ?1
         WHERE a.id IS NULL
             OR json_extract (a.body, '$.controller') IS NOT s.controller
             OR json_extract (a.body, '$.hash') IS NOT lower (hex (s.hash))
             OR json_extract (a.body, '$.topics') IS NOT s.topics
             OR json_extract (a.body, '$.at') IS NOT s.at
             OR json_extract (a.body, '$.mechanism') IS NOT s.mechanism",
    )?;
    let act: Option<i64> = other.query_row([acts::SUPPRESSION], |row| row.get(0)).optional()?;
    let why = "the mark of an objection is not what its act says";
    Ok(act.map(|act| Fault::new("suppression", act, What::Changed, why)))
}

/// Each policy holds the texts, and the first and the last moment, that its acts speak of.
fn policies(db: &Connection) -> Held {
    let mut rows = db.prepare("SELECT hash, mode, sources, first_in_force, last_in_force FROM policy ORDER BY hash")?;
    let mut rows = rows.query([])?;
    let mut said = db.prepare(
        "SELECT at, json_extract (body, '$.sources') FROM act
         WHERE kind = ?1 AND json_extract (body, '$.hash') = ?2 ORDER BY id",
    )?;
    while let Some(row) = rows.next()? {
        let (hash, sources): (String, String) = (row.get(0)?, row.get(2)?);
        let said =
            said.query_map([acts::POLICY, &hash], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let said: Vec<(i64, String)> = said.collect::<Result<_, _>>()?;
        let Some((first, digest)) = said.first() else {
            let why = format!("no act of the ledger says that the policy {hash} was in force");
            return Ok(Some(Fault::new("policy", None, What::Inserted, why)));
        };
        let last = said.iter().map(|(at, _)| *at).max().unwrap_or(*first);
        let same = *digest == hex(&sha256(&[sources.as_bytes()]))
            && row.get::<_, i64>(3)? == *first
            && row.get::<_, i64>(4)? == last;
        if !same {
            let why = format!("the texts or the dates of the policy {hash} are not those that were in force");
            return Ok(Some(Fault::new("policy", None, What::Changed, why)));
        }
    }
    Ok(None)
}

/// The index of topics that events name. Where what was said was dropped, it may know more than the events.
fn topics_named(db: &Connection, dropped: &Dropped, topics: &Topics) -> Held {
    let found: Topics = crate::store::events::topics_named(db)?.into_iter().collect();
    let may_know_more = dropped.count(Part::EventProof) > 0;
    let holds = if may_know_more { found.is_superset(topics) } else { found == *topics };
    let why = "the topics listed are not those that events name; `consentry ledger rebuild` lists them anew";
    Ok((!holds).then(|| Fault::new("topic_named", None, What::Changed, why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    #[test]
    fn a_mark_is_looked_up_by_its_whole_key() {
        let directory = tempfile::tempdir().unwrap();
        let (db, _) = schema::open_writer(&directory.path().join("consentry.db")).unwrap();
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {MARK}")).unwrap();
        let steps = plan.query_map(params![1, "c", [0u8; 16], "[]"], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert_eq!(steps, ["SEARCH suppression USING PRIMARY KEY (controller=? AND hash=? AND topics=?)"]);
    }

    #[test]
    fn of_a_mark_that_was_dropped_the_last_act_counts_and_of_another_none() {
        let directory = tempfile::tempdir().unwrap();
        let (db, _) = schema::open_writer(&directory.path().join("consentry.db")).unwrap();
        let body = |hash: &str| json!({"controller": "c", "hash": hash, "topics": "[]", "at": 1});
        for hash in ["aa", "bb", "aa", "cc"] {
            let said = body(hash).to_string();
            db.execute("INSERT INTO act (at, kind, body, ledger) VALUES (1, 'suppression', ?1, 1)", [said]).unwrap();
        }
        let mut dropped = Dropped::default();
        [3, 4].into_iter().for_each(|act| dropped.add(Part::Suppression, act));
        let mut purged = PurgedMarks::default();
        let mut until = |hash: &str| purged.until(&db, &dropped, &body(hash)).unwrap();
        assert_eq!((until("aa"), until("bb"), until("cc"), until("dd")), (Some(3), None, Some(4), None));
    }
}
