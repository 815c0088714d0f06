//! How much room there is. Which verdict that makes is in `tests/cases/decisions-frequency.toml`.

use super::*;
use crate::config::parse_policy;
use crate::consent::event::ConsentEvent;
use crate::consent::state::{Consulted, ContactState};
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;

const NOW: &str = "2026-05-15T10:00:00+02:00";

fn policy(lines: &str) -> Policy {
    let text = format!(
        r#"
        {lines}
        [controller.c]
        name = "C"
        domains = ["c.example"]
        privacy_url = "https://c.example/privacy"
        contact = "privacy@c.example"
        [topic.offers]
        controller = "c"
        frequency = "10/week"
        [topic."offers/books"]
        controller = "c"
        aliases = ["novels"]
        [topic."offers/music"]
        controller = "c"
        frequency = "2/week"
        "#
    );
    parse_policy("policy.toml", &text, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn anna() -> EmailAddress {
    EmailAddress::parse("anna@x.example").unwrap()
}

fn told(events: &[&str]) -> Consulted {
    let event = |line: &&str| {
        let said = r#"{"address": "anna@x.example", "controller": "c", "#;
        ConsentEvent::from_json(&line.replacen('{', said, 1)).unwrap_or_else(|e| panic!("{line}: {e}"))
    };
    let recorded = events.iter().map(event).zip(1..);
    let recorded = recorded.map(|(event, seq)| RecordedEvent::new(seq, event, NOW.parse().unwrap())).collect();
    Consulted { exact: Some(ContactState::fold(anna(), recorded)), ..Consulted::default() }
}

fn sent(at: &str, topics: &[&str]) -> Sent {
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    Sent { at: at.parse().unwrap(), promotional: true, topics, kinds: Vec::new(), attempt: None }
}

fn judged(policy: &Policy, known: &Consulted, topics: &[&str], sent: &[Sent]) -> (Option<u32>, Option<String>) {
    let record = Record::read(policy, "c", &anna(), known, NOW.parse().unwrap());
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let frequency = judge(&record, &topics, sent);
    (frequency.room, frequency.hindrance.map(|finding| finding.because.to_string()))
}

#[test]
fn the_tightest_cap_says_how_much_room_there_is() {
    let (policy, nothing) = (policy(r#"frequency = "5/week""#), told(&[]));
    let yesterday = sent("2026-05-14T10:00:00+02:00", &["offers/music"]);
    let table = [
        (&["letters"][..], &[][..], 5),
        (&["offers/books"], &[], 5),
        (&["offers/music"], &[], 2),
        (&["offers/music"], std::slice::from_ref(&yesterday), 1),
        (&["offers/books"], std::slice::from_ref(&yesterday), 4),
        (&["offers/books", "offers/music"], std::slice::from_ref(&yesterday), 1),
        (&[], std::slice::from_ref(&yesterday), 1),
    ];
    for (topics, earlier, room) in table {
        assert_eq!(judged(&policy, &nothing, topics, earlier), (Some(room), None), "{topics:?} after {earlier:?}");
    }
    let service = Sent { promotional: false, ..yesterday };
    assert_eq!(
        judged(&policy, &nothing, &["offers/music"], &[service]),
        (Some(2), None),
        "service mail counts nowhere"
    );
}

#[test]
fn without_a_cap_earlier_mail_plays_no_part() {
    let known = told(&[r#"{"type": "frequency", "limit": "weekly", "topics": ["letters"]}"#]);
    let many = vec![sent("2026-05-15T09:00:00+02:00", &["other"]); 50];
    assert_eq!(judged(&policy(""), &known, &["other"], &many), (None, None));
}

#[test]
fn a_full_window_names_its_cap_the_last_message_and_when_the_next_may_go() {
    let music = [
        sent("2026-05-09T09:00:00+02:00", &["offers/music"]),
        sent("2026-05-12T10:00:30.5+02:00", &["offers/music/jazz"]),
    ];
    assert_eq!(
        judged(&policy(""), &told(&[]), &["offers/music"], &music),
        (
            Some(0),
            Some(
                "the policy allows 2 messages a week at most about offers/music; the last one went on 12 May 2026, the next may go \
                 from 16 May 2026 at 09:00"
                    .to_owned()
            )
        )
    );
    let weekly = told(&[r#"{"type": "frequency", "limit": "weekly"}"#]);
    let (room, because) = judged(&policy(""), &weekly, &["offers/music"], &music);
    let because = because.unwrap();
    assert_eq!(room, Some(0));
    assert!(
        because.starts_with("asked for one message a week at most in all (event 1)"),
        "the cap that ends last: {because}"
    );
    assert!(because.ends_with("the next may go from 19 May 2026 at 10:01"), "rounded up: {because}");
}

#[test]
fn a_wish_for_a_former_name_counts_for_the_topic() {
    let known = told(&[r#"{"type": "frequency", "limit": "1/day", "topics": ["novels"]}"#]);
    let earlier = [sent("2026-05-15T09:00:00+02:00", &["novels"])];
    let (room, because) = judged(&policy(""), &known, &["offers/books"], &earlier);
    assert_eq!(room, Some(0));
    assert!(because.unwrap().contains("about offers/books"));
}

#[test]
fn who_wrote_before_the_clock_was_set_back_still_counts() {
    let known = told(&[r#"{"type": "frequency", "limit": "weekly"}"#]);
    let ahead = [sent("2026-05-15T10:00:01+02:00", &[])];
    assert_eq!(judged(&policy(""), &known, &["offers/books"], &ahead).0, Some(0));
}

#[test]
fn of_several_hindrances_the_one_that_lasts_longest_is_told() {
    let events =
        [r#"{"type": "frequency", "limit": "weekly"}"#, r#"{"type": "pause", "until": "2026-05-17T00:00:00+02:00"}"#];
    let table = [
        ("2026-05-09T00:00:00+02:00", "asked for a pause until 17 May 2026 at 00:00 (event 2)"),
        ("2026-05-12T00:00:00+02:00", "asked for one message a week"),
    ];
    for (at, start) in table {
        let because = judged(&policy(""), &told(&events), &["offers"], &[sent(at, &[])]).1.unwrap();
        assert!(because.starts_with(start), "{because}");
    }
}
