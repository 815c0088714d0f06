use serde_json::{Value, json};

use super::*;
use crate::config::parse_policy;
use crate::consent::event::{ConsentEvent, RecordedEvent};
use crate::consent::state::{Sent, Suppression};

const POLICY: &str = r#"
[controller.c]
name = "C"
domains = ["c.example"]
privacy_url = "https://c.example/privacy"
contact = "privacy@c.example"
[topic.offers]
controller = "c"
"#;

fn anna() -> EmailAddress {
    EmailAddress::parse("anna@x.example").unwrap()
}

fn collected(day: &str) -> Value {
    json!({"type": "collected", "at": format!("{day}T12:00:00+01:00"), "provenance": "direct_form"})
}

fn opt_in(day: &str) -> Value {
    json!({
        "type": "opt_in", "at": format!("{day}T12:00:00+01:00"), "topics": ["offers"], "actor": "person",
        "mechanism": "unticked_box_ticked", "source": "form", "text_version": "n4",
    })
}

fn said(kind: &str, day: &str, more: Value) -> Value {
    let mut event = json!({"type": kind, "at": format!("{day}T12:00:00+01:00"), "actor": "person"});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

/// What is known, `notices` being the days on which the notice went.
fn consulted(events: &[Value], notices: &[&str]) -> Consulted {
    let recorded = events.iter().zip(1..).map(|(event, seq)| {
        let mut event = event.as_object().unwrap().clone();
        event.insert("address".into(), json!("anna@x.example"));
        event.entry("controller").or_insert(json!("c"));
        let event = ConsentEvent::from_json(&Value::Object(event).to_string()).unwrap();
        let learned = event.at.unwrap();
        RecordedEvent::new(seq, event, learned)
    });
    let state = ContactState::fold(anna(), recorded.collect());
    let sent = |day: &&str| Sent {
        at: format!("{day}T09:00:00+01:00").parse().unwrap(),
        promotional: false,
        topics: Vec::new(),
        kinds: vec![DELETION_NOTICE.to_owned()],
        attempt: None,
    };
    Consulted {
        exact: (!state.events.is_empty()).then_some(state),
        sent: notices.iter().map(sent).collect(),
        ..Consulted::default()
    }
}

fn told(knobs: &str, events: &[Value], notices: &[&str], today: &str) -> String {
    let policy = parse_policy("policy.toml", &format!("{knobs}{POLICY}"), &[]).unwrap();
    let now = format!("{today}T10:00:00+01:00").parse().unwrap();
    match retention(&policy, "c", &anna(), &consulted(events, notices), now) {
        Some(found) => format!("{} {} {}", found.due, found.last_day, found.reason()),
        None => "-".to_owned(),
    }
}

#[test]
fn the_notice_is_due_before_the_last_day_and_the_end_only_after_an_answer_could_come() {
    let events = [opt_in("2023-03-10")];
    let table: [(&[&str], &str, &str); 11] = [
        (&[], "2026-02-07", "nothing 2026-03-10 opt_in"),
        (&[], "2026-02-08", "notice 2026-03-10 opt_in"),
        (&[], "2026-03-10", "notice 2026-03-10 opt_in"),
        (&[], "2026-04-09", "notice 2026-03-10 opt_in"),
        (&[], "2026-04-10", "purge 2026-03-10 opt_in"),
        (&["2026-02-10"], "2026-02-11", "nothing 2026-03-10 opt_in"),
        (&["2026-02-05"], "2026-03-10", "nothing 2026-03-10 opt_in"),
        (&["2026-02-05"], "2026-03-11", "purge 2026-03-10 opt_in"),
        (&["2026-03-01"], "2026-03-30", "nothing 2026-03-10 opt_in"),
        (&["2026-03-01"], "2026-03-31", "purge 2026-03-10 opt_in"),
        (&["2026-04-09"], "2026-05-08", "nothing 2026-03-10 opt_in"),
    ];
    for (notices, today, expected) in table {
        assert_eq!(told("", &events, notices, today), expected, "{notices:?} {today}");
    }
    assert_eq!(told("retention_notice = \"2 weeks\"\n", &events, &[], "2026-02-23"), "nothing 2026-03-10 opt_in");
    assert_eq!(told("retention_notice = \"2 weeks\"\n", &events, &[], "2026-03-25"), "purge 2026-03-10 opt_in");
    assert_eq!(told("retention_years = 1\n", &events, &[], "2024-04-10"), "purge 2024-03-10 opt_in");
}

#[test]
fn an_answer_begins_a_new_time_and_is_asked_for_once_in_a_life() {
    let answered = [opt_in("2023-03-10"), said("contact", "2026-02-12", json!({"kind": "click"}))];
    assert_eq!(told("", &answered, &["2026-02-10"], "2026-04-10"), "nothing 2029-02-12 opt_in");
    assert_eq!(told("", &answered, &["2026-02-10"], "2029-02-12"), "nothing 2029-02-12 opt_in", "one notice is one");
    assert_eq!(told("", &answered, &["2026-02-10"], "2029-03-14"), "nothing 2029-02-12 opt_in");
    assert_eq!(told("", &answered, &["2026-02-10"], "2029-03-15"), "purge 2029-02-12 opt_in");
}

#[test]
fn the_longest_ground_counts_and_a_prospect_ends_after_its_collection() {
    let bought = json!({"families": ["book"], "state": "paid", "collected_in_sale": true});
    let bought = said("purchase", "2024-06-01", bought);
    assert_eq!(told("", &[collected("2023-03-10")], &[], "2026-04-10"), "purge 2026-03-10 prospect");
    assert_eq!(
        told("", &[opt_in("2023-03-10"), bought], &[], "2026-04-10").split(' ').take(2).collect::<Vec<_>>(),
        ["nothing", "2027-06-01"]
    );
    assert_eq!(
        told("", &[said("frequency", "2023-03-10", json!({"limit": "weekly"}))], &[], "2026-04-10"),
        "purge 2026-03-10 prospect"
    );
    assert_eq!(told("", &[], &[], "2026-04-10"), "-");
    let elsewhere = said("opt_in", "2023-03-10", json!({"controller": "d", "topics": ["x"], "partners": ["c"]}));
    assert_eq!(told("", &[elsewhere], &[], "2026-04-10"), "-", "what was said to another is another's to forget");
}

#[test]
fn who_has_left_is_not_asked_to_stay_and_is_forgotten_in_time() {
    let events = [opt_in("2023-03-10"), said("object", "2023-05-01", json!({}))];
    assert_eq!(told("", &events, &[], "2026-03-01").split(' ').next(), Some("nothing"));
    assert_eq!(told("", &events, &[], "2026-06-15").split(' ').next(), Some("purge"));
    let policy = parse_policy("policy.toml", POLICY, &[]).unwrap();
    let mark = Suppression { at: "2025-01-01T00:00:00Z".parse().unwrap(), topics: Vec::new() };
    let marked = Consulted { suppressed: Some(mark), ..consulted(&[opt_in("2023-03-10")], &[]) };
    let now = "2026-03-01T10:00:00Z".parse().unwrap();
    assert_eq!(retention(&policy, "c", &anna(), &marked, now).unwrap().due, Due::Nothing);
}

#[test]
fn who_never_confirmed_a_form_is_forgotten_when_its_window_ends_and_asked_nothing() {
    let form = json!({"topics": ["offers"], "source": "form:news"});
    let pending = |day: &str| said("opt_in_pending", day, form.clone());
    let confirmed = said("opt_in_confirmed", "2026-01-12", json!({"topics": ["offers"], "mechanism": "double_opt_in"}));
    let elsewhere = said("opt_in_pending", "2026-01-10", json!({"topics": ["offers"], "source": "import"}));
    let table = [
        (vec![pending("2026-01-10")], "2026-01-17", Some(Due::Nothing)),
        (vec![pending("2026-01-10")], "2026-01-18", Some(Due::Purge)),
        (vec![said("no_answer", "2026-01-10", form.clone())], "2026-01-18", Some(Due::Purge)),
        (vec![pending("2026-01-10"), pending("2026-01-14")], "2026-01-18", Some(Due::Nothing)),
        (vec![pending("2026-01-10"), confirmed], "2026-01-18", Some(Due::Nothing)),
        (vec![collected("2026-01-01"), pending("2026-01-10")], "2026-01-18", Some(Due::Nothing)),
        (vec![elsewhere], "2026-01-18", Some(Due::Nothing)),
    ];
    let policy = parse_policy("policy.toml", POLICY, &[]).unwrap();
    for (events, today, expected) in table {
        let now = format!("{today}T12:00:00+01:00").parse().unwrap();
        let found = retention(&policy, "c", &anna(), &consulted(&events, &[]), now);
        assert_eq!(found.map(|found| found.due), expected, "{today} {events:?}");
    }
}
