//! What is told of a decision. Single decisions are tables in `tests/cases`; what holds for every history is in
//! `properties`.

mod properties;

use std::net::IpAddr;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::*;
use crate::config::parse_policy;
use crate::consent::event::{Actor, ConsentEvent, RecordedEvent};
use crate::consent::state::{ContactState, Suppression};
use crate::policy::classify::classify;
use crate::policy::facts::{FieldFact, Origin};
use crate::policy::rules::{Mode, Pin};
use crate::policy::verdict::Permit;
use crate::smtp::address::ReversePath;

const NOW: &str = "2026-05-15T08:00:00Z";
const ADDRESSES: [&str; 3] = ["anna@x.example", "anna+shop@x.example", "ANNA@x.example"];

/// Every ground can be reached under it. Read once: the properties ask for it thousands of times.
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = r#"
        non_commercial = true
        free_account_counts_as_sale = true
        [controller.c]
        name = "C"
        kind = "association"
        domains = ["c.example"]
        languages = ["en"]
        privacy_url = "https://c.example/privacy"
        contact = "privacy@c.example"
        [topic.offers]
        controller = "c"
        label = { en = "Offers" }
        [topic."offers/books"]
        controller = "c"
        label = { en = "Books" }
        [topic.letters]
        controller = "c"
        label = { en = "Letters" }
        own_consent = true
        [family_group]
        culture = ["book", "dvd"]
    "#;
    parse_policy("policy.toml", text, &[]).unwrap_or_else(|errors| panic!("{errors}"))
});

fn policy() -> Policy {
    POLICY.clone()
}

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn anna() -> EmailAddress {
    address("anna@x.example")
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A message as a trusted mailer declares it.
fn message(class: &str, topics: &str) -> MessageFacts {
    let field = |name: &str, value: &str| FieldFact { name: name.into(), value: value.into() };
    let fields = vec![
        field("from", "news@c.example"),
        field("x-consentry-class", class),
        field("x-consentry-topics", topics),
        field("x-consentry-families", "dvd"),
        field("x-consentry-functions", "it"),
    ];
    MessageFacts {
        origin: origin(None),
        envelope_from: ReversePath::parse("bounces@c.example").unwrap(),
        recipients: 1,
        readings: vec![fields],
        body: None,
        fields_kept: Vec::new(),
    }
}

fn origin(pin: Option<Pin>) -> Origin {
    Origin {
        listener: "submission".into(),
        credential: None,
        client: IpAddr::from([127, 0, 0, 1]),
        may_send: vec![Class::Service, Class::Promotional],
        trust_headers: true,
        pin,
    }
}

fn event(kind: EventType, at: &str, topics: &[&str]) -> ConsentEvent {
    ConsentEvent {
        at: Some(at.parse().unwrap()),
        topics: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        actor: Some(Actor::Person),
        mechanism: Some("unticked_box_ticked".into()),
        source: Some("web:form".into()),
        text_version: Some("letter-1".into()),
        ..ConsentEvent::new(anna(), "c", kind)
    }
}

/// What the store would say of Anna after these events.
fn consulted(events: Vec<ConsentEvent>) -> Consulted {
    let numbered =
        events.into_iter().enumerate().map(|(index, event)| RecordedEvent::new(index as i64 + 1, event, now()));
    of_recorded(numbered.collect())
}

fn of_recorded(events: Vec<RecordedEvent>) -> Consulted {
    let (mut exact, mut tagged) = (Vec::new(), Vec::new());
    for recorded in events {
        let own = recorded.event.address.consent_key() == anna().consent_key();
        if own { exact.push(recorded) } else { tagged.push(recorded) }
    }
    let relatives = vec![ContactState::fold(address("anna+shop@x.example"), tagged)];
    let exact = Some(ContactState::fold(anna(), exact));
    Consulted { exact, relatives, contact_id: 1, ..Consulted::default() }
}

fn decided(facts: &MessageFacts, known: &Consulted) -> Verdict {
    decide(&POLICY, &classify(&POLICY, facts), &anna(), Consultation::Known(known), now())
}

fn books(known: &Consulted) -> Verdict {
    decided(&message("promotional", "offers/books"), known)
}

/// The same messages as appeals of an association.
fn appeal(topics: &str) -> MessageFacts {
    let mut facts = message("promotional", topics);
    facts.readings[0].push(FieldFact { name: "x-consentry-kind".into(), value: "non_commercial".into() });
    facts
}

/// Advertising for each topic, for two and for none, and an appeal.
fn messages() -> Vec<MessageFacts> {
    let topics = ["offers/books", "letters", "offers/books, letters", ""];
    topics.map(|topics| message("promotional", topics)).into_iter().chain([appeal("offers")]).collect()
}

#[test]
fn the_verdict_names_its_fact_and_the_date_in_the_zone_of_the_policy() {
    let opt_in = event(EventType::OptIn, "2026-01-10T11:00:00Z", &["offers/books"]);
    let no = event(EventType::Object, "2026-02-01T23:30:00Z", &["offers/books"]);
    let allowed = books(&consulted(vec![opt_in.clone()]));
    assert_eq!(allowed.because.to_string(), "opted in to offers/books on 10 January 2026 (event 1)");
    assert_eq!((allowed.events, allowed.last_day), (vec![1], Some(jiff::civil::date(2029, 1, 10))));
    let blocked = books(&consulted(vec![opt_in, no]));
    assert_eq!(blocked.because.to_string(), "objected to offers/books on 2 February 2026 (event 2)");
    assert_eq!((blocked.events, blocked.last_day), (vec![2], None));
}

#[test]
fn a_no_said_after_we_knew_of_the_yes_counts_though_the_yes_is_dated_later() {
    let moment = |text: &str| text.parse::<Timestamp>().unwrap();
    let learned = |seq, event, at| RecordedEvent::new(seq, event, moment(at));
    let topics = &["offers/books"][..];
    let ahead = learned(1, event(EventType::OptIn, "2026-05-15T07:32:00Z", topics), "2026-05-15T07:30:00Z");
    let no = |at| learned(2, event(EventType::Object, at, topics), at);
    assert_eq!(ahead.at, moment("2026-05-15T07:32:00Z"));
    for (said, expected) in [
        ("2026-05-15T07:29:59Z", Reason::OkOptIn),
        ("2026-05-15T07:30:00Z", Reason::ObjTopic),
        ("2026-05-15T07:31:00Z", Reason::ObjTopic),
        ("2026-05-15T07:33:00Z", Reason::ObjTopic),
    ] {
        assert_eq!(books(&of_recorded(vec![ahead.clone(), no(said)])).reason, expected, "{said}");
    }
    // Nor does the request stay open whose clock was ahead.
    let asked = learned(1, event(EventType::OptInPending, "2026-05-15T07:32:00Z", topics), "2026-05-15T07:30:00Z");
    let mut confirm = message("service", "offers/books");
    confirm.readings[0].push(FieldFact { name: "x-consentry-kind".into(), value: "doi_request".into() });
    assert_eq!(decided(&confirm, &of_recorded(vec![asked.clone()])).reason, Reason::SvcDoi);
    assert_eq!(decided(&confirm, &of_recorded(vec![asked, no("2026-05-15T07:31:00Z")])).reason, Reason::ObjTopic);
}

#[test]
fn a_contact_that_renewed_the_consent_is_named_among_the_events() {
    let opt_in = event(EventType::OptIn, "2022-06-01T10:00:00Z", &["offers/books"]);
    let reply = ConsentEvent {
        profile_kind: Some("reply".into()),
        topics: None,
        ..event(EventType::Contact, "2025-05-01T10:00:00Z", &[])
    };
    let verdict = books(&consulted(vec![opt_in, reply]));
    assert_eq!((verdict.events, verdict.last_day), (vec![1, 2], Some(jiff::civil::date(2028, 5, 1))));
}

#[test]
fn a_consent_to_a_wording_that_nobody_has_stored_waits_for_it() {
    let request = event(EventType::OptInPending, "2026-05-10T10:00:00Z", &["offers/books"]);
    let answer = |text: Option<&str>| ConsentEvent {
        text_version: text.map(str::to_owned),
        ..event(EventType::OptInConfirmed, "2026-05-11T10:00:00Z", &["offers/books"])
    };
    let plain = event(EventType::OptIn, "2026-01-10T11:00:00Z", &["offers/books"]);
    let other = ConsentEvent { text_version: Some("letter-2".into()), ..plain.clone() };
    let table = [
        (vec![plain.clone()], None, Reason::OkOptIn),
        (vec![plain.clone()], Some("letter-1"), Reason::ConsentNotInformed),
        (vec![plain.clone()], Some("letter-2"), Reason::OkOptIn),
        (vec![plain.clone(), other], Some("letter-1"), Reason::OkOptIn),
        // A confirmation without a wording of its own confirms that of its request.
        (vec![request.clone(), answer(None)], None, Reason::OkOptIn),
        (vec![request.clone(), answer(None)], Some("letter-1"), Reason::ConsentNotInformed),
        (vec![request, answer(Some("letter-2"))], Some("letter-2"), Reason::ConsentNotInformed),
    ];
    for (events, missing, reason) in table {
        let known = Consulted { missing_texts: missing.iter().map(|one| (*one).into()).collect(), ..consulted(events) };
        let verdict = books(&known);
        assert_eq!(verdict.reason, reason, "{missing:?}: {}", verdict.because);
        if let (Reason::ConsentNotInformed, Some(missing)) = (reason, missing) {
            assert!(verdict.because.to_string().contains(missing), "{}", verdict.because);
        }
    }
}

#[test]
fn monitor_mode_says_block_and_lets_through() {
    let policy = Policy { mode: Mode::Monitor, ..policy() };
    let classification = classify(&policy, &message("promotional", "offers/books"));
    let verdict = decide(&policy, &classification, &anna(), Consultation::Known(&Consulted::default()), now());
    assert_eq!((verdict.decision, verdict.reason), (Decision::Block, Reason::ConsentNone));
    assert!(verdict.permit().is_some_and(Permit::is_observed));
}

#[test]
fn a_mark_for_one_topic_stops_that_topic() {
    let at = "2026-03-01T10:00:00Z".parse().unwrap();
    let known = consulted(vec![event(EventType::OptIn, "2026-01-10T11:00:00Z", &["offers", "letters"])]);
    let known = Consulted { suppressed: Some(Suppression { at, topics: vec!["letters".into()] }), ..known };
    let letters = decided(&message("promotional", "letters"), &known);
    assert_eq!((letters.decision, letters.reason), (Decision::Block, Reason::ObjHash));
    assert_eq!(books(&known).reason, Reason::OkOptIn);
}

#[test]
fn before_data_a_consent_for_any_topic_keeps_the_door_open() {
    let policy = policy();
    let pin = |topics: &[&str]| Pin {
        class: Class::Promotional,
        controller: Some("c".into()),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    };
    let reason = |pin: Pin, known: &Consulted| {
        let facts = MessageFacts { origin: origin(Some(pin)), readings: Vec::new(), ..message("promotional", "") };
        refuse_before_data(&policy, &facts, &anna(), Consultation::Known(known), now()).map(|verdict| verdict.reason)
    };
    let nobody = Consulted::default();
    let letters = consulted(vec![event(EventType::OptIn, "2026-01-10T11:00:00Z", &["letters"])]);
    let refused = consulted(vec![event(EventType::Object, "2026-01-10T11:00:00Z", &["*"])]);
    assert_eq!(reason(pin(&[]), &nobody), Some(Reason::ConsentNone));
    assert_eq!(reason(pin(&[]), &letters), None);
    assert_eq!(reason(pin(&["offers"]), &letters), Some(Reason::ConsentTopic));
    assert_eq!(reason(pin(&[]), &refused), Some(Reason::ObjGlobal));
}

#[test]
fn a_confirmation_request_nobody_asked_for_keeps_to_the_ceiling() {
    let policy = policy();
    let mut facts = message("service", "offers/books");
    facts.readings[0].push(FieldFact { name: "x-consentry-kind".into(), value: "doi_request".into() });
    facts.origin.may_send = vec![Class::Service];
    let reason = |known: &Consulted| {
        decide(&policy, &classify(&policy, &facts), &anna(), Consultation::Known(known), now()).reason
    };
    let consenting = consulted(vec![event(EventType::OptIn, "2026-01-10T11:00:00Z", &["offers"])]);
    let asking = consulted(vec![event(EventType::OptInPending, "2026-05-14T11:00:00Z", &["offers"])]);
    assert_eq!(reason(&consenting), Reason::ClassCeiling);
    assert_eq!(reason(&asking), Reason::SvcDoi);
}

#[test]
fn an_objection_to_a_renamed_topic_reaches_below_it_under_either_name() {
    let text = r#"
        [controller.c]
        name = "C"
        domains = ["c.example"]
        languages = ["en"]
        privacy_url = "https://c.example/privacy"
        contact = "privacy@c.example"
        [topic.offers]
        controller = "c"
        label = { en = "Offers" }
        [topic."offers/print"]
        controller = "c"
        label = { en = "Print" }
        aliases = ["offers/paper"]
    "#;
    let policy = parse_policy("policy.toml", text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let said = |topic: &str| {
        let consent = event(EventType::OptIn, "2026-01-10T11:00:00Z", &["offers"]);
        consulted(vec![consent, event(EventType::Object, "2026-02-10T11:00:00Z", &[topic])])
    };
    for objection in ["offers/paper", "offers/print"] {
        for topic in ["offers/paper/posters", "offers/print/posters"] {
            let (known, facts) = (said(objection), message("promotional", topic));
            let verdict = decide(&policy, &classify(&policy, &facts), &anna(), Consultation::Known(&known), now());
            assert_eq!(verdict.reason, Reason::ObjTopic, "{objection} {topic}");
        }
    }
}
