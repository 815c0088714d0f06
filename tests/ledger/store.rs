//! A store with a row of every kind, and what a stranger with the file can do to it.

use std::path::PathBuf;

use consentry::consent::event::ConsentEvent;
use consentry::consent::ledger::checkpoint::{Checkpoint, SigningKeys};
use consentry::consent::token::HashKeys;
use consentry::policy::because::{Fact, Sentence};
use consentry::policy::rules::{Class, Mode};
use consentry::policy::verdict::{Basis, Decision, Reason};
use consentry::smtp::address::EmailAddress;
use consentry::store::{
    Answer, Fault, KeptText, MessageRecord, Outcome, OutcomeResult, Places, Reader, RecordedVerdict, Seen, Store,
    Suppress, Trust, Verified,
};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

pub const ORIGIN: &str = "consentry/gate.example";

/// A store in a directory of its own.
pub struct Place {
    directory: TempDir,
}

pub fn hash_keys() -> HashKeys {
    HashKeys::new(vec![[7; 32]]).unwrap()
}

pub fn signing_keys() -> SigningKeys {
    SigningKeys::new(vec![[8; 32]]).unwrap()
}

pub fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn event(address: &str, controller: &str, further: &str) -> ConsentEvent {
    let json = format!(r#"{{"address":"{address}","controller":"{controller}",{further}}}"#);
    ConsentEvent::from_json(&json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

pub fn verdict(recipient: &str, decision: Decision, reason: Reason) -> RecordedVerdict {
    RecordedVerdict {
        recipient: address(recipient),
        decision,
        reason,
        basis: (decision == Decision::Allow).then_some(Basis::OptIn),
        secondary: vec![Reason::ConsentNone],
        because: Fact::new(Sentence::NothingOnRecord).into(),
        events: vec![1],
        last_day: Some(jiff::civil::date(2029, 1, 10)),
        flags: Vec::new(),
        reply: (decision != Decision::Allow).then(|| format!("550 5.7.1 <{recipient}> withheld")),
    }
}

pub fn message(reference: &str, verdicts: Vec<RecordedVerdict>) -> MessageRecord {
    let facts = serde_json::json!({
        "origin": {
            "listener": "submission", "credential": "shop", "client": "127.0.0.1",
            "may_send": ["service", "promotional"], "trust_headers": false, "pin": null,
        },
        "envelope_from": "news@c.example", "recipients": verdicts.len(), "readings": [[]], "fields_kept": ["from"],
    });
    let facts = serde_json::from_value(facts).unwrap();
    MessageRecord {
        reference: reference.into(),
        at: moment("2026-05-15T08:00:00Z"),
        session: "s1".into(),
        listener: "submission".into(),
        credential: Some("shop".into()),
        client: "127.0.0.1".into(),
        envelope_from: "news@c.example".into(),
        message_id: Some("<1@c.example>".into()),
        size: 1234,
        class: Class::Promotional,
        class_rule: "newsletter".into(),
        class_evidence: vec!["X-Campaign: 7".into()],
        controller: Some("c".into()),
        topics: vec!["offers/books".into(), "offers/music".into()],
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

pub fn outcome(reference: &str, recipient: Option<&str>) -> Outcome {
    Outcome {
        reference: reference.into(),
        recipient: recipient.map(address),
        result: OutcomeResult::Delivered,
        code: Some(250),
        text: Some("2.0.0 queued".into()),
        at: moment("2026-05-15T08:00:01Z"),
        took_us: 900,
    }
}

impl Place {
    pub fn new() -> Place {
        Place { directory: TempDir::new().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("consentry.db")
    }

    pub fn open(&self) -> Store {
        Store::open(&self.path(), hash_keys()).unwrap()
    }

    /// The store as it is now, on its own.
    pub fn copy(&self) -> Place {
        let other = Place::new();
        let db = Connection::open(self.path()).unwrap();
        db.execute("VACUUM INTO ?1", [other.path().to_str().unwrap()]).unwrap();
        other
    }

    /// As somebody with the file would open it: no trigger and no key of another table stands in the way.
    pub fn stranger(&self) -> Connection {
        let db = Connection::open(self.path()).unwrap();
        db.pragma_update(None, "foreign_keys", false).unwrap();
        let triggers: Vec<String> = {
            let mut triggers = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
            triggers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        triggers.iter().for_each(|name| db.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
        db
    }

    pub fn tamper(&self, sql: &str) {
        self.stranger().execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub fn reader(&self) -> Reader {
        Reader::open(&self.path(), hash_keys()).unwrap()
    }

    pub fn verify(&self) -> Answer {
        self.verify_with(Vec::new())
    }

    pub fn verify_with(&self, checkpoints: Vec<Checkpoint>) -> Answer {
        let trust = Trust { public_keys: signing_keys().public(), checkpoints };
        self.reader().verify_ledger(&trust, &mut |done, all| assert!(done <= all)).unwrap()
    }

    pub fn holds(&self) -> Verified {
        match self.verify() {
            Answer::Holds(verified) => verified,
            Answer::Broken(fault) => panic!("{fault}"),
        }
    }

    pub fn broken(&self) -> Fault {
        match self.verify() {
            Answer::Broken(fault) => fault,
            Answer::Holds(_) => panic!("it holds"),
        }
    }

    pub fn number(&self, sql: &str) -> i64 {
        Connection::open(self.path()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// Signs the store as it is and keeps the checkpoint in it.
pub async fn checkpoint(store: &Store) -> Checkpoint {
    let mut reader = store.reader().unwrap();
    let new = reader.sign_checkpoint(&signing_keys(), ORIGIN, moment("2026-05-16T00:00:00Z")).unwrap();
    let signed = Checkpoint::open(&new.note, &signing_keys().public()).unwrap();
    store.keep_checkpoint(new).await.unwrap();
    signed
}

/// Every table has a row, most have two or more.
pub async fn fill(store: &Store) {
    let text = KeptText::new("n-4", "fr", "Oui, je veux".into(), moment("2026-01-01T00:00:00Z"));
    store.keep_text(text).await.unwrap();
    store.keep_text(KeptText::new("n-4", "en", "Yes".into(), moment("2026-01-01T00:00:00Z"))).await.unwrap();
    let policy = consentry::config::parse_policy("policy.toml", include_str!("../cases/policy.toml"), &[]).unwrap();
    store.keep_policy(&policy, moment("2026-01-02T00:00:00Z")).await.unwrap();
    store.keep_policy(&policy, moment("2026-03-02T00:00:00Z")).await.unwrap();
    let opt_in = r#""type":"opt_in","topics":["offers"],"text_version":"n-4","id":"1","note":"at the till""#;
    for (who, controller) in [("Anna@x.example", "c"), ("anna@x.example", "d"), ("bob@y.example", "c")] {
        store.record_event(event(who, controller, opt_in)).await.unwrap();
    }
    store.record_event(event("bob@y.example", "c", r#""type":"object","topics":["offers/music"]"#)).await.unwrap();
    for day in ["2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"] {
        let hash = hash_keys().contact_hash("c", "carl@z.example");
        let objection = Suppress {
            controller: "c".into(),
            hash,
            topics: Vec::new(),
            at: moment(day),
            mechanism: "one_click".into(),
        };
        store.suppress(objection).await.unwrap();
    }
    let both = || {
        vec![
            verdict("anna@x.example", Decision::Allow, Reason::OkOptIn),
            verdict("bob@y.example", Decision::Block, Reason::ObjTopic),
        ]
    };
    store.record_message(message("r1", both())).await.unwrap();
    store.record_message(message("r2", both())).await.unwrap();
    store
        .revise_verdict(
            "r1".into(),
            verdict("anna@x.example", Decision::Block, Reason::ObjTopic),
            Seen { event_seq: 4, sent_seq: 0 },
        )
        .await
        .unwrap();
    store.record_outcome(outcome("r1", Some("anna@x.example")));
    store.record_outcome(outcome("r2", None));
    store.record_event(event("bob@y.example", "c", r#""type":"contact","kind":"reply""#)).await.unwrap();
}

/// A filled store, with a checkpoint of it.
pub async fn filled() -> (Place, Checkpoint) {
    let place = Place::new();
    let store = place.open();
    fill(&store).await;
    let signed = checkpoint(&store).await;
    store.shutdown();
    (place, signed)
}
