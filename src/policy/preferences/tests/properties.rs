//! What holds for every history of a person and every answer to the page.

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::classify::Classification;
use crate::policy::decide::{Consultation, decide};
use crate::policy::verdict::Decision;

const TOPICS: [&str; 5] = ["letters", "offers", "offers/books", "offers/ovens", "offers/partners"];
const LIMITS: [&str; 4] = ["none", "weekly", "monthly", "2/week"];

fn any_event() -> impl Strategy<Value = ConsentEvent> {
    use EventType as T;
    let kinds = select(vec![
        T::OptIn,
        T::OptIn,
        T::OptIn,
        T::OptInPending,
        T::OptInConfirmed,
        T::Object,
        T::Withdraw,
        T::Refuse,
        T::Complaint,
        T::Collected,
        T::Collected,
        T::Purchase,
        T::Purchase,
        T::Frequency,
        T::Pause,
        T::ChannelPreference,
    ]);
    let topics = select(vec![&["offers"][..], &["offers/books"], &["letters"], &["offers/partners", "news"], &["*"]]);
    let actor = select(vec![Actor::Person, Actor::Person, Actor::Person, Actor::Operator, Actor::Import]);
    let provenance = select(vec!["direct_form", "direct_form", "account", "bought"]);
    let said = (select(LIMITS.to_vec()), 0..60_i64, select(vec![&["email", "sms"][..], &["post"], &[]]));
    let families = select(vec!["book", "dvd", "oven"]);
    // Within four years before the page, to the second.
    let before = 1..4 * 366 * 86_400_i64;
    (kinds, before, topics, actor, (provenance, any::<bool>()), (said, families)).prop_map(
        |(kind, before, topics, actor, (provenance, informed), ((limit, days, channels), family))| {
            let at = now() - SignedDuration::from_secs(before);
            let collected = kind == T::Collected;
            let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
            ConsentEvent {
                at: Some(at),
                actor: Some(actor),
                topics: Some(topics),
                provenance: collected.then(|| provenance.into()),
                informed_at: (collected && informed).then_some(at),
                refusal_offered: (collected && informed).then_some(true),
                families: (collected || kind == T::Purchase).then(|| vec![family.into()]),
                state: (kind == T::Purchase).then(|| "paid".into()),
                limit: (kind == T::Frequency).then(|| limit.into()),
                until: (kind == T::Pause).then(|| now() + SignedDuration::from_hours(24 * days - 24 * 20)),
                channels: (kind == T::ChannelPreference).then(|| channels.iter().map(|c| (*c).to_owned()).collect()),
                ..event(kind, "2026-01-01", &[])
            }
        },
    )
}

fn histories() -> impl Strategy<Value = Vec<ConsentEvent>> {
    proptest::collection::vec(any_event(), 0..9)
}

/// What may be changed on the page: which topics are turned over, the limits, the day, the channels.
type Changes = (Vec<(usize, bool, usize)>, Option<usize>, Option<Option<i8>>, Option<BTreeSet<Channel>>);

fn changes() -> impl Strategy<Value = Changes> {
    let topics = proptest::collection::vec((0..TOPICS.len(), any::<bool>(), 0..LIMITS.len()), 0..4);
    let channels = proptest::collection::btree_set(select(vec![Channel::Sms, Channel::Post, Channel::Phone]), 0..3);
    let pause = proptest::option::of(proptest::option::of(1_i8..100));
    (topics, proptest::option::of(0..LIMITS.len()), pause, proptest::option::of(channels))
}

fn rate(limit: usize) -> Option<Rate> {
    Limit::parse(LIMITS[limit]).and_then(Limit::rate)
}

fn answer(shown: &Preferences, (topics, limit, pause, channels): &Changes) -> Answer {
    let mut answer = untouched(shown);
    for (topic, turn, limit) in topics {
        let topic = answer.topics.get_mut(TOPICS[*topic]).unwrap();
        topic.on ^= turn;
        topic.frequency.chosen = rate(*limit);
    }
    if let Some(limit) = limit {
        answer.frequency.chosen = rate(*limit);
    }
    if let Some(days) = pause {
        answer.paused_until.chosen = days.map(|days| date(2026, 5, 16) + jiff::Span::new().days(days));
    }
    if let Some(channels) = channels {
        answer.channels.chosen = channels.clone();
    }
    answer
}

/// What an ordinary message about each topic meets, and one that says it is about each family.
fn allowed(consulted: &Consulted, at: Timestamp) -> BTreeSet<String> {
    let anna = anna();
    let families = [&[][..], &["book"], &["oven"]];
    let tried = TOPICS.iter().flat_map(|topic| families.iter().map(move |families| (*topic, *families)));
    let may = |(topic, families): &(&str, &[&str])| {
        let message = Classification::of_advertising("c", vec![(*topic).to_owned()], owned(families));
        let verdict = decide(&POLICY, &message, &anna, Consultation::Known(consulted), at);
        verdict.decision == Decision::Allow
    };
    tried.filter(may).map(|(topic, families)| format!("{topic} {families:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_page_says_what_the_decision_says(history in histories()) {
        // A pause is no topic that is off.
        let history: Vec<_> = history.into_iter().filter(|event| event.kind != EventType::Pause).collect();
        let (anna, known) = (anna(), consulted(history));
        let allowed = allowed(&known, now());
        for topic in preferences(&whom(&anna, &known)).topics {
            let families = &POLICY.topics[&topic.path].families;
            let about_it = match families.first() {
                Some(family) => allowed.contains(&format!("{} {:?}", topic.path, [family])),
                None => allowed.iter().any(|tried| tried.starts_with(&format!("{} ", topic.path))),
            };
            prop_assert_eq!(topic.is_on(), about_it, "{:?} {:?}", topic, allowed);
        }
    }

    #[test]
    fn the_events_of_an_answer_give_what_was_chosen(history in histories(), changes in changes()) {
        let (anna, known) = (anna(), consulted(history));
        let whom = whom(&anna, &known);
        let shown = preferences(&whom);
        let answer = answer(&shown, &changes);
        let settled = answer.settle(&whom, &said());
        let later = with_events(&whom, &settled.events);
        let after = preferences(&Whom { consulted: &later, now: now() + SECOND, ..whom });
        for topic in &after.topics {
            let gone_along = settled.off_with_another.contains(&topic.path);
            prop_assert_eq!(topic.is_on(), answer.topics[&topic.path].on && !gone_along, "{} {:?}", topic.path, settled);
            prop_assert_eq!(topic.frequency, answer.topics[&topic.path].frequency.chosen);
        }
        prop_assert_eq!(after.frequency, answer.frequency.chosen);
        prop_assert_eq!(after.paused_until, answer.paused_until.chosen);
        prop_assert_eq!(after.channels, answer.channels.chosen);
        prop_assert!(settled.overtaken.is_empty() && !settled.wishes_overtaken && settled.not_yet.is_empty());
        for gone in &settled.off_with_another {
            prop_assert!(settled.switched_off.iter().any(|off| scope::reaches(off, gone)), "{:?}", settled);
        }
    }

    #[test]
    fn the_page_posted_as_it_was_sent_writes_nothing(history in histories()) {
        let (anna, known) = (anna(), consulted(history));
        let whom = whom(&anna, &known);
        let settled = untouched(&preferences(&whom)).settle(&whom, &said());
        prop_assert!(settled.is_unchanged(), "{settled:?}");
    }

    #[test]
    fn the_same_page_posted_twice_counts_once(history in histories(), changes in changes()) {
        let (anna, known) = (anna(), consulted(history));
        let whom = whom(&anna, &known);
        let answer = answer(&preferences(&whom), &changes);
        let later = with_events(&whom, &answer.settle(&whom, &said()).events);
        let again = answer.settle(&Whom { consulted: &later, now: now() + SECOND, ..whom }, &said());
        prop_assert_eq!(told(&again.events), Vec::<String>::new());
    }

    #[test]
    fn switching_off_allows_nothing_more(history in histories(), off in proptest::collection::vec(0..5_usize, 0..4)) {
        let (anna, known) = (anna(), consulted(history));
        let whom = whom(&anna, &known);
        let shown = preferences(&whom);
        let changes: Vec<(&str, bool)> = off.iter().map(|topic| (TOPICS[*topic], false)).collect();
        let events = ticked(&shown, &changes).settle(&whom, &said()).events;
        let then = now() + SECOND;
        let (before, after) = (allowed(&known, then), allowed(&with_events(&whom, &events), then));
        prop_assert!(after.is_subset(&before), "{after:?} {before:?} {events:?}");
        let all_off = with_events(&whom, &everything_off(&whom, &said()));
        prop_assert!(allowed(&all_off, then).is_empty());
    }

    #[test]
    fn a_topic_that_nobody_touched_is_in_no_yes(history in histories(), changes in changes()) {
        let (anna, known) = (anna(), consulted(history));
        let whom = whom(&anna, &known);
        let answer = answer(&preferences(&whom), &changes);
        for event in answer.settle(&whom, &said()).events.iter().filter(|event| event.kind == EventType::OptIn) {
            for topic in event.topics.iter().flatten() {
                let asked = &answer.topics[topic];
                prop_assert!(asked.on && !asked.shown.on, "{topic} {event:?}");
            }
        }
    }

    #[test]
    fn nothing_that_was_said_in_between_is_lifted(history in histories(), between in histories(), changes in changes()) {
        let (anna, before) = (anna(), consulted(history.clone()));
        let answer = answer(&preferences(&whom(&anna, &before)), &changes);
        let moved = between.into_iter().map(|event| ConsentEvent { at: Some(now()), ..event });
        let known = consulted([history, moved.collect()].concat());
        let then = Whom { now: now() + SECOND, ..whom(&anna, &known) };
        let no: Vec<String> = preferences(&then).topics.into_iter().filter(|now| {
            let shown = preferences(&whom(&anna, &before)).topics;
            now.objected && shown.iter().any(|shown| shown.path == now.path && shown.mark != now.mark)
        }).map(|topic| topic.path).collect();
        let later = with_events(&then, &answer.settle(&then, &said()).events);
        let after = preferences(&Whom { now: now() + SECOND + SECOND, consulted: &later, ..then });
        for path in no {
            prop_assert!(after.topics.iter().any(|topic| topic.path == path && topic.objected), "{path}");
        }
    }
}
