use jiff::civil::date;
use serde_json::json;

use super::*;
use crate::config::parse_policy;
use crate::consent::event::{ConsentEvent, RecordedEvent};
use crate::consent::state::ContactState;

const POLICY: &str = r#"
    non_commercial = true
    [controller.c]
    name = "C"
    kind = "association"
    domains = ["c.example"]
    privacy_url = "https://c.example/privacy"
    contact = "privacy@c.example"
    [topic.offers]
    controller = "c"
    [topic."offers/books"]
    controller = "c"
    [topic.letters]
    controller = "c"
    own_consent = true
    [family_group]
    culture = ["book", "dvd"]
"#;

fn horizon_of(address: &str, events: &[serde_json::Value], now: &str) -> Horizon {
    let policy = parse_policy("policy.toml", POLICY, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let address = EmailAddress::parse(address).unwrap();
    let now: Timestamp = now.parse().unwrap();
    let recorded = events.iter().enumerate().map(|(index, event)| {
        let mut event = event.as_object().unwrap().clone();
        event.insert("address".into(), json!(address.as_str()));
        event.insert("controller".into(), json!("c"));
        let event = ConsentEvent::from_json(&serde_json::Value::Object(event).to_string()).unwrap();
        let learned = event.at.unwrap_or(now);
        RecordedEvent::new(index as i64 + 1, event, learned)
    });
    let state = ContactState::fold(address.clone(), recorded.collect());
    let consulted = Consulted { exact: Some(state), contact_id: 1, ..Consulted::default() };
    horizon(&policy, "c", &address, &consulted, now)
}

fn collected(at: &str) -> serde_json::Value {
    json!({"type": "collected", "at": at, "provenance": "direct_form", "informed_at": at, "refusal_offered": true})
}

fn opt_in(at: &str, topics: &[&str]) -> serde_json::Value {
    json!({"type": "opt_in", "at": at, "actor": "person", "source": "web:form", "topics": topics,
        "mechanism": "unticked_box_ticked", "text_version": "letter-1"})
}

fn told(horizon: &Horizon) -> Vec<(Basis, String, String)> {
    let one = |ground: &Ground| (ground.basis, ground.topics.join(" "), ground.last_day.to_string());
    horizon.grounds.iter().map(one).collect()
}

#[test]
fn every_ground_is_told_with_its_topics_and_its_last_day() {
    let bought = json!({"type": "purchase", "at": "2025-06-01T10:00:00Z", "state": "paid", "families": ["book"], "actor": "import"});
    let events = [
        collected("2024-01-01T10:00:00Z"),
        opt_in("2024-02-01T10:00:00Z", &["offers"]),
        opt_in("2024-03-01T10:00:00Z", &["letters"]),
        bought,
    ];
    let found = horizon_of("anna@x.example", &events, "2026-05-15T10:00:00Z");
    let text = |text: &str| text.to_owned();
    let expected = vec![
        (Basis::OptIn, text("letters"), text("2027-03-01")),
        (Basis::OptIn, text("offers offers/books"), text("2027-02-01")),
        (Basis::Customer, text("offers offers/books"), text("2028-06-01")),
        (Basis::NonCommercial, text("offers offers/books"), text("2027-01-01")),
    ];
    assert_eq!(told(&found), expected);
    assert_eq!(found.grounds[2].families, ["book", "dvd"]);
    assert_eq!((found.until(), found.ended()), (Some(date(2028, 6, 1)), None));
    assert_eq!(found.kept_until, Some(date(2028, 6, 1)));
}

#[test]
fn what_is_over_is_told_too_and_what_was_objected_to_is_open_to_nobody() {
    let events = [collected("2020-01-01T10:00:00Z"), opt_in("2020-02-01T10:00:00Z", &["offers/books"])];
    let over = horizon_of("anna@x.example", &events, "2026-05-15T10:00:00Z");
    assert_eq!((over.until(), over.ended()), (None, Some(date(2023, 2, 1))));
    assert_eq!(over.kept_until, Some(date(2023, 2, 1)));

    let no = json!({"type": "object", "at": "2026-02-01T10:00:00Z", "actor": "person", "topics": ["*"]});
    let refused = [collected("2026-01-01T10:00:00Z"), opt_in("2026-01-02T10:00:00Z", &["offers"]), no];
    let refused = horizon_of("anna@x.example", &refused, "2026-05-15T10:00:00Z");
    assert_eq!(refused.until(), None);
    assert_eq!(told(&refused), [(Basis::NonCommercial, String::new(), "2029-01-01".to_owned())]);
}

#[test]
fn addresses_of_firms_and_of_people_at_work_have_a_time_of_their_own() {
    let profile = |kind: &str| json!({"type": "profile", "at": "2024-01-01T10:00:00Z", "actor": "operator", "kind": kind, "functions": ["it"]});
    let reply = json!({"type": "contact", "at": "2025-01-01T10:00:00Z", "kind": "reply"});
    let of = |address: &str, kind: &str| {
        let events = [collected("2024-01-01T10:00:00Z"), profile(kind), reply.clone()];
        horizon_of(address, &events, "2026-05-15T10:00:00Z")
    };
    let basis = |found: &Horizon| found.grounds.iter().map(|ground| ground.basis).collect::<Vec<_>>();
    let jean = of("jean@firm.example", "professional");
    assert_eq!(basis(&jean), [Basis::Professional, Basis::NonCommercial]);
    assert_eq!((jean.grounds[0].last_day, &jean.grounds[0].functions[..]), (date(2028, 1, 1), &["it".to_owned()][..]));
    assert_eq!(jean.grounds[0].events, [1, 2, 3]);
    assert_eq!(basis(&of("contact@firm.example", "generic")), [Basis::Generic, Basis::NonCommercial]);
    assert_eq!(basis(&of("contact@orange.fr", "generic")), [Basis::NonCommercial]);
}

#[test]
fn a_bought_address_has_no_ground_but_its_data_have_an_end() {
    let bought = json!({"type": "collected", "at": "2024-01-01T10:00:00Z", "provenance": "bought"});
    let found = horizon_of("anna@x.example", &[bought], "2026-05-15T10:00:00Z");
    assert!(found.grounds.is_empty());
    assert_eq!(found.kept_until, Some(date(2027, 1, 1)));
    assert_eq!(horizon_of("anna@x.example", &[], "2026-05-15T10:00:00Z").kept_until, None);
}
