//! A person is forgotten by one controller, or by all.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::*;

const OBJECTION: &str = r#"{"address":"anna+news@x.example","controller":"c","type":"object","topics":["offers"],
    "at":"2026-02-01T12:00:00Z","id":"7","note":"Anna called"}"#;

fn consent(address: &str, controller: &str) -> ConsentEvent {
    event(&format!(
        r#"{{"address":"{address}","controller":"{controller}","type":"opt_in","topics":["offers"],"id":"{address}"}}"#
    ))
}

fn erase(address: &str, controller: &str) -> ConsentEvent {
    event(&format!(
        r#"{{"address":"{address}","controller":"{controller}","type":"erase","note":"letter of {address}"}}"#
    ))
}

/// Everything any table holds, as text.
fn dump(place: &Place) -> String {
    let db = Connection::open(place.path()).unwrap();
    let mut tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut text = String::new();
    for table in tables {
        let mut rows = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                match row.get::<_, Value>(column).unwrap() {
                    Value::Text(cell) => text += &cell,
                    Value::Blob(cell) => text += &String::from_utf8_lossy(&cell),
                    _ => {}
                }
                text.push('\n');
            }
        }
    }
    text
}

fn listed(reader: &mut Reader, recipient: &str) -> Vec<(String, String, bool)> {
    let filter = Filter { recipient: Some(address(recipient)), ..Filter::default() };
    let rows = reader.decisions(&filter, None, 100).unwrap();
    rows.into_iter().map(|(message, decision)| (message.reference, decision.recipient, decision.erased)).collect()
}

#[tokio::test]
async fn nothing_in_the_store_names_a_person_whom_everybody_forgot() {
    let place = Place::new();
    let store = place.open();
    store.record_event(event(OBJECTION)).await.unwrap();
    store.record_event(consent("anna+news@x.example", "d")).await.unwrap();
    let mut told = verdict("Anna+News@x.example", Decision::Block, Reason::ObjTopic);
    told.reply = Some("550 5.7.1 <Anna+News@x.example> withheld".into());
    let mut letter = message("r1", vec![told]);
    letter.envelope_from = "bounce+anna+news=x.example@c.example".into();
    letter.class_evidence = vec!["X-To: anna+news@x.example".into()];
    store.record_message(letter).await.unwrap();
    store.record_outcome(Outcome {
        reference: "r1".into(),
        recipient: Some(address("Anna+News@x.example")),
        result: OutcomeResult::Delivered,
        code: Some(250),
        text: Some("2.1.5 <anna+news@x.example> fine".into()),
        at: moment("2026-05-15T08:00:01Z"),
        took_us: 900,
    });
    let service = MessageRecord {
        controller: None,
        ..message("r2", vec![verdict("anna+news@x.example", Decision::Allow, Reason::SvcOk)])
    };
    store.record_message(service).await.unwrap();
    assert!(dump(&place).to_lowercase().contains("anna"));

    store.record_event(erase("ANNA+news@x.example", "c")).await.unwrap();
    let mut reader = store.reader().unwrap();
    assert!(reader.contact(&address("anna+news@x.example")).unwrap().is_some(), "d has something left");
    store.record_event(erase("anna+news@x.example", "d")).await.unwrap();
    let left = dump(&place);
    assert!(!left.to_lowercase().contains("anna"), "{left}");

    let (known, _) = reader.consult("c", &[address("anna@x.example")]).unwrap();
    let mark = known[0].suppressed.clone().unwrap();
    assert_eq!((mark.at, mark.topics), (moment("2026-02-01T12:00:00Z"), vec![]), "the objection counts for everything");
    let (known, _) = reader.consult("d", &[address("anna+news@x.example")]).unwrap();
    assert_eq!((&known[0].exact, &known[0].suppressed, known[0].contact_id), (&None, &None, 0));
    assert_eq!(reader.contact_by_id(1), Ok(None));
    let rows = listed(&mut reader, "anna+news@x.example");
    assert_eq!(
        rows.iter().map(|(reference, _, erased)| (reference.as_str(), *erased)).collect::<Vec<_>>(),
        [("r2", true), ("r1", true)]
    );
    assert!(rows.iter().all(|(_, recipient, _)| recipient.starts_with("erased:")));
    let story = reader.story("r1").unwrap().unwrap();
    assert_eq!((story.facts, story.decisions[0].reason.as_str()), (None, "OBJ_TOPIC"));
    assert_eq!(story.decisions[0].outcome.as_ref().unwrap().text, None);
}

#[tokio::test]
async fn whoever_said_something_since_it_was_decided_is_not_forgotten() {
    let place = Place::new();
    let store = place.open();
    let mut reader = store.reader().unwrap();
    let anna = address("anna@x.example");
    for controller in ["c", "d"] {
        store.record_event(consent("anna@x.example", controller)).await.unwrap();
    }
    let (_, seen) = reader.consult("c", std::slice::from_ref(&anna)).unwrap();
    let again = event(r#"{"address":"Anna@x.example","controller":"c","type":"opt_in","topics":["offers"]}"#);
    store.record_event(again).await.unwrap();
    store.record_event(consent("bob@y.example", "c")).await.unwrap();

    assert_eq!(store.forget(erase("anna@x.example", "c"), seen).await, Ok(0));
    let (known, seen) = reader.consult("c", std::slice::from_ref(&anna)).unwrap();
    assert_eq!(reader.history(known[0].contact_id).unwrap().len(), 3, "nothing was taken");

    for controller in ["c", "d"] {
        let erased = store.forget(erase("anna@x.example", controller), seen).await.unwrap();
        assert!(erased > seen, "decided with all that there is, at {controller} too");
    }
    assert_eq!(reader.contact(&anna).unwrap(), None);
}

#[tokio::test]
async fn neither_machine_nor_own_words_outlive_the_person() {
    let place = Place::new();
    let store = place.open();
    let told = r#"{"address":"anna@x.example","controller":"c","type":"object",
        "evidence":{"unsub_ip":"192.0.2.4","reason_other":"my doctor told me","user_agent":"Mozilla/5.0","campaign":"spring"}}"#;
    let seq = store.record_event(event(told)).await.unwrap();
    let mut reader = store.reader().unwrap();
    let before = reader.event(seq).unwrap().unwrap().event.evidence.unwrap();
    assert_eq!((&before["unsub_ip"], &before["campaign"]), (&"192.0.2.4".into(), &"spring".into()));
    store.record_event(erase("anna@x.example", "c")).await.unwrap();
    let left = dump(&place);
    for word in ["192.0.2.4", "doctor", "Mozilla"] {
        assert!(!left.contains(word), "{word}: {left}");
    }
    assert!(left.contains("spring"), "the proof stays: {left}");
}

#[tokio::test]
async fn what_another_controller_or_another_person_has_stays() {
    let place = Place::new();
    let store = place.open();
    store.record_event(consent("anna@x.example", "c")).await.unwrap();
    store.record_event(consent("anna@x.example", "d")).await.unwrap();
    store.record_event(consent("bob@y.example", "c")).await.unwrap();
    let both = ["anna@x.example", "bob@y.example"].map(|who| verdict(who, Decision::Allow, Reason::OkOptIn));
    store.record_message(message("r1", both.to_vec())).await.unwrap();
    let elsewhere = MessageRecord { controller: Some("d".into()), ..message("r2", both[..1].to_vec()) };
    store.record_message(elsewhere).await.unwrap();
    store.record_event(erase("anna@x.example", "c")).await.unwrap();

    let mut reader = store.reader().unwrap();
    let anna = reader.contact(&address("anna@x.example")).unwrap().unwrap();
    let states: Vec<String> = reader.states(anna.id).unwrap().into_iter().map(|(controller, _)| controller).collect();
    assert_eq!(states, ["d"]);
    assert_eq!(reader.history(anna.id).unwrap().len(), 1);
    assert!(reader.consult("c", &[address("bob@y.example")]).unwrap().0[0].exact.is_some());
    let erased: Vec<bool> = listed(&mut reader, "anna@x.example").into_iter().map(|(_, _, erased)| erased).collect();
    assert_eq!(erased, [false, true], "the newest first: r2 of d, r1 of c");
    let story = reader.story("r1").unwrap().unwrap();
    assert!(story.facts.is_some(), "it went to bob too");
    assert_eq!(story.decisions[1].recipient, "bob@y.example");
}

#[tokio::test]
async fn what_was_said_to_a_controller_that_forgets_leaves_its_partners_too() {
    let place = Place::new();
    let store = place.open();
    let mut given = consent("anna@x.example", "c");
    given.partners = Some(vec!["d".into()]);
    store.record_event(given).await.unwrap();
    store.record_event(erase("anna@x.example", "c")).await.unwrap();
    assert_eq!(store.reader().unwrap().consult("d", &[address("anna@x.example")]).unwrap().0[0], Default::default());
}

#[tokio::test]
async fn an_old_file_does_not_bring_an_erased_person_back_and_the_person_can_come_back() {
    let place = Place::new();
    let store = place.open();
    let first = store.record_event(consent("anna@x.example", "c")).await.unwrap();
    store.record_event(erase("anna@x.example", "c")).await.unwrap();
    assert_eq!(store.record_event(consent("anna@x.example", "c")).await, Ok(first));
    store.shutdown();
    let rotated = Store::open(&place.path(), keys(&[9, 7])).unwrap();
    assert_eq!(rotated.record_event(consent("anna@x.example", "c")).await, Ok(first), "nor after a change of keys");
    let mut reader = rotated.reader().unwrap();
    assert_eq!(reader.contact(&address("anna@x.example")), Ok(None));

    let anew = ConsentEvent { id: Some("new".into()), ..consent("anna@x.example", "c") };
    rotated.record_event(anew).await.unwrap();
    let known = reader.consult("c", &[address("anna@x.example")]).unwrap().0;
    assert_eq!(known[0].exact.as_ref().unwrap().events.len(), 1);
    rotated.record_event(erase("anna@x.example", "c")).await.unwrap();
    rotated.record_event(erase("anna@x.example", "c")).await.unwrap();
    assert!(!dump(&place).contains("anna"));
}

#[tokio::test]
async fn whoever_asks_to_be_erased_without_being_known_leaves_no_trace_of_the_address() {
    let place = Place::new();
    let store = place.open();
    store
        .record_message(message("r1", vec![verdict("anna@x.example", Decision::Block, Reason::ConsentNone)]))
        .await
        .unwrap();
    store.record_event(erase("anna@x.example", "c")).await.unwrap();
    assert!(!dump(&place).contains("anna"));
}

#[tokio::test]
async fn a_journal_row_changes_in_no_other_way() {
    let place = Place::new();
    let store = place.open();
    store
        .record_message(message("r1", vec![verdict("anna@x.example", Decision::Block, Reason::ConsentNone)]))
        .await
        .unwrap();
    store.keep_text(KeptText::new("n-1", "fr", "oui".into(), moment("2026-05-15T08:00:00Z"))).await.unwrap();
    let db = Connection::open(place.path()).unwrap();
    for statement in [
        "UPDATE message SET class = 'service'",
        "UPDATE message SET facts = NULL",
        "UPDATE decision SET reason = 'OK_OPT_IN'",
        "UPDATE decision SET recipient = 'bob@y.example'",
        "UPDATE ledger SET row = 2",
        "DELETE FROM ledger",
        "UPDATE act SET body = '{}'",
        "DELETE FROM act",
    ] {
        let refused = db.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn whoever_writes_beside_a_gate_uses_the_key_that_the_gate_knows() {
    let place = Place::new();
    let gate = place.open();
    gate.record_event(event(OBJECTION)).await.unwrap();
    let beside = Store::open(&place.path(), keys(&[9, 7])).unwrap();
    beside.record_event(erase("anna+news@x.example", "c")).await.unwrap();
    beside.shutdown();
    gate.record_event(consent("bob@y.example", "c")).await.unwrap();
    let known = gate.reader().unwrap().consult("c", &[address("anna+news@x.example")]).unwrap().0;
    assert!(known[0].suppressed.is_some(), "the gate recognises the objection");
    gate.shutdown();

    // Alone, the newest key is taken; from then on the older one alone is not enough.
    let restarted = Store::open(&place.path(), keys(&[9, 7])).unwrap();
    restarted.record_event(consent("carl@z.example", "c")).await.unwrap();
    restarted.shutdown();
    assert!(matches!(Store::open(&place.path(), keys(&[7])).err(), Some(StoreError::Ledger(_))));
}
