//! What holds for every history of a person, on every ground.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::policy::form::{Form, FormKind};
use crate::policy::sign_up::{Answer, SignUp, Standing};

fn any_event() -> impl Strategy<Value = ConsentEvent> {
    use EventType as T;
    let kinds = vec![
        T::OptIn,
        T::OptIn,
        T::OptInPending,
        T::OptInConfirmed,
        T::NoAnswer,
        T::Refuse,
        T::Withdraw,
        T::Object,
        T::Complaint,
        T::Collected,
        T::Collected,
        T::Collected,
        T::Profile,
        T::Profile,
        T::Purchase,
        T::Purchase,
        T::RelationEnd,
        T::Contact,
    ];
    let topics = select(vec![&["offers"][..], &["offers/books"], &["letters"], &["offers", "offers/books"], &["*"]]);
    let actor = select(vec![
        Some(Actor::Person),
        Some(Actor::Person),
        Some(Actor::Delegate),
        Some(Actor::Operator),
        Some(Actor::Import),
        None,
    ]);
    let mechanism =
        select(vec!["unticked_box_ticked", "unticked_box_ticked", "double_opt_in", "oral_delegated", "preticked_box"]);
    let channel = select(vec!["email", "email", "email", "sms"]);
    let provenance =
        select(vec!["direct_form", "direct_form", "account", "in_store", "event", "bought", "recruitment"]);
    let told = (any::<bool>(), any::<bool>(), provenance);
    let state = select(vec!["paid", "paid", "quote", "refunded"]);
    let whose = select(vec!["professional", "generic", "consumer"]);
    let family = select(vec!["book", "dvd", "oven"]);
    let contact = select(vec!["reply", "click", "open"]);
    // Within four years before now, to the second: two acts at the very same moment are a case of their own.
    let at = 0..4 * 366 * 86_400_i64;
    let to = select(vec![ADDRESSES[0], ADDRESSES[0], ADDRESSES[1], ADDRESSES[2]]);
    let said = (topics, actor, mechanism, channel);
    (select(kinds), at, said, told, (state, whose, family, contact), to).prop_map(
        |(kind, before, said, told, of, to)| {
            let (topics, actor, mechanism, channel) = said;
            let (informed, refusal, provenance) = told;
            let (state, whose, family, contact) = of;
            let at = Timestamp::from_second(now().as_second() - before).ok();
            let collected = kind == T::Collected;
            let profile_kind = match kind {
                T::Contact => Some(contact),
                T::Profile => Some(whose),
                _ => None,
            };
            ConsentEvent {
                at,
                address: address(to),
                actor,
                channel: channel.into(),
                mechanism: Some(mechanism.into()),
                provenance: collected.then(|| provenance.into()),
                informed_at: at.filter(|_| collected && informed),
                refusal_offered: (collected && refusal).then_some(true),
                families: (collected || kind == T::Purchase).then(|| vec![family.into()]),
                functions: (kind == T::Profile).then(|| vec!["it".into()]),
                state: (kind == T::Purchase).then(|| state.into()),
                profile_kind: profile_kind.map(str::to_owned),
                ..event(kind, NOW, topics)
            }
        },
    )
}

fn histories() -> impl Strategy<Value = Vec<ConsentEvent>> {
    proptest::collection::vec(any_event(), 0..10)
}

#[test]
fn the_histories_lead_to_every_ground() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..1500 {
        let known = consulted(histories().new_tree(&mut runner).unwrap().current());
        reached.extend(messages().iter().filter_map(|facts| decided(facts, &known).basis));
    }
    let all = [Basis::OptIn, Basis::Customer, Basis::Professional, Basis::Generic, Basis::NonCommercial];
    assert_eq!(reached, BTreeSet::from(all));
}

fn rank(verdict: &Verdict) -> bool {
    verdict.decision == Decision::Allow
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_recording_does_not_matter(history in histories(), turn in 0..10_usize) {
        let mut turned = history.clone();
        turned.reverse();
        let by = turn.min(turned.len());
        turned.rotate_left(by);
        let (one, other) = (books(&consulted(history)), books(&consulted(turned)));
        prop_assert_eq!((one.decision, one.reason, one.last_day), (other.decision, other.reason, other.last_day));
    }

    #[test]
    fn at_the_same_moment_the_objection_wins_whatever_was_recorded_first(history in histories(), first in any::<bool>()) {
        let (yes, no) = (event(EventType::OptIn, NOW, &["offers/books"]), event(EventType::Object, NOW, &["offers/books"]));
        let mut history = history;
        history.extend(if first { [yes, no] } else { [no, yes] });
        prop_assert_eq!(books(&consulted(history)).decision, Decision::Block);
    }

    #[test]
    fn one_more_objection_never_allows_more(history in histories(), added in any_event(), kind in 0..4_usize, channel in select(vec!["email", "*"])) {
        let kinds = [EventType::Refuse, EventType::Withdraw, EventType::Object, EventType::Complaint];
        let objection = ConsentEvent { channel: channel.into(), at: added.at, topics: added.topics, actor: added.actor, ..ConsentEvent::new(added.address, "c", kinds[kind]) };
        for facts in messages() {
            let before = decided(&facts, &consulted(history.clone()));
            let after = decided(&facts, &consulted(history.iter().cloned().chain([objection.clone()]).collect()));
            prop_assert!(rank(&before) || !rank(&after), "{} became {}", before.because, after.because);
        }
    }

    #[test]
    fn a_mark_of_somebody_forgotten_never_allows_more(history in histories(), before in 0..4 * 366 * 86_400_i64) {
        let known = consulted(history);
        let at = Timestamp::from_second(now().as_second() - before).unwrap();
        let marked = Consulted { suppressed: Some(Suppression { at, topics: Vec::new() }), ..known.clone() };
        prop_assert!(rank(&books(&known)) || !rank(&books(&marked)));
    }

    #[test]
    fn nobody_but_the_person_turns_an_objection_into_permission(history in histories(), added in proptest::collection::vec(any_event(), 1..4), erased in any::<bool>()) {
        let before = books(&consulted(history.clone()));
        prop_assume!(matches!(before.reason, Reason::ObjGlobal | Reason::ObjTopic | Reason::ObjComplaint));
        let foreign = added.into_iter().map(|event| ConsentEvent {
            actor: event.actor.filter(|actor| *actor != Actor::Person),
            ..event
        });
        let erasure = erased.then(|| ConsentEvent { actor: Some(Actor::Operator), ..event(EventType::Erase, NOW, &[]) });
        let after = books(&consulted(history.into_iter().chain(erasure).chain(foreign).collect()));
        prop_assert_eq!(after.decision, Decision::Block);
        prop_assert!(after.reason.as_str().starts_with("OBJ_"), "{}", after.because);
    }

    #[test]
    fn nothing_is_permitted_once_every_time_is_over(history in histories(), days in 1..3000_i64) {
        let known = consulted(history);
        let later = now().to_zoned(POLICY.time_zone.clone()).checked_add(jiff::Span::new().years(3).days(days)).unwrap();
        for facts in messages() {
            let verdict = decide(&POLICY, &classify(&POLICY, &facts), &anna(), Consultation::Known(&known), later.timestamp());
            prop_assert_eq!(verdict.decision, Decision::Block, "{}", verdict.because);
        }
    }

    #[test]
    fn a_contact_after_the_end_brings_nothing_back(history in histories(), kind in select(vec!["reply", "click", "login", "open"])) {
        let contact = ConsentEvent { profile_kind: Some(kind.into()), ..event(EventType::Contact, NOW, &[]) };
        let own = |event: &&ConsentEvent| event.address.consent_key() == anna().consent_key();
        let collected = history.iter().filter(own).any(|event| event.kind == EventType::Collected);
        let known = consulted(history.clone());
        let after = consulted(history.into_iter().chain([contact]).collect());
        for facts in messages() {
            let (before, after) = (decided(&facts, &known), decided(&facts, &after));
            // Of a firm whose address was never collected the first contact is the beginning.
            let begins = after.basis == Some(Basis::Generic) && !collected;
            prop_assert!(rank(&before) || !rank(&after) || begins, "{} became {}", before.because, after.because);
        }
    }

    #[test]
    fn where_the_address_came_from_leaves_at_most_the_persons_own_consent(history in histories(), provenance in select(vec!["harvested", "bought", "rented", "exchanged", "partner", "recruitment", "support", "inbound_reply", "import_unproven"])) {
        let barred = ConsentEvent { provenance: Some(provenance.into()), ..event(EventType::Collected, NOW, &[]) };
        let history: Vec<ConsentEvent> = history.into_iter().chain([barred]).collect();
        for facts in messages() {
            let verdict = decided(&facts, &consulted(history.clone()));
            if !rank(&verdict) {
                continue;
            }
            prop_assert_eq!(verdict.basis, Some(Basis::OptIn));
            let relied_on = verdict.events.iter().map(|seq| &history[*seq as usize - 1]).filter(|event| event.kind.is_opt_in());
            prop_assert!(relied_on.clone().all(|event| event.actor == Some(Actor::Person)), "{}", verdict.because);
            prop_assert!(relied_on.count() > 0);
        }
    }

    #[test]
    fn what_is_permitted_lies_within_the_horizon(history in histories()) {
        let known = consulted(history);
        let found = horizon(&POLICY, "c", &anna(), &known, now());
        for (topic, facts) in [("offers/books", message("promotional", "offers/books")), ("letters", message("promotional", "letters")), ("offers", appeal("offers"))] {
            let verdict = decided(&facts, &known);
            let within = found.open().any(|ground| Some(ground.basis) == verdict.basis && Some(ground.last_day) == verdict.last_day && ground.topics.iter().any(|open| open == topic));
            prop_assert!(within || !rank(&verdict), "{}: {:?}", verdict.because, found);
            prop_assert!(!rank(&verdict) || found.kept_until >= verdict.last_day, "{}: {:?}", verdict.because, found);
        }
    }

    #[test]
    fn service_mail_goes_whatever_the_person_said(history in histories()) {
        let verdict = decided(&message("service", "offers/books"), &consulted(history));
        prop_assert_eq!((verdict.decision, verdict.reason, verdict.basis), (Decision::Allow, Reason::SvcOk, Some(Basis::Service)));
    }

    #[test]
    fn nothing_promotional_goes_while_the_store_is_silent(topics in select(vec!["offers/books", "letters", ""])) {
        let policy = policy();
        let classification = classify(&policy, &message("promotional", topics));
        let verdict = decide(&policy, &classification, &anna(), Consultation::Unavailable, now());
        prop_assert_eq!((verdict.decision, verdict.permit()), (Decision::Defer, None));
    }

    #[test]
    fn what_is_refused_before_data_would_be_refused_after_it(history in histories(), topics in select(vec!["offers", "offers/books", "letters"])) {
        let policy = policy();
        let pin = Pin { class: Class::Promotional, controller: Some("c".into()), topics: Vec::new() };
        let envelope = MessageFacts { origin: origin(Some(pin)), readings: Vec::new(), ..message("promotional", topics) };
        let known = consulted(history);
        let consultation = Consultation::Known(&known);
        if refuse_before_data(&policy, &envelope, &anna(), consultation, now()).is_some() {
            let whole = MessageFacts { origin: envelope.origin, ..message("promotional", topics) };
            let verdict = decide(&policy, &classify(&policy, &whole), &anna(), consultation, now());
            prop_assert_eq!(verdict.decision, Decision::Block);
        }
    }

    #[test]
    fn no_forms_sent_in_by_whomever_allow_anything_that_was_not_allowed_before(history in histories(), sent in proptest::collection::vec(any_form(), 1..6)) {
        let mut now_known = history.clone();
        for (form, answer) in &sent {
            let known = consulted(now_known.clone());
            let (address, at) = (anna(), now());
            let standing = Standing::of(&POLICY, "c", &address, &known, at);
            let filled_in = SignUp { form, address: &address, answer, text_version: "letter-1", language: "en", trace: None, standing, at };
            now_known.extend(filled_in.events(&POLICY));
        }
        for facts in messages() {
            let before = decided(&facts, &consulted(history.clone()));
            let after = decided(&facts, &consulted(now_known.clone()));
            prop_assert!(rank(&before) || !rank(&after), "{} became {}", before.because, after.because);
        }
    }
}

/// Any form that asks to confirm a yes, filled in anyhow.
fn any_form() -> impl Strategy<Value = (Form, Answer)> {
    let topics = select(vec![&["offers"][..], &["offers/books"], &["letters"], &["offers", "letters"]]);
    let kind = select(vec![FormKind::Boxes, FormKind::YesNo, FormKind::PartnerBox]);
    (kind, topics, any::<[bool; 2]>()).prop_map(|(kind, topics, said)| {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let answers = || topics.iter().cloned().zip(said);
        let answer = match kind {
            FormKind::YesNo => Answer::YesNo(answers().collect()),
            _ => Answer::Ticked(answers().filter(|(_, yes)| *yes).map(|(topic, _)| topic).collect()),
        };
        let default = POLICY.default_form("c").unwrap().into_owned();
        (Form { kind, topics, ..default }, answer)
    })
}
