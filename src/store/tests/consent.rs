use proptest::prelude::*;

use super::*;
use crate::consent::event::{EventType, RecordedEvent};
use crate::consent::state::ContactState;
use crate::smtp::address::Width;

const OPT_IN: &str = r#"{"address":"anna@x.example","controller":"c","type":"opt_in","topics":["offers"],"id":"1"}"#;

#[tokio::test]
async fn a_recorded_event_is_consulted_at_once() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.consult("c", &[address("anna@x.example")]).unwrap(), (vec![Default::default()], 0));

    let seq = store.record_event(event(OPT_IN)).await.unwrap();
    let (known, newest) = reader.consult("c", &[address("ANNA@X.example"), address("bob@x.example")]).unwrap();
    assert_eq!(newest, seq);
    assert_eq!(known[0].exact.as_ref().unwrap().events[0].event.topics, Some(vec!["offers".into()]));
    assert!(known[0].contact_id > 0);
    assert_eq!(known[1], Default::default());
}

#[tokio::test]
async fn nothing_is_seen_before_the_store_learned_it_whatever_it_claims() {
    let place = Place::new();
    let store = place.open();
    let before = Timestamp::now();
    let claims = r#"{"address":"anna@x.example","controller":"c","type":"opt_in","topics":["offers"],
        "at":"2030-01-01T00:00:00Z","recorded_at":"2024-03-01T00:00:00Z"}"#;
    let seq = store.record_event(event(claims)).await.unwrap();
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.seen_at(moment("2024-06-01T00:00:00Z")).unwrap().event_seq, 0);
    assert_eq!(reader.seen_at(before).unwrap().event_seq, 0);
    assert_eq!(reader.seen_at(Timestamp::now()).unwrap().event_seq, seq);
    let (known, _) = reader.consult("c", &[address("anna@x.example")]).unwrap();
    let recorded = &known[0].exact.as_ref().unwrap().events[0];
    assert_eq!(recorded.at, moment("2024-03-01T00:00:00Z"), "a date ahead of what it claims is none");
    assert_eq!(reader.history(known[0].contact_id).unwrap()[0], *recorded);
}

#[tokio::test]
async fn what_was_told_to_a_partner_is_consulted_too() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    let with_partner = OPT_IN.replacen('{', r#"{"partners": ["d"], "#, 1);
    let consent = store.record_event(event(&with_partner)).await.unwrap();
    let withdrawal = r#"{"address": "anna@x.example", "controller": "c", "type": "withdraw", "topics": ["offers"]}"#;
    let withdrawal = store.record_event(event(withdrawal)).await.unwrap();
    let (known, _) = reader.consult("d", &[address("anna@x.example")]).unwrap();
    let seen: Vec<i64> = known[0].exact.as_ref().unwrap().events.iter().map(|recorded| recorded.seq).collect();
    assert_eq!(seen, [consent, withdrawal]);
}

#[tokio::test]
async fn a_repeated_id_is_the_event_that_is_there_already() {
    let place = Place::new();
    let store = place.open();
    let first = store.record_event(event(OPT_IN)).await.unwrap();
    assert_eq!(store.record_event(event(OPT_IN)).await, Ok(first));
    let elsewhere = event(&OPT_IN.replace(r#""c""#, r#""d""#));
    assert_ne!(store.record_event(elsewhere).await, Ok(first));

    let mut reader = store.reader().unwrap();
    let anna = reader.contact(&address("anna@x.example")).unwrap().unwrap();
    assert_eq!(reader.history(anna.id).unwrap().len(), 2);
    assert_eq!(reader.contact_by_id(anna.id).unwrap(), Some(anna));
}

#[tokio::test]
async fn whoever_shares_the_widest_objection_key_is_a_relative() {
    let place = Place::new();
    let store = place.open();
    for who in ["anna@gmail.com", "an.na+shop@googlemail.com", "hanna@gmail.com"] {
        let objection = event(&format!(r#"{{"address":"{who}","controller":"c","type":"object"}}"#));
        store.record_event(objection).await.unwrap();
    }
    let mut reader = store.reader().unwrap();
    let (known, _) = reader.consult("c", &[address("a.nna@gmail.com"), address("anna@gmail.com")]).unwrap();
    assert_eq!((known[0].exact.is_some(), known[0].relatives.len(), known[0].contact_id), (false, 2, 0));
    assert_eq!((known[1].exact.is_some(), known[1].relatives.len()), (true, 1));
    assert_eq!(reader.relatives(&address("anna@gmail.com")).unwrap().len(), 1);
}

#[tokio::test]
async fn an_objection_kept_as_a_hash_is_found_with_a_key_of_former_times() {
    let place = Place::new();
    let wide = address("anna@x.example").objection_key(Width::WIDEST);
    let store = place.open();
    let suppress = |topics: &[&str], at| Suppress {
        controller: "c".into(),
        hash: keys(&[7]).contact_hash("c", &wide),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        at: moment(at),
        mechanism: "one_click".into(),
    };
    store.suppress(suppress(&["offers"], "2026-01-01T00:00:00Z")).await.unwrap();
    store.suppress(suppress(&["offers"], "2025-01-01T00:00:00Z")).await.unwrap();
    store.shutdown();

    let rotated = Store::open(&place.path(), keys(&[9, 7])).unwrap();
    let mut reader = rotated.reader().unwrap();
    let (known, _) = reader.consult("c", &[address("anna+x@x.example"), address("bob@x.example")]).unwrap();
    let found = known[0].suppressed.clone().unwrap();
    assert_eq!((found.at, found.topics), (moment("2026-01-01T00:00:00Z"), vec!["offers".to_owned()]));
    assert_eq!(known[1].suppressed, None);

    rotated.suppress(suppress(&[], "2026-02-01T00:00:00Z")).await.unwrap();
    let found = reader.suppression("c", &address("anna@x.example")).unwrap().unwrap();
    assert_eq!((found.at, found.topics), (moment("2026-02-01T00:00:00Z"), vec![]), "everything is wider");
    assert_eq!(reader.suppression("d", &address("anna@x.example")).unwrap(), None);
}

#[tokio::test]
async fn no_event_is_changed_or_removed() {
    let place = Place::new();
    let store = place.open();
    store.record_event(event(OPT_IN)).await.unwrap();
    let (db, _) = schema::open_writer(&place.path()).unwrap();
    for statement in [
        "UPDATE event SET proof = '{}'",
        "UPDATE event SET personal = NULL, personal_salt = NULL",
        "UPDATE event SET personal_salt = NULL",
        "UPDATE event SET at = 1",
        "DELETE FROM event",
        "UPDATE event SET seq = 9",
    ] {
        let refused = db.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("events are append-only"), "{statement}: {refused}");
    }
}

/// What a rebuild would write: the fold of every event that concerns the controller.
fn fold_anew(reader: &mut Reader, contact: i64, controller: &str) -> ContactState {
    let address = reader.contact_by_id(contact).unwrap().unwrap().address;
    let mut events = reader.history(contact).unwrap();
    events.retain(|recorded| events::concerned(&recorded.event).contains(controller));
    ContactState::fold(address, events)
}

fn any_event() -> impl Strategy<Value = ConsentEvent> {
    let who = proptest::sample::select(vec!["anna@x.example", "Anna@X.example", "anna+tag@x.example", "bob@y.example"]);
    let kind = proptest::sample::select(EventType::ALL.to_vec());
    let partners = proptest::option::of(proptest::sample::subsequence(vec!["c", "d", "e"], 0..3));
    let id = proptest::option::of(0..6u8);
    (who, kind, proptest::sample::select(vec!["c", "d"]), 0i64..5, partners, id).prop_map(
        |(who, kind, controller, at, partners, id)| ConsentEvent {
            at: Timestamp::from_second(at).ok(),
            partners: partners.map(|names| names.into_iter().map(str::to_owned).collect()),
            id: id.map(|id| id.to_string()),
            ..ConsentEvent::new(address(who), controller, kind)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_materialised_state_equals_the_fold(events in proptest::collection::vec(any_event(), 1..25)) {
        let place = Place::new();
        let (db, _) = schema::open_writer(&place.path()).unwrap();
        let ledger_keys = LedgerKeys::new(keys(&[7]));
        let mut chain = Chain::open(&db, &ledger_keys).unwrap();
        for event in &events {
            events::append(&db, &mut chain, event, moment("2026-01-01T00:00:00Z")).unwrap();
        }
        chain.seal(&db).unwrap();
        let mut reader = Reader::open(&place.path(), keys(&[7])).unwrap();
        let mut folded = 0;
        for contact in 1..=30 {
            for (controller, state) in reader.states(contact).unwrap() {
                prop_assert_eq!(&state, &fold_anew(&mut reader, contact, &controller));
                folded += state.events.len();
            }
        }
        let recorded: Vec<RecordedEvent> = (1..=30).flat_map(|id| reader.history(id).unwrap()).collect();
        let expected: usize = recorded.iter().map(|recorded| events::concerned(&recorded.event).len()).sum();
        prop_assert_eq!(folded, expected, "every event is in the state of everyone it concerns");
    }
}

/// What a decision asks must not grow with the number of contacts: each table is searched, none is read through.
#[tokio::test]
async fn a_decision_reads_no_table_from_end_to_end() {
    let place = Place::new();
    drop(place.open());
    let db = rusqlite::Connection::open(place.path()).unwrap();
    let sent = [sending::SENT, sending::TAKEN_SINCE, sending::HELD];
    for question in sent.into_iter().chain([reader::RELATED, reader::KNOWN_TO_ANYBODY]) {
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
        let count = plan.parameter_count();
        let steps =
            plan.query_map(rusqlite::params_from_iter(vec!["1"; count]), |row| row.get::<_, String>(3)).unwrap();
        for step in steps.map(Result::unwrap) {
            assert!(step.starts_with("SEARCH"), "{step} in {question}");
        }
    }
}

#[tokio::test]
async fn others_write_while_a_rebuild_reads_every_event() {
    let place = Place::new();
    let store = place.open();
    store.record_event(event(OPT_IN)).await.unwrap();
    let db = rusqlite::Connection::open(place.path()).unwrap();
    db.busy_timeout(std::time::Duration::ZERO).unwrap();
    db.execute_batch("DELETE FROM topic_named; INSERT INTO topic_named VALUES ('c', 'spring'), ('c', 'old')").unwrap();
    let (mut rebuild, mut told) = (Rebuild::open(&place.path(), keys(&[7]), true).unwrap(), 0);
    let found = rebuild.run(&mut |done, all| {
        if done == all {
            // What a gate writes just then is not taken for a leftover.
            let spring = r#"{"topics":["spring"]}"#;
            let written = db.execute(
                "INSERT INTO event (contact, controller, type, at, recorded_at, ledger, proof, proof_salt)
                 VALUES (1, 'c', 'object', 1, 1, 2, ?1, x'00')",
                [spring],
            );
            assert_eq!(written, Ok(1), "somebody else may write");
            told += 1;
        }
    });
    let found: Vec<&str> = found.unwrap().iter().map(|difference| difference.what).collect();
    assert_eq!((told, found), (1, vec!["missing", "of nobody", "of nobody"]));
    let named = events::topics_named(&db).unwrap();
    let named: Vec<&str> = named.iter().map(|(_, topic)| topic.as_str()).collect();
    assert_eq!(named, ["offers", "spring"]);
}

#[tokio::test]
async fn an_objection_said_again_is_another_one_once_the_first_was_answered() {
    for answer in [EventType::OptIn, EventType::Undo] {
        let place = Place::new();
        let store = place.open();
        let said = |kind, at: &str, id: Option<&str>| ConsentEvent {
            at: Some(moment(at)),
            topics: Some(vec!["offers".into()]),
            id: id.map(str::to_owned),
            ..ConsentEvent::new(address("anna@x.example"), "c", kind)
        };
        let object = |at| said(EventType::Object, at, Some("4711"));
        let first = store.record_event(object("2026-01-01T00:00:00Z")).await.unwrap();
        assert_eq!(store.record_event(object("2026-01-02T00:00:00Z")).await, Ok(first), "it stands");
        store.record_event(said(answer, "2026-01-03T00:00:00Z", None)).await.unwrap();
        let again = store.record_event(object("2026-01-04T00:00:00Z")).await.unwrap();
        assert_ne!(again, first, "after {answer}");
        assert_eq!(store.record_event(object("2026-01-04T00:00:00Z")).await, Ok(again), "a retry of it");
    }
}

#[tokio::test]
async fn what_is_chosen_together_is_recorded_together_or_not_at_all() {
    let place = Place::new();
    let store = place.open();
    let said = |kind: &str, address: &str| {
        event(&format!(r#"{{"address":"{address}","controller":"c","type":"{kind}","topics":["offers"]}}"#))
    };
    let first = store.record_event(said("object", "anna@x.example")).await.unwrap();
    let chosen = || vec![said("opt_in", "anna@x.example"), said("object", "anna@x.example")];
    // Her other spelling said no after what she chose was read; somebody else's no is none of hers.
    store.record_event(said("object", "anna+shop@x.example")).await.unwrap();
    let seen = store.record_event(said("object", "eve@x.example")).await.unwrap();
    assert_eq!(store.record_events(chosen(), first, None).await, Err(StoreError::Overtaken));
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.events_after(0, 10).unwrap().len(), 3, "nothing was written");
    assert_eq!(store.record_events(chosen(), seen, None).await, Ok(seen + 2));
    assert_eq!(reader.events_after(seen, 10).unwrap().len(), 2);
    assert_eq!(store.record_events(vec![said("opt_in", "new@x.example")], 0, None).await, Ok(seen + 3));
}
