use super::*;
use crate::config::parse_policy;
use crate::consent::state::ContactState;

const POLICY: &str = r#"
    [controller.c]
    name = "C"
    domains = ["c.example"]
    privacy_url = "https://c.example/privacy"
    contact = "privacy@c.example"
    [topic.books]
    controller = "c"
    [topic.music]
    controller = "c"
    [topic.partners]
    controller = "c"
    own_consent = true
    [form.boxes]
    controller = "c"
    [form.plain]
    controller = "c"
    double_opt_in = false
    [form.question]
    controller = "c"
    kind = "yes_no"
    [form.refusal]
    controller = "c"
    kind = "refusal_box"
    topics = ["books"]
    [form.partner]
    controller = "c"
    kind = "partner_box"
    partners = { d = "D Ltd" }
"#;

fn policy() -> Policy {
    parse_policy("policy.toml", POLICY, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn anna() -> EmailAddress {
    EmailAddress::parse("anna@x.example").unwrap()
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn asked() -> Timestamp {
    moment("2026-05-10T10:00:00Z")
}

fn fields(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.split('&').filter_map(pair).collect()
}

/// Type, mechanism and topics of each.
fn told(events: &[ConsentEvent]) -> Vec<String> {
    let one = |event: &ConsentEvent| {
        let topics = event.topics.as_deref().unwrap_or_default().join(",");
        format!("{} {} {topics}", event.kind, event.mechanism.as_deref().unwrap_or("-")).trim_end().to_owned()
    };
    events.iter().map(one).collect()
}

fn filled_in(policy: &Policy, form: &str, sent: &str, standing: Standing) -> Vec<ConsentEvent> {
    let form = policy.form("c", form).unwrap();
    let answer = Answer::read(&form, &fields(sent)).unwrap();
    let (address, at) = (anna(), asked());
    SignUp {
        form: &form,
        address: &address,
        answer: &answer,
        text_version: "boxes-1",
        language: "en",
        trace: None,
        standing,
        at,
    }
    .events(policy)
}

const NEW: Standing = Standing { barred: false, objected: false };

#[test]
fn each_form_says_what_was_answered_and_nothing_more() {
    let policy = policy();
    let objected = Standing { objected: true, ..NEW };
    let barred = Standing { barred: true, ..NEW };
    let table: [(&str, &str, Standing, &[&str]); 16] = [
        ("boxes", "topic=books", NEW, &["no_answer - music", "opt_in_pending unticked_box_ticked books"]),
        ("boxes", "topic=books&topic=music", NEW, &["opt_in_pending unticked_box_ticked books,music"]),
        ("boxes", "", NEW, &["no_answer - books,music"]),
        ("plain", "topic=music", NEW, &["collected -", "no_answer - books", "opt_in unticked_box_ticked music"]),
        ("plain", "", NEW, &["collected -", "no_answer - books,music"]),
        // An objection is lifted by the person only, and a form does not know who fills it in.
        ("plain", "topic=music", objected, &["no_answer - books", "opt_in_pending unticked_box_ticked music"]),
        ("plain", "topic=music", barred, &["no_answer - books", "opt_in unticked_box_ticked music"]),
        ("question", "answer.books=yes&answer.music=yes", NEW, &["opt_in_pending forced_choice_yes books,music"]),
        ("question", "answer.books=no&answer.music=no", NEW, &["refuse forced_choice_no books,music"]),
        (
            "question",
            "answer.books=no&answer.music=yes",
            NEW,
            &["refuse forced_choice_no books", "opt_in_pending forced_choice_yes music"],
        ),
        ("refusal", "", NEW, &["collected -"]),
        ("refusal", "", objected, &["collected -"]),
        ("refusal", "", barred, &[]),
        ("refusal", "refuse=yes", NEW, &["collected -", "refuse unticked_box_ticked books"]),
        ("partner", "topic=partners", NEW, &["opt_in_pending unticked_box_ticked partners"]),
        ("partner", "", NEW, &["no_answer - partners"]),
    ];
    for (form, sent, standing, expected) in table {
        let events = filled_in(&policy, form, sent, standing);
        assert_eq!(told(&events), expected, "{form} {sent} {standing:?}");
        for event in &events {
            // Each is one that may come from outside: the table of fields holds for ours too.
            ConsentEvent::from_json(&event.to_canonical_json()).unwrap();
            assert_eq!((event.actor, event.at), (Some(Actor::Person), Some(asked())));
            assert_eq!(event.source, Some(format!("form:{form}")));
        }
    }
}

#[test]
fn a_no_is_left_of_an_answer_that_nobody_may_be_asked_about() {
    let policy = policy();
    let table = [
        ("boxes", "topic=books", None),
        ("boxes", "", None),
        ("question", "answer.books=yes&answer.music=yes", None),
        ("question", "answer.books=no&answer.music=yes", Some("answer.books=no")),
        ("refusal", "refuse=yes", Some("refuse=yes")),
    ];
    for (form, sent, expected) in table {
        let form = policy.form("c", form).unwrap();
        let left = Answer::read(&form, &fields(sent)).unwrap().without_yes();
        let no = |sent: &str| match &*form.id {
            "question" => Answer::YesNo(BTreeMap::from([("books".to_owned(), false)])),
            _ => Answer::read(&form, &fields(sent)).unwrap(),
        };
        assert_eq!(left, expected.map(no), "{sent}");
    }
}

#[test]
fn a_consent_names_the_wording_and_a_partners_consent_names_the_partners() {
    let policy = policy();
    let pending = filled_in(&policy, "partner", "topic=partners", NEW).pop().unwrap();
    assert_eq!(pending.partners, Some(vec!["d".to_owned()]));
    assert_eq!(pending.text_version.as_deref(), Some("boxes-1"));
    let collected = filled_in(&policy, "refusal", "", NEW).pop().unwrap();
    assert_eq!((collected.informed_at, collected.refusal_offered), (Some(asked()), Some(true)));
    assert_eq!(collected.provenance.as_deref(), Some("direct_form"));
    assert_eq!(collected.text_version.as_deref(), Some("boxes-1"));
}

#[test]
fn what_a_form_does_not_ask_is_no_answer_and_a_question_wants_one() {
    let policy = policy();
    let table = [
        ("boxes", "topic=partners", Unanswered::Foreign),
        ("boxes", "topic=*", Unanswered::Foreign),
        ("question", "answer.books=yes", Unanswered::Open),
        ("question", "", Unanswered::Open),
        ("question", "answer.books=maybe&answer.music=no", Unanswered::Foreign),
        ("question", "answer.books=yes&answer.books=no&answer.music=no", Unanswered::Foreign),
        ("question", "answer.books=yes&answer.music=yes&answer.partners=yes", Unanswered::Foreign),
        ("refusal", "refuse=no", Unanswered::Foreign),
        ("refusal", "refuse=yes&refuse=yes", Unanswered::Foreign),
    ];
    for (form, sent, expected) in table {
        assert_eq!(Answer::read(&policy.form("c", form).unwrap(), &fields(sent)), Err(expected), "{form} {sent}");
    }
}

#[test]
fn a_mechanism_that_needs_confirming_is_confirmed_whatever_the_form_says() {
    for (knob, expected) in [("[\"form\"]", true), ("[\"unticked_box_ticked\"]", true), ("[\"phone\"]", false)] {
        let policy = parse_policy("policy.toml", &format!("doi_sources = {knob}\n{POLICY}"), &[]).unwrap();
        assert_eq!(policy.forms["plain"].asks_to_confirm(&policy), expected, "{knob}");
        assert!(!policy.forms["refusal"].asks_to_confirm(&policy), "a refusal is none to wait for");
    }
}

fn event(kind: EventType, at: &str, topics: &[&str]) -> ConsentEvent {
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    ConsentEvent {
        at: Some(moment(at)),
        actor: Some(Actor::Person),
        topics: (!topics.is_empty()).then_some(topics),
        mechanism: Some("unticked_box_ticked".into()),
        source: Some("form:boxes".into()),
        text_version: Some("boxes-1".into()),
        ..ConsentEvent::new(anna(), "c", kind)
    }
}

fn known(events: &[ConsentEvent]) -> Consulted {
    let numbered = events.iter().cloned().zip(1..);
    let events = numbered.map(|(event, seq)| RecordedEvent::new(seq, event, moment("2026-06-30T10:00:00Z"))).collect();
    Consulted { exact: Some(ContactState::fold(anna(), events)), ..Consulted::default() }
}

fn stands(policy: &Policy, events: &[ConsentEvent], request: i64, now: &str) -> (Standpoint, bool) {
    let consulted = known(events);
    let request = consulted.exact.as_ref().unwrap().events.iter().find(|known| known.seq == request).unwrap().clone();
    let now = moment(now);
    let still = still_waits(policy, &request, &anna(), &consulted, now);
    (standpoint(policy, &request, &anna(), &consulted, now), still)
}

#[test]
fn a_request_is_open_until_its_window_ends_or_the_person_says_something() {
    use EventType::{Object, OptInConfirmed, OptInPending};
    let policy = policy();
    let topics = |topics: &[&str]| topics.iter().map(|topic| (*topic).to_owned()).collect::<Vec<_>>();
    let asks = event(OptInPending, "2026-05-10T10:00:00Z", &["books", "music"]);
    let no = |at: &str, named: &[&str]| event(Object, at, named);
    let yes = |request: i64, at: &str, named: &[&str]| ConsentEvent {
        evidence: Some(json!({ "request": request })),
        ..event(OptInConfirmed, at, named)
    };
    let again = event(OptInPending, "2026-05-11T10:00:00Z", &["books", "music"]);
    let soon = "2026-05-12T10:00:00Z";
    let open = Standpoint::Open(topics(&["books", "music"]));
    let table = [
        (vec![asks.clone()], 1, soon, open.clone(), true),
        (vec![asks.clone()], 1, "2026-05-17T10:00:00Z", open.clone(), true),
        (vec![asks.clone()], 1, "2026-05-17T10:00:01Z", Standpoint::Late, false),
        // An objection before it is what the new request may lift.
        (vec![no("2026-05-09T10:00:00Z", &[]), asks.clone()], 2, soon, open.clone(), true),
        (vec![asks.clone(), no("2026-05-11T10:00:00Z", &[])], 1, soon, Standpoint::Withdrawn, false),
        (vec![asks.clone(), no("2026-05-10T10:00:00Z", &[])], 1, soon, Standpoint::Withdrawn, false),
        (
            vec![asks.clone(), no("2026-05-11T10:00:00Z", &["music"])],
            1,
            soon,
            Standpoint::Open(topics(&["books"])),
            true,
        ),
        (
            vec![asks.clone(), yes(1, "2026-05-11T10:00:00Z", &["books", "music"])],
            1,
            soon,
            Standpoint::Confirmed(topics(&["books", "music"])),
            false,
        ),
        (
            vec![asks.clone(), yes(1, "2026-05-11T10:00:00Z", &["books"]), no("2026-05-11T11:00:00Z", &["books"])],
            1,
            soon,
            Standpoint::Withdrawn,
            false,
        ),
        // Asked twice and confirmed through one of the links: nobody is reminded of the other.
        (vec![asks.clone(), again.clone()], 1, soon, open.clone(), true),
        (vec![asks.clone(), again, yes(2, "2026-05-11T11:00:00Z", &["books", "music"])], 1, soon, open, false),
    ];
    for (events, request, now, expected, still) in table {
        assert_eq!(stands(&policy, &events, request, now), (expected, still), "{request} {now} {:?}", told(&events));
    }
}

#[test]
fn a_confirmation_proves_the_address_and_says_the_same_when_repeated() {
    let request = RecordedEvent::new(
        7,
        ConsentEvent {
            partners: Some(vec!["d".into()]),
            ..event(EventType::OptInPending, "2026-05-10T10:00:00Z", &["books", "music"])
        },
        asked(),
    );
    let confirmed = |at: &str| {
        let text_version = request.event.text_version.clone();
        Confirmed { request: &request, topics: vec!["books".into()], text_version, trace: None, at: moment(at) }
            .events()
    };
    let events = confirmed("2026-05-11T10:00:00Z");
    assert_eq!(told(&events), ["collected -", "opt_in_confirmed double_opt_in books"]);
    assert_eq!((events[0].at, events[0].informed_at), (Some(asked()), Some(asked())));
    assert_eq!(events[1].partners, Some(vec!["d".into()]));
    assert_eq!(events[1].evidence, Some(json!({ "request": 7 })));
    for event in &events {
        ConsentEvent::from_json(&event.to_canonical_json()).unwrap();
    }
    let ids = |events: &[ConsentEvent]| events.iter().map(|event| event.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&events), ids(&confirmed("2026-05-12T10:00:00Z")));

    let oral = ConsentEvent {
        source: Some("in_store:lyon".into()),
        actor: Some(Actor::Delegate),
        mechanism: Some("oral_delegated".into()),
        ..event(EventType::OptIn, "2026-05-10T10:00:00Z", &["books"])
    };
    let oral = RecordedEvent::new(8, oral, asked());
    assert!(needs_a_tick(&oral) && !needs_a_tick(&request));
    let at = moment("2026-05-11T10:00:00Z");
    let events =
        Confirmed { request: &oral, topics: vec!["books".into()], text_version: None, trace: None, at }.events();
    assert_eq!(
        told(&events),
        ["opt_in_confirmed double_opt_in books"],
        "the shop says itself how it came by the address"
    );
}
