//! Addresses that take no mail any more (E10), and what says so.

use jiff::Timestamp;
use serde_json::json;

use super::because::Sentence;
use super::life::is_contact;
use super::record::{self, Record};
use super::rules::Policy;
use super::verdict::{Finding, Reason};
use crate::consent::event::{ConsentEvent, EventType, RecordedEvent, stable_id};
use crate::smtp::address::{EmailAddress, ReversePath};
use crate::smtp::reply::Reply;
use crate::smtp::status::EnhancedStatus;

/// What a refusal says about the address it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Nobody gets mail there, now or later.
    Hard,
    /// This message did not arrive; the address may be good.
    Soft,
    /// It cannot be told.
    Unclear,
}

/// Weighs an enhanced status code (RFC 3463), or without one the reply code. Only what speaks of the address itself is
/// hard: a refusal of the content, of the sender or of the moment says nothing about who lives there.
pub fn weigh(status: Option<EnhancedStatus>, reply_code: Option<u16>) -> Weight {
    let Some(status) = status else {
        return match reply_code {
            Some(400..=499) => Weight::Soft,
            _ => Weight::Unclear, // a bare 550 may be a spam filter's
        };
    };
    match (status.class, status.subject, status.detail) {
        (4, ..) => Weight::Soft,
        // No such mailbox, domain, or form of address; moved away; a domain that takes no mail (RFC 7505).
        (5, 1, 1 | 2 | 3 | 6 | 10) => Weight::Hard,
        // The mailbox is disabled.
        (5, 2, 1) => Weight::Hard,
        // Of the sender's address (RFC 3463 section 3.2), not of this one.
        (5, 1, 7..=9) => Weight::Soft,
        (5, 0 | 1, _) | (5, 2, 0) => Weight::Unclear,
        (5, ..) => Weight::Soft,
        _ => Weight::Unclear,
    }
}

/// What is recorded of a bounce; told again on the same day it is the same event.
pub fn event(address: EmailAddress, controller: &str, hard: bool, at: Timestamp, policy: &Policy) -> ConsentEvent {
    let day = at.to_zoned(policy.time_zone.clone()).date();
    let same = json!([address.consent_key(), controller, hard, day]);
    ConsentEvent {
        at: Some(at),
        recorded_at: Some(at),
        id: Some(stable_id("bounce", &same)),
        hard: Some(hard),
        ..ConsentEvent::new(address, controller, EventType::Bounce)
    }
}

/// What is recorded when upstream refuses a recipient. `None`: the refusal does not say that nobody lives there.
pub fn refused_at_rcpt(
    address: &EmailAddress,
    controller: &str,
    reply: &Reply,
    at: Timestamp,
    policy: &Policy,
) -> Option<ConsentEvent> {
    let status = reply.enhanced().and_then(EnhancedStatus::parse);
    let is_hard = reply.is_permanent() && weigh(status, Some(reply.code())) == Weight::Hard;
    is_hard.then(|| ConsentEvent {
        source: Some("upstream:rcpt".into()),
        code: Some(status.map_or_else(|| reply.code().to_string(), |status| status.to_string())),
        ..event(address.clone(), controller, true, at, policy)
    })
}

/// In whose name mail from this envelope sender goes, as far as that can be said before its content is there.
pub fn controller_of_sender<'a>(policy: &'a Policy, from: &ReversePath) -> Option<&'a str> {
    let domain = from.mailbox()?.domain_key();
    let parents = domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]);
    // Bounces often go to a name below the one that readers see.
    let known = std::iter::once(domain.as_str()).chain(parents).find_map(|name| policy.controller_of_domain(name));
    known.map(|controller| controller.id.as_str())
}

/// Advertising to an address that bounced for good is withheld until the person shows that it lives. What bounced in one
/// controller's name says nothing to another: each keeps its own record of an address (section 1.1).
pub(super) fn dead(record: &Record<'_>) -> Option<Finding> {
    let events: Vec<&RecordedEvent> = record.own().collect();
    let bounced = events.iter().rposition(|recorded| is_hard_bounce(recorded))?;
    if events[bounced + 1..].iter().any(|recorded| shows_life(record, recorded)) {
        return None;
    }
    let because = record.fact(Sentence::BouncedForGood, events[bounced]);
    Some(Finding { events: vec![events[bounced].seq], ..Finding::block(Reason::AddrDead, because) })
}

fn is_hard_bounce(recorded: &RecordedEvent) -> bool {
    recorded.event.kind == EventType::Bounce && recorded.event.hard == Some(true)
}

/// An act of the person, whatever it says about consent.
fn shows_life(record: &Record<'_>, recorded: &RecordedEvent) -> bool {
    let acted = match recorded.event.kind {
        EventType::OptIn
        | EventType::OptInPending
        | EventType::OptInConfirmed
        | EventType::Frequency
        | EventType::Pause
        | EventType::ChannelPreference => !record::is_said_by_another(recorded),
        _ => is_contact(record.policy, recorded),
    };
    acted && record.has_happened(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_policy;

    const POLICY: &str = r#"
[controller.shop]
name = "Shop"
domains = ["exemple.fr"]
privacy_url = "https://exemple.fr/"
contact = "dpo@exemple.fr"
"#;

    #[test]
    fn the_envelope_sender_tells_in_whose_name_mail_goes() {
        let policy = parse_policy("policy.toml", POLICY, &[]).unwrap();
        let table = [
            ("news@exemple.fr", Some("shop")),
            ("b-1@Bounces.News.EXEMPLE.fr", Some("shop")),
            ("news@notexemple.fr", None),
            ("news@fr", None),
            ("", None),
        ];
        for (from, expected) in table {
            assert_eq!(controller_of_sender(&policy, &ReversePath::parse(from).unwrap()), expected, "{from}");
        }
    }

    #[test]
    fn a_refusal_is_a_bounce_once_a_day_and_only_when_it_speaks_of_the_address() {
        let policy = parse_policy("policy.toml", POLICY, &[]).unwrap();
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let event = |code, text: &str, at: &str| {
            refused_at_rcpt(&anna, "shop", &Reply::new(code, text), at.parse().unwrap(), &policy)
        };
        let (morning, evening, next) = ("2026-05-14T08:00:00Z", "2026-05-14T20:00:00Z", "2026-05-15T08:00:00Z");
        let first = event(550, "5.1.1 unknown", morning).unwrap();
        assert_eq!((first.kind, first.hard, first.code.as_deref()), (EventType::Bounce, Some(true), Some("5.1.1")));
        assert_eq!(event(550, "5.1.1 unknown", evening).unwrap().id, first.id);
        assert_ne!(event(550, "5.1.1 unknown", next).unwrap().id, first.id);
        for (code, text) in
            [(550, "5.7.1 spam"), (554, "5.7.26 policy"), (550, "no"), (450, "4.1.1 later"), (552, "5.2.2 full")]
        {
            assert_eq!(event(code, text, morning), None, "{code} {text}");
        }
    }

    #[test]
    fn only_what_speaks_of_the_address_is_hard() {
        let table = [
            ("5.1.1", Some(550), Weight::Hard),
            ("5.1.2", None, Weight::Hard),
            ("5.1.3", Some(501), Weight::Hard),
            ("5.1.6", Some(551), Weight::Hard),
            ("5.1.10", Some(556), Weight::Hard),
            ("5.2.1", Some(550), Weight::Hard),
            ("5.1.0", Some(550), Weight::Unclear),
            ("5.0.0", Some(550), Weight::Unclear),
            ("5.2.0", None, Weight::Unclear),
            ("", Some(550), Weight::Unclear),
            ("", None, Weight::Unclear),
            ("2.0.0", Some(250), Weight::Unclear),
            ("5.1.8", Some(553), Weight::Soft),
            ("5.2.2", Some(552), Weight::Soft),
            ("5.3.4", Some(552), Weight::Soft),
            ("5.4.4", None, Weight::Soft),
            ("5.7.1", Some(550), Weight::Soft),
            ("5.7.26", Some(550), Weight::Soft),
            ("4.2.2", Some(452), Weight::Soft),
            ("4.1.1", Some(450), Weight::Soft),
            ("", Some(451), Weight::Soft),
        ];
        for (status, code, expected) in table {
            assert_eq!(weigh(EnhancedStatus::parse(status), code), expected, "{status} {code:?}");
        }
    }
}
