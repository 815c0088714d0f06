//! The regulator's file: a decision or a person's events, the wording, the policy, and their places in the ledger up to
//! a signed checkpoint. Whoever holds the public key checks it offline: no store, no secret key, no trust in the sender.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rules::{PolicySource, hash_of};
use crate::consent::ledger::checkpoint::{Checkpoint, CheckpointError};
use crate::consent::ledger::entry::{commitment, leaf};
use crate::consent::ledger::merkle::root_of;
use crate::consent::ledger::{Digest, hex, sha256, unhex};

/// The shape of the file; a later one takes another number.
pub const VERSION: u32 = 1;

/// Everything that is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub version: u32,
    /// What it is the proof of, for people.
    pub about: String,
    /// The signed note as it stands.
    pub checkpoint: String,
    pub entries: Vec<Disclosed>,
    pub texts: Vec<Wording>,
    pub policies: Vec<Vec<PolicySource>>,
}

/// An entry of the ledger, where it stands, and those of its parts that are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosed {
    pub seq: u64,
    /// Its canonical bytes.
    pub entry: String,
    /// The way to the root (RFC 6962 section 2.1.1), in hexadecimal.
    pub path: Vec<String>,
    pub parts: Vec<Part>,
}

/// What an entry, or another of its parts, holds only a salted digest of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The field whose digest it answers to.
    pub field: String,
    /// In hexadecimal.
    pub salt: String,
    pub text: String,
}

/// A text that people were shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    pub version: String,
    pub language: String,
    pub body: String,
}

/// What holds after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub origin: String,
    pub size: u64,
    pub at: jiff::Timestamp,
    pub entries: usize,
    pub decisions: usize,
    pub events: usize,
    pub texts: usize,
    pub policies: usize,
}

/// What does not hold. Names entries by number and nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// Not such a file, or of a later shape.
    Unreadable(String),
    Checkpoint(CheckpointError),
    /// The entry is not the one the checkpoint stands for.
    NotInTheLedger(u64),
    /// A part is not what the entry was made with.
    Changed {
        seq: u64,
        field: String,
    },
    /// A wording is not the one that was stored under its version.
    Text {
        version: String,
        language: String,
    },
    /// A policy is not the one that decided.
    Policy(String),
    /// A decision relies on an event that is not in the file, or that came after it.
    Missing {
        decision: u64,
        event: i64,
    },
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "not a file as `journal proof` writes it: {why}"),
            Self::Checkpoint(error) => write!(f, "the checkpoint: {error}"),
            Self::NotInTheLedger(seq) => {
                write!(f, "entry {seq} is not what the ledger held there when the checkpoint was signed")
            }
            Self::Changed { seq, field } => {
                write!(f, "`{field}` of entry {seq} is not what was recorded: it was changed after it was committed to")
            }
            Self::Text { version, language } => {
                write!(f, "the wording {version} ({language}) is not the one that was stored under that version")
            }
            Self::Policy(hash) => write!(f, "the policy {hash} is not one that the ledger knows"),
            Self::Missing { decision, event } => {
                write!(f, "the decision of entry {decision} relies on event {event}, which is not here or came later")
            }
        }
    }
}

impl std::error::Error for BundleError {}

impl Bundle {
    pub fn parse(text: &str) -> Result<Bundle, BundleError> {
        let bundle: Bundle = serde_json::from_str(text).map_err(|e| BundleError::Unreadable(e.to_string()))?;
        if bundle.version == VERSION {
            return Ok(bundle);
        }
        Err(BundleError::Unreadable(format!("version {} is newer than this program knows", bundle.version)))
    }

    /// Holds everything in the file to the checkpoint, and that to one of the public keys.
    pub fn verify(&self, keys: &[[u8; 32]]) -> Result<Verified, BundleError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, keys).map_err(BundleError::Checkpoint)?;
        let mut shown = Shown::default();
        for entry in &self.entries {
            shown.take(entry, &checkpoint)?;
        }
        shown.check_reliance()?;
        for text in &self.texts {
            shown.check_text(text)?;
        }
        for policy in &self.policies {
            shown.check_policy(policy)?;
        }
        Ok(Verified {
            origin: checkpoint.origin,
            size: checkpoint.size,
            at: checkpoint.at,
            entries: self.entries.len(),
            decisions: shown.decisions.len(),
            events: shown.events.len(),
            texts: self.texts.len(),
            policies: self.policies.len(),
        })
    }
}

/// What the entries of a file turned out to say.
#[derive(Default)]
struct Shown {
    /// Number of the event → number of its entry.
    events: BTreeMap<i64, u64>,
    /// Entry of each decision, and the events it relies on.
    decisions: Vec<(u64, Vec<i64>)>,
    /// Version, language and digest of the wordings that were stored.
    texts: BTreeSet<(String, String, String)>,
    /// Of messages and of policies that came into force.
    policies: BTreeSet<String>,
}

impl Shown {
    fn take(&mut self, disclosed: &Disclosed, checkpoint: &Checkpoint) -> Result<(), BundleError> {
        let seq = disclosed.seq;
        let path: Option<Vec<Digest>> = disclosed.path.iter().map(|text| digest(text)).collect();
        let place = seq.checked_sub(1).ok_or(BundleError::NotInTheLedger(seq))?;
        let root = path.and_then(|path| root_of(leaf(&disclosed.entry), place, checkpoint.size, &path));
        if root != Some(checkpoint.root) {
            return Err(BundleError::NotInTheLedger(seq));
        }
        let entry = object(&disclosed.entry)?;
        self.learn(&entry, seq);
        // A part may hold the digest of the next one: who a decision is about stands in the decision.
        let mut committed = digests_in(&entry);
        for part in &disclosed.parts {
            let changed = || BundleError::Changed { seq, field: part.field.clone() };
            let salt = unhex(&part.salt).ok_or_else(changed)?;
            if !committed.contains(&(base(&part.field).to_owned(), hex(&commitment(&salt, &part.text)))) {
                return Err(changed());
            }
            if let Ok(inner) = object(&part.text) {
                committed.extend(digests_in(&inner));
                if ["decision", "decisions"].contains(&base(&part.field)) {
                    self.decisions.push((seq, events_of(&inner)));
                }
            }
        }
        Ok(())
    }

    fn learn(&mut self, entry: &Value, seq: u64) {
        match entry["entry"].as_str() {
            Some("event") => self.events.extend(entry["row"].as_i64().map(|row| (row, seq))),
            Some("message") => self.policies.extend(entry["policy"].as_str().map(str::to_owned)),
            Some("act") => {
                let body = entry["body"].as_str().and_then(|body| object(body).ok()).unwrap_or_default();
                let word = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                match entry["kind"].as_str() {
                    Some("text") => _ = self.texts.insert((word("version"), word("language"), word("sha256"))),
                    Some("policy") => _ = self.policies.insert(word("hash")),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// What a decision relies on was known when it was taken.
    fn check_reliance(&self) -> Result<(), BundleError> {
        let unknown = self.decisions.iter().find_map(|(decision, events)| {
            let came_before = |event: &&i64| self.events.get(event).is_some_and(|entry| entry < decision);
            events.iter().find(|event| !came_before(event)).map(|event| (*decision, *event))
        });
        unknown.map_or(Ok(()), |(decision, event)| Err(BundleError::Missing { decision, event }))
    }

    fn check_text(&self, text: &Wording) -> Result<(), BundleError> {
        let Wording { version, language, body } = text.clone();
        let known = (version.clone(), language.clone(), format!("sha256:{}", hex(&sha256(&[body.as_bytes()]))));
        if self.texts.contains(&known) { Ok(()) } else { Err(BundleError::Text { version, language }) }
    }

    fn check_policy(&self, sources: &[PolicySource]) -> Result<(), BundleError> {
        let hash = hash_of(sources);
        if self.policies.contains(&hash) { Ok(()) } else { Err(BundleError::Policy(hash)) }
    }
}

/// `decisions` of `decisions.2`: which of several it is says its digest.
fn base(field: &str) -> &str {
    field.split('.').next().unwrap_or(field)
}

fn object(text: &str) -> Result<Value, BundleError> {
    serde_json::from_str(text).map_err(|e| BundleError::Unreadable(e.to_string()))
}

/// Every field that holds a digest, or a list of them.
fn digests_in(object: &Value) -> BTreeSet<(String, String)> {
    let fields = object.as_object().into_iter().flatten();
    let texts = fields.flat_map(|(name, value)| {
        let one = value.as_str().map(|text| (name.clone(), text.to_owned()));
        let several = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        one.into_iter().chain(several.map(|text| (name.clone(), text.to_owned())))
    });
    texts.filter(|(_, text)| digest(text).is_some()).collect()
}

/// The numbers of the events a decision relies on; they stand there as the JSON text of their column.
fn events_of(decision: &Value) -> Vec<i64> {
    decision["events"].as_str().and_then(|events| serde_json::from_str(events).ok()).unwrap_or_default()
}

fn digest(text: &str) -> Option<Digest> {
    unhex(text)?.try_into().ok()
}

#[cfg(test)]
mod tests;
