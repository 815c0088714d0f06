//! What a page shows and what becomes of it, as tables; and what holds for every history and every answer.

mod properties;

use std::sync::LazyLock;

use jiff::civil::date;
use serde_json::json;

use super::answer::with_events;
use super::*;
use crate::config::parse_policy;
use crate::consent::event::{Actor, ConsentEvent};
use crate::consent::limit::{Limit, Window};
use crate::consent::state::{ContactState, Suppression};

const NOW: &str = "2026-05-15T08:00:00Z";

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = r#"
        free_account_counts_as_sale = true
        [controller.c]
        name = "C"
        domains = ["c.example"]
        privacy_url = "https://c.example/privacy"
        contact = "privacy@c.example"
        [topic.offers]
        controller = "c"
        [topic."offers/books"]
        controller = "c"
        families = ["book"]
        [topic."offers/ovens"]
        controller = "c"
        families = ["oven"]
        [topic."offers/partners"]
        controller = "c"
        own_consent = true
        [topic.letters]
        controller = "c"
        aliases = ["news"]
        [controller.d]
        name = "D"
        domains = ["d.example"]
        privacy_url = "https://d.example/privacy"
        contact = "privacy@d.example"
        [topic.trips]
        controller = "d"
        [family_group]
        culture = ["book", "dvd"]
    "#;
    parse_policy("policy.toml", text, &[]).unwrap_or_else(|errors| panic!("{errors}"))
});

fn anna() -> EmailAddress {
    EmailAddress::parse("anna@x.example").unwrap()
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn event(kind: EventType, day: &str, topics: &[&str]) -> ConsentEvent {
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    ConsentEvent {
        at: Some(format!("{day}T10:00:00Z").parse().unwrap()),
        topics: (!topics.is_empty()).then_some(topics),
        actor: Some(Actor::Person),
        mechanism: Some("unticked_box_ticked".into()),
        source: Some("web:form".into()),
        text_version: Some("letter-1".into()),
        ..ConsentEvent::new(anna(), "c", kind)
    }
}

fn sale(day: &str, family: &str) -> Vec<ConsentEvent> {
    let collected = event(EventType::Collected, day, &[]);
    let collected = ConsentEvent {
        provenance: Some("direct_form".into()),
        informed_at: collected.at,
        refusal_offered: Some(true),
        ..collected
    };
    let bought = ConsentEvent {
        families: Some(vec![family.into()]),
        state: Some("paid".into()),
        ..event(EventType::Purchase, day, &[])
    };
    vec![collected, bought]
}

fn consulted(events: Vec<ConsentEvent>) -> Consulted {
    let numbered = events.into_iter().zip(1..).map(|(event, seq)| RecordedEvent::new(seq, event, now()));
    let state = ContactState::fold(anna(), numbered.collect());
    Consulted { exact: (!state.events.is_empty()).then_some(state), ..Consulted::default() }
}

fn whom<'a>(address: &'a EmailAddress, consulted: &'a Consulted) -> Whom<'a> {
    Whom { policy: &POLICY, controller: "c", address, consulted, now: now() }
}

fn said() -> Said<'static> {
    Said { source: "preferences:link", text_version: "preferences-1", evidence: json!({"proof": "link"}), proven: true }
}

/// The page as it was sent, for somebody who changes nothing.
fn untouched(shown: &Preferences) -> Answer {
    let topic = |topic: &TopicNow| {
        let frequency = Asked { shown: topic.frequency, chosen: topic.frequency };
        (topic.path.clone(), TopicAnswer { shown: topic.mark, on: topic.is_on(), frequency })
    };
    Answer {
        topics: shown.topics.iter().map(topic).collect(),
        frequency: Asked { shown: shown.frequency, chosen: shown.frequency },
        paused_until: Asked { shown: shown.paused_until, chosen: shown.paused_until },
        channels: Asked { shown: shown.channels.clone(), chosen: shown.channels.clone() },
    }
}

fn ticked(shown: &Preferences, changes: &[(&str, bool)]) -> Answer {
    let mut answer = untouched(shown);
    for (path, on) in changes {
        answer.topics.get_mut(*path).unwrap().on = *on;
    }
    answer
}

/// The events in short: what, and about which topics.
fn told(events: &[ConsentEvent]) -> Vec<String> {
    let one = |event: &ConsentEvent| {
        let about = event.topics.as_ref().map_or("*".to_owned(), |topics| topics.join(" "));
        format!("{} {about}", event.kind)
    };
    events.iter().map(one).collect()
}

fn on(preferences: &Preferences) -> Vec<&str> {
    preferences.topics.iter().filter(|topic| topic.is_on()).map(|topic| topic.path.as_str()).collect()
}

const SECOND: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

#[test]
fn a_topic_is_on_where_mail_about_it_may_come() {
    use EventType::{Object, OptIn, OptInPending};
    let bought = |more: Vec<ConsentEvent>| [sale("2026-01-01", "dvd"), more].concat();
    let table: [(Vec<ConsentEvent>, &[&str], bool); 10] = [
        (vec![], &[], false),
        (vec![event(OptIn, "2026-01-01", &["letters"])], &["letters"], false),
        (vec![event(OptIn, "2026-01-01", &["news"])], &["letters"], false),
        (vec![event(OptIn, "2026-01-01", &["offers"])], &["offers", "offers/books", "offers/ovens"], false),
        (vec![event(OptIn, "2023-01-01", &["letters"])], &[], false),
        (vec![event(OptInPending, "2026-05-14", &["letters"])], &[], false),
        // A customer is written to about what was bought and the like; what is about anything may be about that.
        (bought(vec![]), &["letters", "offers", "offers/books"], false),
        (bought(vec![event(Object, "2026-02-01", &["offers"])]), &["letters"], false),
        (bought(vec![event(Object, "2026-02-01", &[])]), &[], true),
        (bought(vec![event(Object, "2026-02-01", &[]), event(OptIn, "2026-03-01", &["letters"])]), &["letters"], false),
    ];
    for (events, expected, left) in table {
        let (anna, known) = (anna(), consulted(events));
        let found = preferences(&whom(&anna, &known));
        assert_eq!((on(&found), found.left), (expected.to_vec(), left), "{known:?}");
        assert!(found.topics.iter().all(|topic| topic.mark.on == topic.is_on()), "{found:?}");
    }
}

#[test]
fn only_what_was_changed_becomes_an_event() {
    use EventType::{Object, OptIn};
    let agreed = |topic: &'static str| vec![event(OptIn, "2026-01-01", &[topic])];
    type Row = (Vec<ConsentEvent>, &'static [(&'static str, bool)], &'static [&'static str], &'static [&'static str]);
    let table: Vec<Row> = vec![
        (vec![], &[], &[], &[]),
        (vec![], &[("letters", true)], &["opt_in letters"], &["letters"]),
        (agreed("letters"), &[("letters", false)], &["withdraw letters"], &[]),
        (sale("2026-01-01", "book"), &[("offers/books", false)], &["object offers/books"], &["letters", "offers"]),
        // The customer's other topics stay what they were, and become no consent.
        (
            sale("2026-01-01", "book"),
            &[("offers/ovens", true)],
            &["opt_in offers/ovens"],
            &["letters", "offers", "offers/books", "offers/ovens"],
        ),
        // What lies below goes along, whether it wants a consent of its own or not.
        ([agreed("offers"), agreed("offers/partners")].concat(), &[("offers", false)], &["withdraw offers"], &[]),
        (agreed("offers"), &[("offers/books", false)], &["withdraw offers/books"], &["offers", "offers/ovens"]),
        // A yes to what lies above brings along only what was ticked.
        (
            vec![],
            &[("offers", true), ("offers/books", true)],
            &["object offers/ovens", "opt_in offers offers/books"],
            &["offers", "offers/books"],
        ),
        (
            agreed("offers"),
            &[("offers", false), ("offers/partners", true)],
            &["withdraw offers", "opt_in offers/partners"],
            &["offers/partners"],
        ),
        (
            [agreed("letters"), vec![event(Object, "2026-02-01", &[])]].concat(),
            &[("letters", true)],
            &["opt_in letters"],
            &["letters"],
        ),
    ];
    for (events, changes, expected, after) in table {
        let (anna, known) = (anna(), consulted(events));
        let whom = whom(&anna, &known);
        let settled = ticked(&preferences(&whom), changes).settle(&whom, &said());
        assert_eq!(told(&settled.events), expected, "{changes:?}");
        let later = with_events(&whom, &settled.events);
        let found = preferences(&Whom { consulted: &later, now: now() + SECOND, ..whom });
        assert_eq!(on(&found), after, "{changes:?}");
        assert!(settled.not_yet.is_empty() && settled.overtaken.is_empty(), "{settled:?}");
    }
}

#[test]
fn an_objection_that_came_in_between_is_not_lifted_and_a_no_counts_all_the_same() {
    use EventType::{Complaint, Object, OptIn};
    let (anna, before) = (anna(), consulted(vec![event(OptIn, "2026-01-01", &["offers/books"])]));
    let shown = preferences(&whom(&anna, &before));
    let answer = ticked(&shown, &[("letters", true), ("offers/books", false)]);
    let table: [(ConsentEvent, &[&str], &[&str]); 5] = [
        (event(Object, "2026-05-15", &["letters"]), &["withdraw offers/books"], &["letters"]),
        (event(Object, "2026-05-15", &[]), &[], &["letters"]),
        (event(Complaint, "2026-05-15", &[]), &[], &["letters"]),
        (event(OptIn, "2026-05-15", &["offers/books"]), &["withdraw offers/books", "opt_in letters"], &[]),
        (event(OptIn, "2026-05-15", &["letters"]), &["withdraw offers/books"], &[]),
    ];
    for (between, expected, overtaken) in table {
        let between = ConsentEvent { at: Some(now() - SECOND), ..between };
        let known = consulted(vec![event(OptIn, "2026-01-01", &["offers/books"]), between.clone()]);
        let settled = answer.settle(&whom(&anna, &known), &said());
        assert_eq!((told(&settled.events), settled.overtaken), (owned(expected), owned(overtaken)), "{between:?}");
    }
    let marked = Consulted { suppressed: Some(Suppression { at: now() - SECOND, topics: vec![] }), ..before.clone() };
    assert_eq!(answer.settle(&whom(&anna, &marked), &said()).overtaken, ["letters"]);
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn frequency_pause_and_channels_are_written_as_chosen() {
    let weekly = Some(Rate { count: 1, window: Window::Week });
    let (anna, known) = (anna(), consulted(vec![event(EventType::OptIn, "2026-01-01", &["letters"])]));
    let whom = whom(&anna, &known);
    let shown = preferences(&whom);
    assert_eq!((shown.frequency, shown.paused_until, shown.channels.len()), (None, None, 0));
    let mut answer = untouched(&shown);
    answer.frequency.chosen = weekly;
    answer.topics.get_mut("letters").unwrap().frequency.chosen = Some(Rate { count: 1, window: Window::Month });
    answer.paused_until.chosen = Some(date(2026, 7, 1));
    answer.channels.chosen = BTreeSet::from([Channel::Sms, Channel::Post]);
    let settled = answer.settle(&whom, &said());
    assert_eq!(told(&settled.events), ["frequency *", "frequency letters", "pause *", "channel_preference *"]);
    let limits: Vec<_> = settled.events.iter().filter_map(|event| event.limit.as_deref()).collect();
    assert_eq!(limits, ["1/week", "1/month"]);
    // In Paris the first of July begins at ten in the evening of UTC.
    assert_eq!(settled.events[2].until, Some("2026-06-30T22:00:00Z".parse().unwrap()));
    assert_eq!(settled.events[3].channels, Some(owned(&["email", "sms", "post"])));
    assert!(settled.wishes_changed && !settled.wishes_overtaken);

    let later = with_events(&whom, &settled.events);
    let then = Whom { consulted: &later, now: now() + SECOND, ..whom };
    let found = preferences(&then);
    assert_eq!((found.frequency, found.paused_until), (weekly, Some(date(2026, 7, 1))));
    assert_eq!(found.channels, BTreeSet::from([Channel::Sms, Channel::Post]));

    // What changed since the page was shown is not overwritten.
    answer.frequency.chosen = Some(Rate { count: 2, window: Window::Day });
    let stale = answer.settle(&then, &said());
    assert!(stale.wishes_overtaken && stale.events.is_empty(), "{stale:?}");

    let mut back = untouched(&found);
    (back.frequency.chosen, back.paused_until.chosen) = (None, None);
    back.topics.get_mut("letters").unwrap().on = false;
    let settled = back.settle(&then, &said());
    assert_eq!(told(&settled.events), ["withdraw letters", "frequency *", "pause *", "channel_preference *"]);
    assert_eq!(settled.events[3].channels, Some(owned(&["sms", "post"])), "no e-mail is wanted any more");
    let last = with_events(&then, &settled.events);
    let found = preferences(&Whom { consulted: &last, now: now() + SECOND + SECOND, ..whom });
    assert_eq!((found.frequency, found.paused_until), (None, None));
}

#[test]
fn a_pause_ends_with_a_day_and_the_persons_wish_goes_before_what_was_said_of_them() {
    let pause = |until: &str| ConsentEvent {
        until: Some(until.parse().unwrap()),
        ..event(EventType::Pause, "2026-05-01", &[])
    };
    let limit = |limit: &str, actor| ConsentEvent {
        limit: Some(limit.into()),
        actor: Some(actor),
        ..event(EventType::Frequency, "2026-05-02", &[])
    };
    let rate = |text| Limit::parse(text).and_then(Limit::rate);
    let table = [
        (vec![pause("2026-06-30T22:00:00Z")], None, Some(date(2026, 7, 1))),
        (vec![pause("2026-06-30T22:00:01Z")], None, Some(date(2026, 7, 2))),
        (vec![pause("2026-05-15T08:00:00Z")], None, None),
        (vec![limit("weekly", Actor::Person), limit("2/day", Actor::Operator)], rate("weekly"), None),
        (vec![limit("2/day", Actor::Import)], rate("2/day"), None),
        (vec![limit("weekly", Actor::Person), limit("none", Actor::Person)], None, None),
    ];
    for (events, frequency, paused) in table {
        let (anna, known) = (anna(), consulted(events));
        let found = preferences(&whom(&anna, &known));
        assert_eq!((found.frequency, found.paused_until), (frequency, paused), "{known:?}");
    }
}

#[test]
fn everything_off_is_one_objection_to_whatever_the_controller_will_write_about() {
    let (anna, known) = (anna(), consulted(sale("2026-01-01", "book")));
    let whom = whom(&anna, &known);
    let events = everything_off(&whom, &said());
    assert_eq!(told(&events), ["object *"]);
    assert_eq!(events[0].text_version.as_deref(), Some("preferences-1"));
    let later = with_events(&whom, &events);
    let then = Whom { consulted: &later, now: now() + SECOND, ..whom };
    assert!(preferences(&then).left && on(&preferences(&then)).is_empty());
    assert_eq!(everything_off(&then, &said()), [], "said again it is the same");
}

#[test]
fn a_switch_that_needs_a_confirmation_says_so() {
    let mut policy = Policy::clone(&POLICY);
    policy.knobs.doi_sources = vec!["preference_centre".into()];
    let (anna, known) = (anna(), consulted(vec![]));
    let whom = Whom { policy: &policy, ..whom(&anna, &known) };
    let settled = ticked(&preferences(&whom), &[("letters", true)]).settle(&whom, &said());
    assert_eq!((settled.not_yet, told(&settled.events)), (owned(&["letters"]), owned(&["opt_in letters"])));
}

#[test]
fn every_event_of_a_page_is_one_that_may_be_imported() {
    let (anna, known) = (anna(), consulted(vec![event(EventType::OptIn, "2026-01-01", &["offers"])]));
    let whom = whom(&anna, &known);
    let mut answer = ticked(&preferences(&whom), &[("offers", false), ("letters", true)]);
    answer.frequency.chosen = Some(Rate { count: 1, window: Window::Week });
    answer.paused_until.chosen = Some(date(2026, 7, 1));
    answer.channels.chosen = BTreeSet::from([Channel::Phone]);
    let events = answer.settle(&whom, &said()).events;
    assert_eq!(events.len(), 5);
    for event in events {
        assert_eq!(ConsentEvent::from_json(&event.to_canonical_json()), Ok(event));
    }
}

#[test]
fn a_mark_is_read_back_and_nothing_else_is_one() {
    let to_the_nanosecond = Some("2026-01-01T10:00:00.123456789Z".parse().unwrap());
    let agreed = ConsentEvent { at: to_the_nanosecond, ..event(EventType::OptIn, "2026-01-01", &["offers"]) };
    let (anna, known) = (anna(), consulted(vec![agreed]));
    for topic in preferences(&whom(&anna, &known)).topics {
        assert_eq!(topic.mark.to_string().parse(), Ok(topic.mark));
    }
    for text in ["", "1", "1.1", "2.1.0", "1.x.0", "1.1.y", "1.1.9223372036854775808", "1.1.0.0", "-1.1.0"] {
        assert_eq!(text.parse::<Mark>(), Err(NoMark), "{text}");
    }
}

#[test]
fn a_no_goes_along_to_a_new_address_and_a_yes_only_where_it_is_said_again() {
    use EventType::{Object, OptIn};
    let agreed = |topics: &'static [&'static str]| event(OptIn, "2026-01-01", topics);
    let by_sms = ConsentEvent { channel: "sms".into(), ..event(Object, "2026-02-01", &[]) };
    type Row = (Vec<ConsentEvent>, &'static [&'static str], &'static [&'static str]);
    let table: Vec<Row> = vec![
        (vec![], &["letters"], &["anna object *"]),
        (vec![agreed(&["letters"])], &[], &["anna object *"]),
        (vec![agreed(&["letters"])], &["letters", "offers"], &["new opt_in letters", "anna object *"]),
        (sale("2026-01-01", "book"), &["offers/books"], &["anna object *"]),
        (
            vec![agreed(&["letters", "offers"]), event(Object, "2026-02-01", &["offers/books"]), by_sms],
            &["letters"],
            &["new object offers/books", "new object *", "new opt_in letters", "anna object *"],
        ),
        (vec![event(Object, "2026-02-01", &[])], &[], &["new object *", "anna object *"]),
    ];
    for (events, ticked, expected) in table {
        let (anna, known, new) = (anna(), consulted(events), EmailAddress::parse("new@x.example").unwrap());
        let nothing = Consulted::default();
        let agreed = owned(ticked);
        let moving = Moving { from: whom(&anna, &known), to: whom(&new, &nothing), agreed: &agreed };
        let events = moving.events(&said());
        let who = |event: &ConsentEvent| event.address.as_str().split('@').next().unwrap().to_owned();
        let found: Vec<String> =
            events.iter().zip(told(&events)).map(|(event, told)| format!("{} {told}", who(event))).collect();
        assert_eq!(found, expected);
        assert!(events.iter().all(|event| event.channel == "email" || event.channel == "sms"));
    }
}
