//! What shows that a relation is alive, and until when it lasts (consent-rules, section 6).

use jiff::Timestamp;
use jiff::civil::Date;

use super::period;
use super::record::{Record, is_said_by_another};
use super::rules::Policy;
use crate::consent::event::{ConsentEvent, EventType, RecordedEvent};

/// A click that follows the delivery faster than this was made by what looked through the mail before its reader.
const SECONDS_A_READER_TAKES: f64 = 10.0;

/// Parts of the names that link scanners, mail filters and programs give themselves, in lower case.
const MACHINES: [&str; 29] = [
    "barracuda",
    "bitdefender",
    "bot",
    "cloudmark",
    "crawl",
    "curl/",
    "facebookexternalhit",
    "fireeye",
    "forcepoint",
    "fortinet",
    "go-http-client",
    "headless",
    "imageproxy",
    "ironport",
    "kaspersky",
    "libwww",
    "messagelabs",
    "mimecast",
    "prefetch",
    "preview",
    "proofpoint",
    "python",
    "scanner",
    "sophos",
    "spider",
    "symantec",
    "trendmicro",
    "urldefense",
    "wget/",
];

/// How long something lasts, and the event that moved its end there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    pub last_day: Date,
    pub renewed_by: Option<i64>,
}

impl Lifetime {
    /// From its beginning, without any sign of life.
    pub fn beginning(policy: &Policy, at: Timestamp) -> Lifetime {
        Lifetime { last_day: period::last_day(policy, at), renewed_by: None }
    }

    /// From its beginning, with every sign of life that came in time.
    pub fn with_contacts(record: &Record<'_>, at: Timestamp) -> Lifetime {
        let later = record.contacts().filter(|contact| contact.at > at);
        later.fold(Lifetime::beginning(record.policy, at), |life, contact| life.with(record.policy, contact))
    }

    /// A contact counts only on a day on which it was still alive.
    pub fn with(self, policy: &Policy, contact: &RecordedEvent) -> Lifetime {
        if self.reaches(policy, contact.at) { self.prolonged(policy, contact) } else { self }
    }

    /// The event moves its end, whether or not it was still alive.
    pub fn prolonged(self, policy: &Policy, by: &RecordedEvent) -> Lifetime {
        let last_day = period::last_day(policy, by.at);
        if last_day > self.last_day { Lifetime { last_day, renewed_by: Some(by.seq) } } else { self }
    }

    pub fn reaches(&self, policy: &Policy, at: Timestamp) -> bool {
        period::day(policy, at) <= self.last_day
    }
}

/// An act of the person that shows the relation is alive. Never an open, a machine, an operator or an import.
pub fn is_contact(policy: &Policy, recorded: &RecordedEvent) -> bool {
    let event = &recorded.event;
    let alive = match event.kind {
        EventType::Contact => match event.profile_kind.as_deref() {
            Some("open") | None => false,
            Some("click") => !(policy.knobs.human_click && looks_automatic(event)),
            Some(_) => true,
        },
        EventType::Purchase => matches!(event.state.as_deref(), Some("paid" | "refunded")),
        EventType::OptIn => event.mechanism.as_deref() == Some("preference_centre"),
        _ => false,
    };
    alive && event.automatic != Some(true) && !is_said_by_another(recorded)
}

/// Whether what is known of a click tells a machine: `evidence` may hold `method`, `trap` (a link no reader sees was
/// followed), `seconds_after_delivery` and `user_agent`.
fn looks_automatic(event: &ConsentEvent) -> bool {
    let known = |key: &str| event.evidence.as_ref().and_then(|evidence| evidence.get(key));
    let text = |key: &str| known(key).and_then(|value| value.as_str()).map(str::to_ascii_lowercase);
    let asked_for_the_head = text("method").is_some_and(|method| method == "head");
    let trapped = known("trap").and_then(|value| value.as_bool()) == Some(true);
    let seconds = known("seconds_after_delivery").and_then(|value| value.as_f64());
    let machine = text("user_agent").is_some_and(|name| MACHINES.iter().any(|part| name.contains(part)));
    asked_for_the_head || trapped || machine || seconds.is_some_and(|seconds| seconds < SECONDS_A_READER_TAKES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_policy;
    use crate::smtp::address::EmailAddress;
    use serde_json::json;

    fn click(automatic: Option<bool>, evidence: serde_json::Value) -> RecordedEvent {
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let event = ConsentEvent {
            profile_kind: Some("click".into()),
            automatic,
            evidence: Some(evidence),
            ..ConsentEvent::new(anna, "c", EventType::Contact)
        };
        RecordedEvent::new(1, event, Timestamp::from_second(1_700_000_000).unwrap())
    }

    #[test]
    fn a_click_that_looks_like_a_machines_is_no_sign_of_life_unless_the_knob_is_off() {
        let strict = parse_policy("policy.toml", "", &[]).unwrap();
        let lenient = parse_policy("policy.toml", "human_click = false", &[]).unwrap();
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0";
        let table = [
            (None, json!({}), true, true),
            (Some(false), json!({"user_agent": firefox, "method": "GET", "seconds_after_delivery": 10}), true, true),
            (Some(true), json!({}), false, false),
            (None, json!({"method": "HEAD"}), false, true),
            (Some(false), json!({"method": "head"}), false, true),
            (None, json!({"seconds_after_delivery": 9.9}), false, true),
            (None, json!({"trap": true}), false, true),
            (None, json!({"trap": false}), true, true),
            (None, json!({"user_agent": "Mozilla/5.0 (compatible; BarracudaCentral)"}), false, true),
            (None, json!({"user_agent": "python-requests/2.32"}), false, true),
            (None, json!({"user_agent": 7, "method": true, "seconds_after_delivery": "soon"}), true, true),
        ];
        for (automatic, evidence, with, without) in table {
            let click = click(automatic, evidence.clone());
            assert_eq!(is_contact(&strict, &click), with, "{automatic:?} {evidence}");
            assert_eq!(is_contact(&lenient, &click), without, "{automatic:?} {evidence} without the filter");
        }
    }
}
