//! The first pass: the chain, its head, the tree, and every checkpoint of it.

use rusqlite::{Connection, Row};

use super::{Fault, Trust, What, Work};
use crate::consent::ledger::Digest;
use crate::consent::ledger::chain::{Break, ChainCheck, Link};
use crate::consent::ledger::checkpoint::Checkpoint;
use crate::consent::ledger::dropped::Dropped;
use crate::consent::ledger::entry::{Kind, leaf};
use crate::consent::ledger::merkle::Frontier;
use crate::store::error::StoreError;
use crate::store::ledger::rows::{ActRow, Recorded};
use crate::store::ledger::{LedgerKeys, stored_head};
use crate::store::moment::micros;

/// How far the chain holds.
pub struct Chained {
    /// Over the entries before the first fault.
    pub tree: Frontier,
    /// What the acts among them excuse.
    pub dropped: Dropped,
    pub fault: Option<Fault>,
    /// How many checkpoints of the store's own were looked at.
    pub kept: usize,
}

pub fn follow(
    db: &Connection,
    keys: &LedgerKeys,
    trust: &Trust,
    work: &mut Work<'_, '_>,
) -> Result<Chained, StoreError> {
    let mut checkpoints = Checkpoints::read(db, trust)?;
    let mut chained =
        Chained { tree: Frontier::default(), dropped: Dropped::default(), fault: None, kept: checkpoints.kept };
    let mut check = ChainCheck::new(&keys.chain);
    let mut rows = db.prepare("SELECT seq, entry, row, leaf, mac FROM ledger ORDER BY seq")?;
    let mut rows = rows.query([])?;
    let mut of_checkpoint = checkpoints.hold(&chained.tree);
    while let Some(row) = rows.next()? {
        work.step();
        let link = link(row)?;
        if let Err(broken) = check.follow(&link) {
            let mut later = rows.mapped(self::link);
            let belongs = |later: &Link| check.belongs_here(later, &link);
            let found = later.find_map(|later| later.ok().filter(belongs)).map(|later| later.seq);
            chained.fault = Some(told(broken, found));
            return Ok(chained);
        }
        note_dropped(db, row, &link, &mut chained.dropped)?;
        chained.tree.push(link.leaf);
        of_checkpoint = of_checkpoint.or_else(|| checkpoints.hold(&chained.tree));
    }
    let head = stored_head(db)?;
    let end = check.end(head.as_ref().map(|(head, seal)| (*head, seal.as_slice())));
    let of_end = end.err().map(|broken| told(broken, None));
    let beyond = || checkpoints.beyond(&chained.tree);
    chained.fault = of_end.or(of_checkpoint).or_else(beyond);
    Ok(chained)
}

/// A hash of another length than ours fits nothing.
fn link(row: &Row<'_>) -> rusqlite::Result<Link> {
    let digest = |column| Ok::<_, rusqlite::Error>(row.get::<_, Vec<u8>>(column)?.try_into().unwrap_or([0; 32]));
    Ok(Link { seq: row.get(0)?, leaf: digest(3)?, mac: digest(4)? })
}

/// An act counts only as it was chained.
fn note_dropped(db: &Connection, row: &Row<'_>, link: &Link, dropped: &mut Dropped) -> Result<(), StoreError> {
    if row.get_ref(1)?.as_str().ok() != Some(Kind::Act.as_str()) {
        return Ok(());
    }
    let Some(act) = ActRow::get(db, row.get(2)?)? else { return Ok(()) };
    if leaf(&act.canonical()) == link.leaf
        && let Some(listed) = act.dropped()
    {
        dropped.extend(&listed);
    }
    Ok(())
}

fn told(broken: Break, found: Option<i64>) -> Fault {
    let (seq, what, detail) = match (broken, found) {
        (Break::Changed { seq } | Break::OutOfOrder { seq, .. }, Some(found)) => {
            (seq, What::OutOfOrder, format!("what belongs here stands at entry {found}"))
        }
        (Break::OutOfOrder { seq, found }, None) => {
            (seq, What::OutOfOrder, format!("what belongs here stands at entry {found}"))
        }
        (Break::Changed { seq }, None) => (
            seq,
            What::Changed,
            "it does not follow from the entries before it: it was changed, or made without a key of ledger_key_file"
                .into(),
        ),
        (Break::Removed { seq }, Some(found)) => {
            (seq, What::OutOfOrder, format!("what belongs here stands at entry {found}"))
        }
        (Break::Removed { seq }, None) => (seq, What::Removed, "there are later entries, but not this one".into()),
        (Break::Truncated { seq }, _) => {
            (seq, What::Truncated, "the sealed head says there were entries from here on".into())
        }
        (Break::BehindTheHead { seq }, _) => {
            (seq, What::Inserted, "the sealed head says that the entry before it is the last one".into())
        }
        (Break::Head, _) => {
            let why = "the head, which says which entry is the last, is missing or not sealed with a key of \
                       ledger_key_file: entries behind the last one may have been cut off";
            return Fault::new("ledger_head", 1, What::Changed, why);
        }
    };
    Fault { entry: Some(seq), ..Fault::new("ledger", seq, what, detail) }
}

/// What the ledger has to be at certain sizes, the smallest first.
struct Checkpoints {
    expected: std::iter::Peekable<std::vec::IntoIter<Expected>>,
    kept: usize,
    /// Up to here an earlier checkpoint agreed.
    agreed: u64,
}

struct Expected {
    size: u64,
    root: Digest,
    /// Of one that the store keeps.
    frontier: Option<Vec<u8>>,
    /// It is not what was signed.
    forged: Option<String>,
}

impl Checkpoints {
    fn read(db: &Connection, trust: &Trust) -> Result<Checkpoints, StoreError> {
        let given = trust.checkpoints.iter().map(|checkpoint| Expected {
            size: checkpoint.size,
            root: checkpoint.root,
            frontier: None,
            forged: None,
        });
        let mut expected: Vec<Expected> = given.collect();
        let mut kept = 0;
        if !trust.public_keys.is_empty() {
            let mut rows = db.prepare("SELECT size, at, frontier, note FROM checkpoint ORDER BY size")?;
            let mut rows = rows.query([])?;
            while let Some(row) = rows.next()? {
                expected.push(Expected::kept(row, &trust.public_keys)?);
                kept += 1;
            }
        }
        expected.sort_by_key(|checkpoint| checkpoint.size);
        Ok(Checkpoints { expected: expected.into_iter().peekable(), kept, agreed: 0 })
    }

    /// Compares what is due at this size.
    fn hold(&mut self, tree: &Frontier) -> Option<Fault> {
        let mut fault = None;
        while let Some(checkpoint) = self.expected.next_if(|checkpoint| checkpoint.size == tree.size()) {
            fault = fault.or_else(|| checkpoint.fault(tree, self.agreed));
            self.agreed = tree.size();
        }
        fault
    }

    /// A checkpoint of more entries than there are.
    fn beyond(&mut self, tree: &Frontier) -> Option<Fault> {
        let checkpoint = self.expected.find(|checkpoint| checkpoint.size > tree.size())?;
        let next = i64::try_from(tree.size()).unwrap_or(i64::MAX).saturating_add(1);
        let why =
            checkpoint.forged.unwrap_or_else(|| format!("a checkpoint was signed over {} entries", checkpoint.size));
        Some(Fault { entry: Some(next), ..Fault::new("ledger", next, What::Truncated, why) })
    }
}

impl Expected {
    fn kept(row: &Row<'_>, public_keys: &[[u8; 32]]) -> Result<Expected, StoreError> {
        let (size, at, note): (u64, i64, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
        let frontier = Some(row.get(2)?);
        let opened = Checkpoint::open(&note, public_keys);
        Ok(match opened {
            Ok(checkpoint) if checkpoint.size == size && micros(checkpoint.at) == at => {
                Expected { size, root: checkpoint.root, frontier, forged: None }
            }
            Ok(_) => {
                Expected { size, root: [0; 32], frontier, forged: Some("it is not the one that was signed".into()) }
            }
            Err(error) => Expected { size, root: [0; 32], frontier, forged: Some(error.to_string()) },
        })
    }

    fn fault(self, tree: &Frontier, agreed: u64) -> Option<Fault> {
        let size = i64::try_from(self.size).unwrap_or(i64::MAX);
        if let Some(why) = self.forged {
            return Some(Fault::new("checkpoint", size, What::Changed, why));
        }
        if self.root != tree.root() {
            let first = i64::try_from(agreed).unwrap_or(i64::MAX).saturating_add(1);
            let why = format!("entries {first} to {size} are not those that a checkpoint was signed over");
            return Some(Fault { entry: Some(first), ..Fault::new("ledger", first, What::Changed, why) });
        }
        let differs = self.frontier.is_some_and(|frontier| frontier != tree.to_bytes());
        differs
            .then(|| Fault::new("checkpoint", size, What::Changed, "what the next one would go on from is not its own"))
    }
}
