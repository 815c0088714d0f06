//! One entry with what it commits to, and the short proof that it is under a checkpoint: what a stranger needs.

use rusqlite::Connection;
use serde::Serialize;

use super::rows::{ActRow, DecisionRow, EventRow, MessageRow, Misfit, OutcomeRow, Recorded, Split};
use crate::consent::ledger::Digest;
use crate::consent::ledger::entry::Kind;
use crate::consent::ledger::merkle::{Frontier, siblings};
use crate::consent::ledger::{hex, sha256};
use crate::store::error::StoreError;

/// An entry of the ledger.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerEntry {
    pub seq: i64,
    pub kind: &'static str,
    /// The bytes whose RFC 6962 leaf hash is in the tree.
    pub canonical: String,
    /// What the digests in it stand for.
    pub openings: Vec<Opening>,
}

/// A part that an entry, or another part, holds only as a digest: `sha256(salt ‖ part)`.
#[derive(Clone, Debug, Serialize)]
pub struct Opening {
    /// `proof`, `personal`, `private`, `decision`, `person` or `text`.
    pub name: &'static str,
    /// The decision it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<i64>,
    /// In hexadecimal.
    pub digest: String,
    /// Salt in hexadecimal, and part; none once it was dropped.
    pub salt: Option<String>,
    pub part: Option<String>,
}

impl Opening {
    fn of(name: &'static str, decision: Option<i64>, split: &Split) -> Result<Opening, Misfit> {
        let digest = hex(&split.settle()?.0);
        Ok(Opening { name, decision, digest, salt: split.salt.as_deref().map(hex), part: split.part.clone() })
    }

    fn of_decision(row: &DecisionRow) -> Result<[Opening; 2], Misfit> {
        let part = row.part()?;
        let digest = hex(&sha256(&[&row.salt, part.as_bytes()]));
        let salt = Some(hex(&row.salt));
        let decision = Opening { name: "decision", decision: Some(row.id), digest, salt, part: Some(part) };
        Ok([decision, Opening::of("person", Some(row.id), &row.person)?])
    }
}

/// None: there is no such entry, or its row was dropped.
pub fn entry(db: &Connection, seq: i64) -> Result<Option<LedgerEntry>, StoreError> {
    let mut found = db.prepare_cached("SELECT entry, row FROM ledger WHERE seq = ?1")?;
    let mut found = found.query([seq])?;
    let Some(found) = found.next()? else { return Ok(None) };
    let (kind, row): (String, i64) = (found.get(0)?, found.get(1)?);
    let kind = Kind::parse(&kind).ok_or_else(|| StoreError::Ledger(format!("entry {seq} is of no known kind")))?;
    let read = match kind {
        Kind::Event => EventRow::get(db, row)?.map(|row| of_event(&row)),
        Kind::Message => MessageRow::get(db, row)?.map(|row| of_message(db, &row)).transpose()?,
        Kind::Revision => DecisionRow::get(db, row)?.map(|row| of_revision(&row)),
        Kind::Outcome => OutcomeRow::get(db, row)?.map(|row| of_outcome(&row)),
        Kind::Act => ActRow::get(db, row)?.map(|row| Ok((row.canonical(), Vec::new()))),
    };
    let read = read.transpose().map_err(|Misfit(why)| StoreError::Ledger(format!("entry {seq}: {why}")))?;
    Ok(read.map(|(canonical, openings)| LedgerEntry { seq, kind: kind.as_str(), canonical, openings }))
}

type Opened = Result<(String, Vec<Opening>), Misfit>;

fn of_event(row: &EventRow) -> Opened {
    let openings = [Opening::of("proof", None, &row.proof)?, Opening::of("personal", None, &row.personal)?];
    Ok((row.canonical()?, openings.into()))
}

fn of_message(db: &Connection, row: &MessageRow) -> Result<Opened, StoreError> {
    let sql = format!("{} WHERE message = ?1 AND revises IS NULL ORDER BY id", DecisionRow::SELECT);
    let mut decisions = db.prepare_cached(&sql)?;
    let decisions = decisions.query_map([row.id], DecisionRow::read)?.collect::<Result<Vec<_>, _>>()?;
    Ok(open_message(row, &decisions))
}

fn open_message(row: &MessageRow, decisions: &[DecisionRow]) -> Opened {
    let digests: Vec<Digest> = decisions.iter().map(DecisionRow::digest).collect::<Result<_, _>>()?;
    let mut openings = vec![Opening::of("private", None, &row.private)?];
    for decision in decisions {
        openings.extend(Opening::of_decision(decision)?);
    }
    Ok((row.canonical(&digests)?, openings))
}

fn of_revision(row: &DecisionRow) -> Opened {
    Ok((row.canonical()?, Opening::of_decision(row)?.into()))
}

fn of_outcome(row: &OutcomeRow) -> Opened {
    let text = row.has_text().then(|| Opening::of("text", None, &row.text)).transpose()?;
    Ok((row.canonical()?, text.into_iter().collect()))
}

/// The hashes that lead from an entry to the root over the first `size` entries, the nearest first; none where the
/// entry is not among them, or there are not so many.
pub fn inclusion(db: &Connection, seq: i64, size: u64) -> Result<Option<Vec<Digest>>, StoreError> {
    let entries: u64 = db.query_row("SELECT coalesce (max (seq), 0) FROM ledger", [], |row| row.get(0))?;
    let Some(place) = seq.checked_sub(1).and_then(|place| u64::try_from(place).ok()) else { return Ok(None) };
    if size > entries || place >= size {
        return Ok(None);
    }
    let mut leaves = db.prepare_cached("SELECT leaf FROM ledger WHERE seq > ?1 AND seq <= ?2 ORDER BY seq")?;
    let mut proof = Vec::new();
    for part in siblings(place, size) {
        let mut tree = Frontier::default();
        let mut leaves = leaves.query([part.start, part.end])?;
        while let Some(row) = leaves.next()? {
            tree.push(row.get(0)?);
        }
        proof.push(tree.root());
    }
    Ok(Some(proof))
}
