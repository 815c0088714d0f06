//! Checkpoints: made from the one before, so that each reads only what is new.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Chain, LedgerKeys};
use crate::consent::ledger::chain::{ChainCheck, GENESIS, Head, Link};
use crate::consent::ledger::checkpoint::{Checkpoint, SigningKeys};
use crate::consent::ledger::merkle::Frontier;
use crate::store::error::StoreError;
use crate::store::moment::micros;

/// A checkpoint that was just signed, and what the next one goes on from.
#[derive(Clone, Debug)]
pub struct NewCheckpoint {
    pub checkpoint: Checkpoint,
    /// As it is to be kept elsewhere.
    pub note: String,
    frontier: Vec<u8>,
}

/// Signs the ledger as it is. Expects one snapshot; refuses to sign a chain that does not hold.
pub fn sign(
    db: &Connection,
    keys: &LedgerKeys,
    signing: &SigningKeys,
    origin: &str,
    now: Timestamp,
) -> Result<NewCheckpoint, StoreError> {
    let head = Chain::open(db, keys)?.head();
    let (mut tree, from) = last(db, signing)?.unwrap_or((Frontier::default(), GENESIS));
    let mut check = ChainCheck::resume(&keys.chain, from);
    let mut rows = db.prepare_cached("SELECT seq, leaf, mac FROM ledger WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = rows.query([from.seq])?;
    while let Some(row) = rows.next()? {
        let link = Link { seq: row.get(0)?, leaf: row.get(1)?, mac: row.get(2)? };
        check.follow(&link).map_err(|_| broken(&format!("entry {} does not follow", check.head().seq + 1)))?;
        tree.push(link.leaf);
    }
    if check.head() != head {
        return Err(broken("its last entry is not the sealed one"));
    }
    let checkpoint = Checkpoint { origin: origin.to_owned(), size: tree.size(), root: tree.root(), at: to_micros(now) };
    Ok(NewCheckpoint { note: checkpoint.sign(signing), frontier: tree.to_bytes(), checkpoint })
}

/// The store keeps microseconds; what is signed and what is kept are one moment.
fn to_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(micros(at)).unwrap_or(at)
}

/// Where the last checkpoint ended, if it is one of ours.
fn last(db: &Connection, signing: &SigningKeys) -> Result<Option<(Frontier, Head)>, StoreError> {
    let mut found = db.prepare_cached(
        "SELECT c.note, c.frontier, l.seq, l.mac FROM checkpoint AS c JOIN ledger AS l ON l.seq = c.size
         ORDER BY c.size DESC LIMIT 1",
    )?;
    let found = found.query_row([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?, Head { seq: row.get(2)?, mac: row.get(3)? }))
    });
    let Some((note, frontier, head)) = found.optional()? else { return Ok(None) };
    let opened = Checkpoint::open(&note, &signing.public()).ok();
    let tree = opened.and_then(|checkpoint| {
        let tree = Frontier::from_bytes(checkpoint.size, &frontier)?;
        let same = i64::try_from(checkpoint.size) == Ok(head.seq) && tree.root() == checkpoint.root;
        same.then_some(tree)
    });
    Ok(tree.map(|tree| (tree, head)))
}

/// Keeps a checkpoint for the next one to go on from.
pub fn keep(db: &Connection, new: &NewCheckpoint) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO checkpoint (size, at, frontier, note) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET at = excluded.at, frontier = excluded.frontier, note = excluded.note",
    )?
    .execute(params![new.checkpoint.size, micros(new.checkpoint.at), new.frontier, new.note])?;
    Ok(())
}

fn broken(why: &str) -> StoreError {
    StoreError::Ledger(why.into())
}
