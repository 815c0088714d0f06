//! The canonical bytes of an entry, and the digests that stand in it for what may be dropped one day.
//!
//! An entry is a JSON object of the row's columns: names in byte order, no spaces, text as a string, numbers as integers,
//! nothing as `null`, binary values in lower-case hexadecimal. Columns that hold JSON stand there as the text they are.

use std::io::Write;

use super::{Digest, sha256};

/// Of the first shape of entries; a later one takes another number.
const VERSION: i64 = 1;

/// What kind of row an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What a person said or did.
    Event,
    /// A message with the decisions about its recipients.
    Message,
    /// A newer decision about one recipient.
    Revision,
    /// What upstream said.
    Outcome,
    /// What was done with the record itself.
    Act,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Event, Kind::Message, Kind::Revision, Kind::Outcome, Kind::Act];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Message => "message",
            Kind::Revision => "revision",
            Kind::Outcome => "outcome",
            Kind::Act => "act",
        }
    }

    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A value as it stands in a column.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Digests(&'a [Digest]),
    Null,
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Value<'a> {
        text.map_or(Value::Null, Value::Text)
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Value::Null, Value::Integer)
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Value<'a> {
        bytes.map_or(Value::Null, Value::Bytes)
    }
}

use Value::{Bytes, Digests, Integer, Text};

/// Names have to come in byte order.
fn canonical(fields: &[(&str, Value<'_>)]) -> String {
    debug_assert!(fields.is_sorted_by(|one, next| one.0 < next.0));
    let mut out = Vec::with_capacity(512);
    for (place, (name, value)) in fields.iter().enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        put_text(&mut out, name);
        out.push(b':');
        match value {
            Value::Null => out.extend(b"null"),
            Integer(number) => _ = write!(out, "{number}"),
            Text(text) => put_text(&mut out, text),
            Bytes(bytes) => put_hex(&mut out, bytes),
            Digests(digests) => {
                out.push(b'[');
                for (place, digest) in digests.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    put_hex(&mut out, digest);
                }
                out.push(b']');
            }
        }
    }
    out.push(b'}');
    String::from_utf8(out).expect("names, numbers, JSON strings and hexadecimal digits are UTF-8")
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text is written into memory");
}

fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend(super::hex(bytes).into_bytes());
    out.push(b'"');
}

/// The hash of a leaf (RFC 6962 section 2.1).
pub fn leaf(canonical: &str) -> Digest {
    sha256(&[&[0], canonical.as_bytes()])
}

/// What stands in an entry for a part of its own salt: without the salt nobody can try out what the part may have been.
pub fn commitment(salt: &[u8], part: &str) -> Digest {
    sha256(&[salt, part.as_bytes()])
}

/// What a person said or did; moments are microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct EventEntry<'a> {
    pub row: i64,
    pub contact: i64,
    pub controller: &'a str,
    pub kind: &'a str,
    pub at: i64,
    pub recorded_at: i64,
    /// Keyed hash of the caller's own id.
    pub external: Option<&'a [u8]>,
    /// What was said.
    pub proof: Digest,
    /// Who said it.
    pub personal: Digest,
}

impl EventEntry<'_> {
    pub fn to_json(&self) -> String {
        canonical(&[
            ("at", Integer(self.at)),
            ("contact", Integer(self.contact)),
            ("controller", Text(self.controller)),
            ("entry", Text(Kind::Event.as_str())),
            ("external", self.external.into()),
            ("personal", Bytes(&self.personal)),
            ("proof", Bytes(&self.proof)),
            ("recorded_at", Integer(self.recorded_at)),
            ("row", Integer(self.row)),
            ("type", Text(self.kind)),
            ("v", Integer(VERSION)),
        ])
    }
}

/// A message, with one digest for each decision, so that the proof of one says nothing of another.
#[derive(Clone, Copy, Debug)]
pub struct MessageEntry<'a> {
    pub row: i64,
    pub reference: &'a str,
    pub at: i64,
    pub session: &'a str,
    pub listener: &'a str,
    pub size: i64,
    pub class: &'a str,
    pub class_rule: &'a str,
    pub controller: Option<&'a str>,
    pub topics: &'a str,
    pub families: &'a str,
    pub policy: &'a str,
    pub mode: &'a str,
    pub notes: &'a str,
    pub event_seq: i64,
    pub sent_seq: i64,
    pub attempt: Option<&'a [u8]>,
    pub upstream: &'a str,
    /// Of a [`MessagePrivate`].
    pub private: Digest,
    pub decisions: &'a [Digest],
}

impl MessageEntry<'_> {
    pub fn to_json(&self) -> String {
        canonical(&[
            ("at", Integer(self.at)),
            ("attempt", self.attempt.into()),
            ("class", Text(self.class)),
            ("class_rule", Text(self.class_rule)),
            ("controller", self.controller.into()),
            ("decisions", Digests(self.decisions)),
            ("entry", Text(Kind::Message.as_str())),
            ("event_seq", Integer(self.event_seq)),
            ("families", Text(self.families)),
            ("listener", Text(self.listener)),
            ("mode", Text(self.mode)),
            ("notes", Text(self.notes)),
            ("policy", Text(self.policy)),
            ("private", Bytes(&self.private)),
            ("reference", Text(self.reference)),
            ("row", Integer(self.row)),
            ("sent_seq", Integer(self.sent_seq)),
            ("session", Text(self.session)),
            ("size", Integer(self.size)),
            ("topics", Text(self.topics)),
            ("upstream", Text(self.upstream)),
            ("v", Integer(VERSION)),
        ])
    }
}

/// What of a message may name a person.
#[derive(Clone, Copy, Debug)]
pub struct MessagePrivate<'a> {
    pub credential: Option<&'a str>,
    pub client: &'a str,
    pub envelope_from: &'a str,
    pub sender_key: &'a str,
    pub message_id: Option<&'a str>,
    pub class_evidence: &'a str,
    pub facts: &'a str,
}

impl MessagePrivate<'_> {
    pub fn to_json(&self) -> String {
        canonical(&[
            ("class_evidence", Text(self.class_evidence)),
            ("client", Text(self.client)),
            ("credential", self.credential.into()),
            ("envelope_from", Text(self.envelope_from)),
            ("facts", Text(self.facts)),
            ("message_id", self.message_id.into()),
            ("sender_key", Text(self.sender_key)),
        ])
    }
}

/// What was decided about one recipient.
#[derive(Clone, Copy, Debug)]
pub struct DecisionPart<'a> {
    pub row: i64,
    pub message: i64,
    pub at: i64,
    pub decision: &'a str,
    pub reason: &'a str,
    pub basis: Option<&'a str>,
    pub secondary: &'a str,
    pub because: &'a str,
    pub events: &'a str,
    pub last_day: Option<&'a str>,
    pub flags: &'a str,
    pub event_seq: Option<i64>,
    pub sent_seq: Option<i64>,
    /// The first decision about this recipient, in a newer one.
    pub revises: Option<i64>,
    /// Of a [`PersonPart`].
    pub person: Digest,
}

impl DecisionPart<'_> {
    pub fn to_json(&self) -> String {
        canonical(&[
            ("at", Integer(self.at)),
            ("basis", self.basis.into()),
            ("because", Text(self.because)),
            ("decision", Text(self.decision)),
            ("event_seq", self.event_seq.into()),
            ("events", Text(self.events)),
            ("flags", Text(self.flags)),
            ("last_day", self.last_day.into()),
            ("message", Integer(self.message)),
            ("person", Bytes(&self.person)),
            ("reason", Text(self.reason)),
            ("revises", self.revises.into()),
            ("row", Integer(self.row)),
            ("secondary", Text(self.secondary)),
            ("sent_seq", self.sent_seq.into()),
        ])
    }
}

/// Who a decision is about.
#[derive(Clone, Copy, Debug)]
pub struct PersonPart<'a> {
    pub recipient: &'a str,
    pub recipient_key: &'a str,
    pub reply: Option<&'a str>,
}

impl PersonPart<'_> {
    pub fn to_json(&self) -> String {
        canonical(&[
            ("recipient", Text(self.recipient)),
            ("recipient_key", Text(self.recipient_key)),
            ("reply", self.reply.into()),
        ])
    }
}

/// A newer decision; `decision` is the digest of a [`DecisionPart`].
#[derive(Clone, Copy, Debug)]
pub struct RevisionEntry {
    pub row: i64,
    pub message: i64,
    pub decision: Digest,
}

impl RevisionEntry {
    pub fn to_json(&self) -> String {
        canonical(&[
            ("decision", Bytes(&self.decision)),
            ("entry", Text(Kind::Revision.as_str())),
            ("message", Integer(self.message)),
            ("row", Integer(self.row)),
            ("v", Integer(VERSION)),
        ])
    }
}

/// What upstream said, about one decision or about all.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeEntry<'a> {
    pub row: i64,
    pub message: i64,
    pub decision: Option<i64>,
    pub result: &'a str,
    pub code: Option<i64>,
    pub at: i64,
    pub took_us: i64,
    /// Of the reply's text, which may repeat an address.
    pub text: Option<Digest>,
}

impl OutcomeEntry<'_> {
    pub fn to_json(&self) -> String {
        canonical(&[
            ("at", Integer(self.at)),
            ("code", self.code.into()),
            ("decision", self.decision.into()),
            ("entry", Text(Kind::Outcome.as_str())),
            ("message", Integer(self.message)),
            ("result", Text(self.result)),
            ("row", Integer(self.row)),
            ("text", self.text.as_ref().map(<[u8; 32]>::as_slice).into()),
            ("took_us", Integer(self.took_us)),
            ("v", Integer(VERSION)),
        ])
    }
}

/// What was done with the record itself: an erasure, a purge, a policy that came into force.
#[derive(Clone, Copy, Debug)]
pub struct ActEntry<'a> {
    pub row: i64,
    pub at: i64,
    pub kind: &'a str,
    pub body: &'a str,
}

impl ActEntry<'_> {
    pub fn to_json(&self) -> String {
        canonical(&[
            ("at", Integer(self.at)),
            ("body", Text(self.body)),
            ("entry", Text(Kind::Act.as_str())),
            ("kind", Text(self.kind)),
            ("row", Integer(self.row)),
            ("v", Integer(VERSION)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::consent::ledger::hex;

    #[test]
    fn the_bytes_of_an_entry_are_these() {
        let entry = EventEntry {
            row: 7,
            contact: 3,
            controller: "shop",
            kind: "opt_in",
            at: 1_768_032_000_000_000,
            recorded_at: 1_768_032_000_000_001,
            external: None,
            proof: [0; 32],
            personal: [0xab; 32],
        };
        let expected = format!(
            r#"{{"at":1768032000000000,"contact":3,"controller":"shop","entry":"event","external":null,"personal":"{}","proof":"{}","recorded_at":1768032000000001,"row":7,"type":"opt_in","v":1}}"#,
            "ab".repeat(32),
            "00".repeat(32)
        );
        assert_eq!(entry.to_json(), expected);
        assert_eq!(hex(&leaf("")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    fn parsed(json: &str) -> serde_json::Value {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(value.to_string(), json, "sorted and without spaces");
        value
    }

    proptest! {
        #[test]
        fn whatever_the_columns_hold_the_bytes_are_canonical_and_tell_it_apart(
            one in ".{0,30}", other in ".{0,30}", number: i64, maybe: Option<i64>, bytes: [u8; 32],
        ) {
            let private = MessagePrivate {
                credential: Some(&one), client: &other, envelope_from: &one, sender_key: &other, message_id: None,
                class_evidence: &one, facts: &other,
            };
            prop_assert_eq!(&parsed(&private.to_json())["credential"], &one);
            let decision = DecisionPart {
                row: number, message: number, at: number, decision: &one, reason: &other, basis: None, secondary: &one,
                because: &other, events: "[]", last_day: Some(&one), flags: "[]", event_seq: maybe,
                sent_seq: maybe, revises: maybe,
                person: bytes,
            };
            prop_assert_eq!(&parsed(&decision.to_json())["person"], &hex(&bytes));
            let message = MessageEntry {
                row: number, reference: &one, at: number, session: &other, listener: &one, size: number, class: "c",
                class_rule: &other, controller: Some(&one), topics: "[]", families: "[]", policy: &other, mode: "m",
                notes: "[]", event_seq: number, sent_seq: number, attempt: Some(&bytes), upstream: &one, private: bytes, decisions: &[bytes, [1; 32]],
            };
            prop_assert_eq!(&parsed(&message.to_json())["decisions"][1], &"01".repeat(32));
            let outcome = OutcomeEntry {
                row: number, message: 1, decision: maybe, result: &one, code: maybe, at: 1, took_us: 1,
                text: Some(bytes),
            };
            prop_assert_eq!(&parsed(&outcome.to_json())["row"], &number);
            let act = ActEntry { row: number, at: 1, kind: &one, body: &other };
            prop_assert_eq!(&parsed(&act.to_json())["body"], &other);
            let person = |reply| PersonPart { recipient: &one, recipient_key: &other, reply };
            prop_assert_ne!(parsed(&person(None).to_json()), parsed(&person(Some(&one)).to_json()));
            let revision = RevisionEntry { row: number, message: 1, decision: bytes };
            prop_assert_eq!(&parsed(&revision.to_json())["entry"], &"revision");
        }
    }
}
