use super::*;

/// Three messages: one to two people, of whom one objected; one service; one later about music.
async fn journal(place: &Place) -> Store {
    let store = place.open();
    let allowed = verdict("anna@x.example", Decision::Allow, Reason::OkOptIn);
    let objected = verdict("bob@y.example", Decision::Block, Reason::ObjTopic);
    store.record_message(message("r1", vec![allowed.clone(), objected])).await.unwrap();
    let service = MessageRecord {
        at: moment("2026-05-15T09:00:00Z"),
        class: Class::Service,
        envelope_from: String::new(),
        controller: None,
        topics: Vec::new(),
        ..message("r2", vec![verdict("bob@y.example", Decision::Allow, Reason::SvcOk)])
    };
    store.record_message(service).await.unwrap();
    let music = MessageRecord {
        at: moment("2026-05-15T10:00:00Z"),
        topics: vec!["offers/music".into()],
        ..message("r3", vec![allowed])
    };
    store.record_message(music).await.unwrap();
    store
}

fn listed(reader: &mut Reader, filter: &Filter) -> Vec<String> {
    let rows = reader.decisions(filter, None, 100).unwrap();
    rows.iter().map(|(message, decision)| format!("{} {}", message.reference, decision.recipient)).collect()
}

#[tokio::test]
async fn decisions_are_found_by_every_filter_the_newest_first() {
    let place = Place::new();
    let mut reader = journal(&place).await.reader().unwrap();
    let any = Filter::default;
    let table = [
        (any(), vec!["r3 anna@x.example", "r2 bob@y.example", "r1 bob@y.example", "r1 anna@x.example"]),
        (Filter { decision: Some(Decision::Block), ..any() }, vec!["r1 bob@y.example"]),
        (Filter { reason: Some(Reason::OkOptIn), ..any() }, vec!["r3 anna@x.example", "r1 anna@x.example"]),
        (Filter { topic: Some("offers/music".into()), ..any() }, vec!["r3 anna@x.example"]),
        (
            Filter { topic: Some("offers".into()), ..any() },
            vec!["r3 anna@x.example", "r1 bob@y.example", "r1 anna@x.example"],
        ),
        (Filter { topic: Some("offer".into()), ..any() }, vec![]),
        (
            Filter { controller: Some("c".into()), ..any() },
            vec!["r3 anna@x.example", "r1 bob@y.example", "r1 anna@x.example"],
        ),
        (Filter { sender: Some(String::new()), ..any() }, vec!["r2 bob@y.example"]),
        (
            Filter { sender: Some("NEWS@c.example".into()), reason: Some(Reason::ObjTopic), ..any() },
            vec!["r1 bob@y.example"],
        ),
        (Filter { recipient: Some(address("BOB@y.example")), ..any() }, vec!["r2 bob@y.example", "r1 bob@y.example"]),
        (
            Filter { since: Some(moment("2026-05-15T09:00:00Z")), ..any() },
            vec!["r3 anna@x.example", "r2 bob@y.example"],
        ),
        (
            Filter { until: Some(moment("2026-05-15T09:00:00Z")), ..any() },
            vec!["r1 bob@y.example", "r1 anna@x.example"],
        ),
    ];
    for (filter, expected) in table {
        assert_eq!(listed(&mut reader, &filter), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_show_every_decision_once() {
    let place = Place::new();
    let mut reader = journal(&place).await.reader().unwrap();
    for filter in [Filter::default(), Filter { recipient: Some(address("bob@y.example")), ..Filter::default() }] {
        let (whole, mut pages, mut after) = (listed(&mut reader, &filter), Vec::new(), None);
        loop {
            let page = reader.decisions(&filter, after, 1).unwrap();
            let Some((message, decision)) = page.first() else { break };
            pages.push(format!("{} {}", message.reference, decision.recipient));
            after = Some(decision.position);
        }
        assert_eq!(pages, whole);
    }
}

#[tokio::test]
async fn new_decisions_are_followed_in_the_order_of_their_recording() {
    let place = Place::new();
    let store = journal(&place).await;
    let mut reader = store.reader().unwrap();
    let (last, version) = (reader.newest_decision().unwrap(), reader.data_version().unwrap());
    assert_eq!(reader.data_version(), Ok(version));

    store
        .record_message(message("r4", vec![verdict("anna@x.example", Decision::Allow, Reason::OkOptIn)]))
        .await
        .unwrap();
    assert_ne!(reader.data_version(), Ok(version));
    let new = reader.decisions_since(&Filter::default(), last, 10).unwrap();
    assert_eq!(new.iter().map(|(message, _)| message.reference.as_str()).collect::<Vec<_>>(), ["r4"]);
}

#[tokio::test]
async fn an_outcome_belongs_to_its_copy_or_to_all_that_left() {
    let place = Place::new();
    let store = journal(&place).await;
    let outcome = |reference: &str, recipient: Option<&str>, result, code| Outcome {
        reference: reference.into(),
        recipient: recipient.map(address),
        result,
        code: Some(code),
        text: Some("queued".into()),
        at: moment("2026-05-15T08:00:01Z"),
        took_us: 900,
    };
    store.record_outcome(outcome("r1", None, OutcomeResult::Deferred, 451));
    store.record_outcome(outcome("r1", Some("anna@x.example"), OutcomeResult::Delivered, 250));
    store.record_outcome(outcome("none", None, OutcomeResult::Delivered, 250));
    store.record_message(message("r5", Vec::new())).await.unwrap();
    assert_eq!(store.health().gaps(), 1, "the outcome without a message");

    let story = store.reader().unwrap().story("r1").unwrap().unwrap();
    let told = |decision: &DecisionRow| decision.outcome.as_ref().map(|outcome| (outcome.result.clone(), outcome.code));
    let told: Vec<_> = story.decisions.iter().map(told).collect();
    assert_eq!(told, [Some(("delivered".into(), Some(250))), None], "a withheld copy has no outcome");
}

#[tokio::test]
async fn the_story_of_a_message_keeps_what_the_rules_looked_at() {
    let place = Place::new();
    let mut reader = journal(&place).await.reader().unwrap();
    let story = reader.story("r1").unwrap().unwrap();
    assert_eq!(story.message.class_evidence, ["X-Campaign: 7"]);
    let facts = message("r1", vec![verdict("a@x.example", Decision::Allow, Reason::SvcOk); 2]).facts;
    assert_eq!(story.facts, Some(facts));
    assert_eq!(story.decisions.len(), 2);
    assert!(reader.story("r9").unwrap().is_none());
}

#[tokio::test]
async fn counts_are_by_class_decision_and_reason() {
    let place = Place::new();
    let mut reader = journal(&place).await.reader().unwrap();
    let counts = reader.counts(&Filter::default()).unwrap();
    let short: Vec<_> =
        counts.iter().map(|c| (c.class.as_str(), c.reason.as_str(), c.recipients, c.messages)).collect();
    assert_eq!(
        short,
        [("promotional", "OK_OPT_IN", 2, 2), ("promotional", "OBJ_TOPIC", 1, 1), ("service", "SVC_OK", 1, 1)]
    );
}

#[tokio::test]
async fn a_purge_drops_what_is_older_and_keeps_the_rest_whole() {
    let place = Place::new();
    let store = journal(&place).await;
    assert_eq!(store.purge_journal(moment("2026-05-15T10:00:00Z")).await, Ok(2));
    assert_eq!(store.purge_journal(moment("2026-05-15T10:00:00Z")).await, Ok(0));
    assert_eq!(listed(&mut store.reader().unwrap(), &Filter::default()), ["r3 anna@x.example"]);
}

#[tokio::test]
async fn a_revised_verdict_stands_in_the_place_of_the_one_that_never_took_effect() {
    let place = Place::new();
    let store = journal(&place).await;
    let objected = verdict("anna@x.example", Decision::Block, Reason::ObjTopic);
    store.revise_verdict("r1".into(), objected, Seen { event_seq: 9, sent_seq: 0 }).await.unwrap();
    let filter = Filter { reason: Some(Reason::ObjTopic), ..Filter::default() };
    let mut rows = listed(&mut store.reader().unwrap(), &filter);
    rows.sort();
    assert_eq!(rows, ["r1 anna@x.example", "r1 bob@y.example"]);
}
