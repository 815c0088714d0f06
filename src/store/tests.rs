//! A real store in a temporary directory, asked and disturbed.

mod asking;
mod consent;
mod erasure;
mod faults;
mod journal;
mod places;
mod texts;

use jiff::civil::date;
use tempfile::TempDir;

use super::*;
use crate::policy::because::{Fact, Sentence};
use crate::policy::facts::{MessageFacts, Origin};
use crate::policy::rules::{Class, Mode};
use crate::policy::verdict::{Basis, Decision, Reason};
use crate::smtp::address::{EmailAddress, ReversePath};

struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { directory: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("consentry.db")
    }

    fn open(&self) -> Store {
        Store::open(&self.path(), keys(&[7])).unwrap()
    }
}

fn keys(bytes: &[u8]) -> HashKeys {
    HashKeys::new(bytes.iter().map(|byte| [*byte; 32]).collect()).unwrap()
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn event(json: &str) -> ConsentEvent {
    ConsentEvent::from_json(json).unwrap_or_else(|e| panic!("{json}: {e}"))
}

fn verdict(recipient: &str, decision: Decision, reason: Reason) -> RecordedVerdict {
    RecordedVerdict {
        recipient: address(recipient),
        decision,
        reason,
        basis: (decision == Decision::Allow).then_some(Basis::OptIn),
        secondary: Vec::new(),
        because: Fact::new(Sentence::OptedIn).about(["offers/books"]).on(date(2026, 1, 10)).event(1).into(),
        events: vec![1],
        last_day: None,
        flags: Vec::new(),
        reply: None,
    }
}

fn message(reference: &str, verdicts: Vec<RecordedVerdict>) -> MessageRecord {
    let origin = Origin {
        listener: "submission".into(),
        credential: None,
        client: [127, 0, 0, 1].into(),
        may_send: vec![Class::Service, Class::Promotional],
        trust_headers: false,
        pin: None,
    };
    let facts = MessageFacts {
        origin,
        envelope_from: ReversePath::parse("news@c.example").unwrap(),
        recipients: verdicts.len(),
        readings: vec![Vec::new()],
        body: None,
        fields_kept: vec!["from".into()],
    };
    MessageRecord {
        reference: reference.into(),
        at: moment("2026-05-15T08:00:00Z"),
        session: "s1".into(),
        listener: "submission".into(),
        credential: None,
        client: "127.0.0.1".into(),
        envelope_from: "News@C.example".into(),
        message_id: Some("<1@c.example>".into()),
        size: 1234,
        class: Class::Promotional,
        class_rule: "newsletter".into(),
        class_evidence: vec!["X-Campaign: 7".into()],
        controller: Some("c".into()),
        topics: vec!["offers/books".into()],
        families: Vec::new(),
        policy_hash: "sha256:00".into(),
        mode: Mode::Enforce,
        facts,
        notes: Vec::new(),
        event_seq: 1,
        upstream: "relay".into(),
        verdicts,
        places: Places::default(),
    }
}
