//! Our own unsubscribe link: while it has been out of order for too long, advertising waits (E6).

use jiff::Timestamp;

use super::because::Sentence;
use super::classify::Classification;
use super::decide::{Consultation, decide};
use super::rules::Policy;
use super::verdict::{Basis, Verdict};
use crate::consent::state::Consulted;
use crate::smtp::address::EmailAddress;

/// Whether a link that has failed since then has done so for longer than `endpoint_grace`.
pub fn is_down(policy: &Policy, failing_since: Timestamp, now: Timestamp) -> bool {
    let end = failing_since.to_zoned(policy.time_zone.clone()).checked_add(policy.knobs.endpoint_grace);
    end.is_ok_and(|end| now > end.timestamp())
}

/// The decision while the link may be failing. What is service mail to this recipient goes all the same, which of a
/// request to confirm is known only once it is decided on.
pub fn decide_with_link(
    policy: &Policy,
    classification: &Classification,
    recipient: &EmailAddress,
    consultation: Consultation<'_>,
    failing_since: Option<Timestamp>,
    now: Timestamp,
) -> Verdict {
    let verdict = decide(policy, classification, recipient, consultation, now);
    match failing_since.filter(|since| is_down(policy, *since, now)) {
        Some(since) if verdict.basis != Some(Basis::Service) && knows(consultation) => {
            decide(policy, classification, recipient, Consultation::LinkDown(since), now)
        }
        _ => verdict,
    }
}

/// A store that gives no answer is reason enough by itself.
fn knows(consultation: Consultation<'_>) -> bool {
    matches!(consultation, Consultation::Known(_))
}

/// The decision again, of a verdict that was about the link: the journal keeps the day on which it had begun to fail.
pub fn decide_with_link_again(
    policy: &Policy,
    classification: &Classification,
    recipient: &EmailAddress,
    known: &Consulted,
    recorded: &super::because::Because,
    now: Timestamp,
) -> Verdict {
    let failing = recorded.0.iter().find(|fact| fact.sentence == Sentence::LinkDown).and_then(|fact| fact.on);
    let since = failing.and_then(|day| day.to_zoned(policy.time_zone.clone()).ok()).map(|day| day.timestamp());
    let consultation = since.map_or(Consultation::Known(known), Consultation::LinkDown);
    decide(policy, classification, recipient, consultation, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_policy;
    use crate::message::head::{HeadLimits, MessageHead};
    use crate::policy::classify::classify;
    use crate::policy::facts::{MessageFacts, Origin};
    use crate::policy::rules::Class;
    use crate::policy::verdict::{Decision, Reason};
    use crate::smtp::address::ReversePath;

    const POLICY: &str = r#"
unknown_class = "service"
[controller.shop]
name = "Shop"
domains = ["shop.example"]
privacy_url = "https://shop.example/"
contact = "dpo@shop.example"
"#;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn class(policy: &Policy, said: &str) -> Classification {
        let wire = format!("From: a@shop.example\r\n{said}\r\n\r\n");
        let limits = HeadLimits { header: 10_000, field: 10_000, fields: 100 };
        let head = MessageHead::locate(wire.as_bytes(), &limits).unwrap();
        let origin = Origin {
            listener: "main".into(),
            credential: None,
            client: "127.0.0.1".parse().unwrap(),
            may_send: vec![Class::Service, Class::Promotional],
            trust_headers: true,
            pin: None,
        };
        let from = ReversePath::parse("a@shop.example").unwrap();
        classify(policy, &MessageFacts::gather(policy, origin, from, 1, &head, wire.as_bytes()))
    }

    #[test]
    fn the_grace_ends_a_calendar_stretch_after_the_first_failure() {
        let table = [
            ("", "2026-05-14T10:00:00Z", "2026-05-15T10:00:00Z", false),
            ("", "2026-05-14T10:00:00Z", "2026-05-15T10:00:00.000001Z", true),
            ("endpoint_grace = \"2 days\"", "2026-03-28T10:00:00Z", "2026-03-30T09:00:00Z", false),
            ("endpoint_grace = \"2 days\"", "2026-03-28T10:00:00Z", "2026-03-30T09:00:01Z", true),
            ("endpoint_grace = \"1 hour\"", "2026-05-15T10:00:00Z", "2026-05-15T09:00:00Z", false),
        ];
        for (knob, since, now, expected) in table {
            let policy = parse_policy("policy.toml", &format!("{knob}\n{POLICY}"), &[]).unwrap();
            assert_eq!(is_down(&policy, moment(since), moment(now)), expected, "{knob} {since} {now}");
        }
    }

    #[test]
    fn advertising_waits_for_the_link_and_service_mail_does_not() {
        let policy = parse_policy("policy.toml", POLICY, &[]).unwrap();
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let (since, now) = (moment("2026-05-13T10:00:00Z"), moment("2026-05-15T10:00:00Z"));
        let stranger = Consulted::default();
        let known = Consultation::Known(&stranger);
        let table = [
            ("X-Consentry-Class: promotional", known, Some(since), Decision::Defer, Reason::EndpointDown),
            ("X-Consentry-Class: promotional", known, Some(now), Decision::Block, Reason::ConsentNone),
            ("X-Consentry-Class: promotional", known, None, Decision::Block, Reason::ConsentNone),
            (
                "X-Consentry-Class: promotional",
                Consultation::Unavailable,
                Some(since),
                Decision::Defer,
                Reason::StoreUnavailable,
            ),
            ("X-Consentry-Class: service", known, Some(since), Decision::Allow, Reason::SvcOk),
            // Nobody asked for this request, so it is advertising.
            ("X-Consentry-Kind: doi_request", known, Some(since), Decision::Defer, Reason::EndpointDown),
        ];
        for (said, consultation, failing, decision, reason) in table {
            let class = class(&policy, said);
            let verdict = decide_with_link(&policy, &class, &anna, consultation, failing, now);
            assert_eq!((verdict.decision, verdict.reason), (decision, reason), "{said} {failing:?}");
            let again = decide_with_link_again(&policy, &class, &anna, &stranger, &verdict.because, now);
            if reason != Reason::StoreUnavailable {
                assert_eq!((again.decision, again.reason), (decision, reason), "{said} {failing:?}, told again");
                assert_eq!(again.because, verdict.because);
            }
        }
    }
}
