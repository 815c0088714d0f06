use proptest::prelude::*;

use super::*;
use crate::consent::ledger::checkpoint::SigningKeys;
use crate::consent::ledger::entry::{ActEntry, DecisionPart, EventEntry, MessageEntry, PersonPart};
use crate::consent::ledger::merkle::{Frontier, siblings};

const SALT: [u8; 16] = [9; 16];

fn keys() -> SigningKeys {
    SigningKeys::new(vec![[1; 32]]).unwrap()
}

fn part(field: &str, text: String) -> (Digest, Part) {
    (commitment(&SALT, &text), Part { field: field.into(), salt: hex(&SALT), text })
}

fn policy() -> Vec<PolicySource> {
    vec![PolicySource { name: "policy.toml".into(), text: "mode = \"enforce\"\n".into() }]
}

/// A ledger of four entries: a wording, a policy, an opt-in, and a message decided on it.
fn bundle() -> Bundle {
    let act = |row, kind, body: Value| ActEntry { row, at: 1, kind, body: &body.to_string() }.to_json();
    let body = "Yes, send me book offers.";
    let stored = serde_json::json!({
        "version": "newsletter-4", "language": "en", "sha256": format!("sha256:{}", hex(&sha256(&[body.as_bytes()]))),
    });
    let (proof, said) = part("proof", r#"{"text_version":"newsletter-4","topics":["offers"]}"#.into());
    let (personal, who) = part("personal", r#"{"address":"anna@x.example"}"#.into());
    let event = EventEntry {
        row: 1,
        contact: 1,
        controller: "shop",
        kind: "opt_in",
        at: 2,
        recorded_at: 2,
        external: None,
        proof,
        personal,
    };
    let recipient = PersonPart { recipient: "anna@x.example", recipient_key: "anna@x.example", reply: None };
    let (person, recipient) = part("person", recipient.to_json());
    let decision = DecisionPart {
        row: 1,
        message: 1,
        at: 3,
        decision: "allow",
        reason: "OK_OPT_IN",
        basis: Some("opt_in"),
        secondary: "[]",
        because: "[]",
        events: "[1]",
        last_day: None,
        flags: "[]",
        event_seq: None,
        revises: None,
        sent_seq: None,
        person,
    };
    let (decided, decision) = part("decisions.1", decision.to_json());
    let hash = hash_of(&policy());
    let message = MessageEntry {
        row: 1,
        reference: "01J",
        at: 3,
        session: "s",
        listener: "main",
        size: 10,
        class: "promotional",
        class_rule: "newsletter",
        controller: Some("shop"),
        topics: "[]",
        families: "[]",
        policy: &hash,
        mode: "enforce",
        notes: "[]",
        event_seq: 1,
        sent_seq: 0,
        attempt: None,
        upstream: "relay",
        private: [5; 32],
        decisions: &[[6; 32], decided],
    };
    let entries = [
        (act(1, "text", stored), vec![]),
        (act(2, "policy", serde_json::json!({"hash": hash})), vec![]),
        (event.to_json(), vec![said, who]),
        (message.to_json(), vec![decision, recipient]),
    ];
    let leaves: Vec<Digest> = entries.iter().map(|(entry, _)| leaf(entry)).collect();
    let tree = |from: u64, to: u64| {
        let mut frontier = Frontier::default();
        leaves[from as usize..to as usize].iter().for_each(|leaf| frontier.push(*leaf));
        frontier
    };
    let size = leaves.len() as u64;
    let at = jiff::Timestamp::from_second(1000).unwrap();
    let checkpoint = Checkpoint { origin: "consentry/gate.example".into(), size, root: tree(0, size).root(), at };
    let disclosed = entries.into_iter().zip(0..).map(|((entry, parts), place)| {
        let path = siblings(place, size).into_iter().map(|part| hex(&tree(part.start, part.end).root())).collect();
        Disclosed { seq: place + 1, entry, path, parts }
    });
    Bundle {
        version: VERSION,
        about: "message 01J".into(),
        checkpoint: checkpoint.sign(&keys()),
        entries: disclosed.collect(),
        texts: vec![Wording { version: "newsletter-4".into(), language: "en".into(), body: body.into() }],
        policies: vec![policy()],
    }
}

#[test]
fn a_stranger_with_the_public_key_can_check_it_all() {
    let written = serde_json::to_string(&bundle()).unwrap();
    let verified = Bundle::parse(&written).unwrap().verify(&keys().public()).unwrap();
    assert_eq!((verified.entries, verified.decisions, verified.events), (4, 1, 1));
    assert_eq!((verified.texts, verified.policies, verified.size), (1, 1, 4));
}

#[test]
fn a_file_that_holds_something_else_is_told_where() {
    type Change = fn(&mut Bundle);
    let table: [(Change, BundleError); 9] = [
        (
            |b| b.entries[2].parts[0].text = b.entries[2].parts[0].text.replace("offers", "music"),
            BundleError::Changed { seq: 3, field: "proof".into() },
        ),
        (
            |b| b.entries[3].parts[1].text = b.entries[3].parts[1].text.replace("anna", "bob"),
            BundleError::Changed { seq: 4, field: "person".into() },
        ),
        (|b| b.entries[3].parts[0].field = "private".into(), BundleError::Changed { seq: 4, field: "private".into() }),
        (|b| b.entries[0].entry = b.entries[0].entry.replace("\"at\":1", "\"at\":2"), BundleError::NotInTheLedger(1)),
        (|b| b.entries[1].seq = 3, BundleError::NotInTheLedger(3)),
        (|b| b.entries[1].seq = 0, BundleError::NotInTheLedger(0)),
        (|b| _ = b.entries.remove(2), BundleError::Missing { decision: 4, event: 1 }),
        (|b| b.texts[0].body.push('!'), BundleError::Text { version: "newsletter-4".into(), language: "en".into() }),
        (
            |b| b.checkpoint = b.checkpoint.replace("\n4\n", "\n5\n"),
            BundleError::Checkpoint(CheckpointError::NotSigned),
        ),
    ];
    for (change, expected) in table {
        let mut changed = bundle();
        change(&mut changed);
        assert_eq!(changed.verify(&keys().public()), Err(expected));
    }
}

#[test]
fn a_policy_that_decided_nothing_is_told() {
    let mut changed = bundle();
    changed.policies[0][0].text.push('#');
    assert!(matches!(changed.verify(&keys().public()), Err(BundleError::Policy(_))));
}

#[test]
fn another_public_key_vouches_for_nothing() {
    let other = SigningKeys::new(vec![[2; 32]]).unwrap();
    assert_eq!(bundle().verify(&other.public()), Err(BundleError::Checkpoint(CheckpointError::NotSigned)));
}

proptest! {
    #[test]
    fn no_change_of_a_letter_goes_unnoticed(at in any::<prop::sample::Index>(), letter in "[ -~]") {
        let whole = bundle();
        let written = serde_json::to_string(&whole).unwrap();
        let mut changed = written.clone().into_bytes();
        let place = at.index(changed.len());
        changed[place] = letter.as_bytes()[0];
        let Ok(changed) = String::from_utf8(changed) else { return Ok(()) };
        let Ok(read) = Bundle::parse(&changed) else { return Ok(()) };
        // The heading is for people and proves nothing; a part's place among its kind is none either.
        let heading = |bundle: &Bundle| {
            let mut bundle = bundle.clone();
            bundle.about.clear();
            bundle.policies.iter_mut().flatten().for_each(|source| source.name.clear());
            let parts = bundle.entries.iter_mut().flat_map(|entry| &mut entry.parts);
            parts.for_each(|part| part.field = base(&part.field).to_owned());
            bundle
        };
        prop_assert!(heading(&read) == heading(&whole) || read.verify(&keys().public()).is_err(), "{changed}");
    }
}
