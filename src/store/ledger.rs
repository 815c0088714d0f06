//! The ledger in the store: every row that is evidence is chained in the transaction that writes it.

pub mod acts;
pub mod checkpoints;
pub mod places;
pub mod proofs;
pub mod rows;
pub mod verify;

use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use crate::consent::ledger::Digest;
use crate::consent::ledger::chain::{ChainKeys, GENESIS, Head};
use crate::consent::ledger::entry::{self, Kind, commitment};
use crate::consent::token::HashKeys;

/// What makes a commitment unguessable.
pub type Salt = [u8; 16];

/// The keys of the ledger file: they chain the entries, and stand for people who are to be forgotten.
#[derive(Clone, Debug)]
pub struct LedgerKeys {
    pub hash: HashKeys,
    pub chain: ChainKeys,
}

impl LedgerKeys {
    pub fn new(hash: HashKeys) -> LedgerKeys {
        LedgerKeys { chain: hash.chain_keys(), hash }
    }

    /// For writing beside others: who runs already may not know the newest key of the file yet, and could neither go on
    /// from a head sealed with it nor recognise a person by it. So the key in use stays in use until somebody is alone.
    pub fn beside_others(db: &Connection, hash: HashKeys, alone: bool) -> Result<LedgerKeys, StoreError> {
        let keys = LedgerKeys::new(hash);
        let in_use = match stored_head(db)? {
            Some((head, seal)) if !alone => keys.chain.sealed_by(&head, &seal),
            _ => None,
        };
        Ok(in_use.map_or_else(|| keys.clone(), |place| LedgerKeys::new(keys.hash.clone().led_by(place))))
    }
}

/// The end of the chain within one transaction: opened at its start, since another process may have appended, and
/// sealed before its commit.
pub struct Chain<'k> {
    pub keys: &'k LedgerKeys,
    head: Head,
    sealed: Head,
    random: SystemRandom,
}

impl<'k> Chain<'k> {
    /// Refuses to go on from a head that no key of ours sealed: a new seal would cover up what was done to the old one.
    pub fn open(db: &Connection, keys: &'k LedgerKeys) -> Result<Chain<'k>, StoreError> {
        let head = match stored_head(db)? {
            Some((head, seal)) if keys.chain.is_seal(&head, &seal) => head,
            Some(_) => return Err(broken("its head is not sealed with a key of ledger_key_file")),
            None if is_empty(db)? => GENESIS,
            None => return Err(broken("its head is missing")),
        };
        Ok(Chain { keys, head, sealed: head, random: SystemRandom::new() })
    }

    /// The number the next entry will have.
    pub fn next(&self) -> i64 {
        self.head.seq + 1
    }

    /// Where the chain stands, to go back to when a change is undone.
    pub fn head(&self) -> Head {
        self.head
    }

    pub fn back_to(&mut self, head: Head) {
        self.head = head;
    }

    /// Appends the entry of a row that was just written with [`Chain::next`] as its place.
    pub fn append(&mut self, db: &Connection, kind: Kind, row: i64, canonical: &str) -> Result<(), StoreError> {
        let leaf = entry::leaf(canonical);
        let next = Head { seq: self.next(), mac: self.keys.chain.link(&self.head.mac, &leaf) };
        db.prepare_cached("INSERT INTO ledger (seq, entry, row, leaf, mac) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![next.seq, kind.as_str(), row, leaf, next.mac])?;
        self.head = next;
        Ok(())
    }

    /// Says which entry is the last; to be called before the commit.
    pub fn seal(&mut self, db: &Connection) -> Result<(), StoreError> {
        if self.head == self.sealed {
            return Ok(());
        }
        db.prepare_cached(
            "INSERT INTO ledger_head (id, seq, mac, seal) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET seq = excluded.seq, mac = excluded.mac, seal = excluded.seal",
        )?
        .execute(params![self.head.seq, self.head.mac, self.keys.chain.seal(&self.head)])?;
        self.sealed = self.head;
        Ok(())
    }

    /// Commits to a part that may be dropped: its salt, and the digest that stands in the entry.
    pub fn commit_to(&self, part: &str) -> Result<(Salt, Digest), StoreError> {
        let salt = self.salt()?;
        Ok((salt, commitment(&salt, part)))
    }

    pub fn salt(&self) -> Result<Salt, StoreError> {
        let mut salt = [0; 16];
        let filled = self.random.fill(&mut salt);
        filled.map_err(|_| StoreError::Failed("the system gives no random bytes".into()))?;
        Ok(salt)
    }
}

/// The head row and its seal.
pub fn stored_head(db: &Connection) -> Result<Option<(Head, Vec<u8>)>, StoreError> {
    let mut rows = db.prepare_cached("SELECT seq, mac, seal FROM ledger_head WHERE id = 1")?;
    let found = rows.query_row([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))).optional()?;
    // A mac of another length was not written by us, and no seal fits it.
    Ok(found.map(|(seq, mac, seal)| (Head { seq, mac: mac.try_into().unwrap_or_default() }, seal)))
}

fn is_empty(db: &Connection) -> Result<bool, StoreError> {
    Ok(db.query_row("SELECT NOT EXISTS (SELECT 1 FROM ledger)", [], |row| row.get(0))?)
}

fn broken(why: &str) -> StoreError {
    StoreError::Ledger(why.into())
}
