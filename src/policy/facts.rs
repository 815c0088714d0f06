//! Everything classification looks at, as plain values: what the journal keeps of a message so that its decision can
//! be told again years later.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::classify::ALWAYS_READ;
use super::rules::{Class, Pin, Policy};
use crate::message::head::{Field, MessageHead};
use crate::smtp::address::ReversePath;

pub use crate::message::body::BodyFacts;

/// The message as far as its decision depends on it. Never the body, only what was looked for in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFacts {
    pub origin: Origin,
    pub envelope_from: ReversePath,
    /// How many recipients the transaction had.
    pub recipients: usize,
    /// One for a clean header section; several when readers may disagree about it (R46).
    pub readings: Vec<Vec<FieldFact>>,
    /// What was seen of the body; only that of advertising is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyFacts>,
    /// The names that were looked for, lower case: a field that is not among them was not kept, whether there or not.
    pub fields_kept: Vec<String>,
}

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFact {
    /// Lower case.
    pub name: String,
    /// Unfolded, encoded words as they stood.
    pub value: String,
}

/// Where a message came from, and what the settings say about that place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub listener: String,
    /// The AUTH user.
    pub credential: Option<String>,
    pub client: IpAddr,
    /// The ceiling: no other class may come from here.
    pub may_send: Vec<Class>,
    /// `X-Consentry-*` fields from here are believed.
    pub trust_headers: bool,
    pub pin: Option<Pin>,
}

impl MessageFacts {
    /// Takes from the header section what this policy reads, under every reading of it.
    pub fn gather(
        policy: &Policy,
        origin: Origin,
        envelope_from: ReversePath,
        recipients: usize,
        head: &MessageHead,
        wire: &[u8],
    ) -> MessageFacts {
        let mut wanted = policy.fields_read();
        wanted.extend(ALWAYS_READ.map(str::to_owned));
        let keep = |fields: Vec<Field<'_>>| fields.iter().filter_map(|field| FieldFact::keep(field, &wanted)).collect();
        let mut readings: Vec<Vec<FieldFact>> = head.readings(wire).into_iter().map(keep).collect();
        readings.dedup();
        let fields_kept = wanted.into_iter().collect();
        MessageFacts { origin, envelope_from, recipients, readings, body: None, fields_kept }
    }
}

impl FieldFact {
    fn keep(field: &Field<'_>, wanted: &BTreeSet<String>) -> Option<FieldFact> {
        let name = field.name().to_ascii_lowercase();
        wanted.contains(&name).then(|| FieldFact { name, value: field.unfolded() })
    }
}
