//! Addresses that somebody has to put right: service mail still goes to them, and does not reach its customer.

use jiff::Timestamp;
use serde_json::Value;

use super::bounce;
use super::record::{self, Record};
use super::rules::Policy;
use super::word::words;
use crate::consent::event::{EventType, RecordedEvent};
use crate::consent::state::Consulted;
use crate::smtp::address::EmailAddress;

/// The mark in the evidence of an objection by somebody who never gave the address.
pub const WRONG_ADDRESS: &str = "wrong_address";

words! {
    /// What is wrong with an address.
    pub enum Fault { WrongAddress = "wrong_address", Bounced = "bounced" }
}

/// What is wrong with the address a controller has of somebody, and since when; `None`: nothing, or the person has shown
/// since that it is theirs.
pub fn fault(
    policy: &Policy,
    controller: &str,
    address: &EmailAddress,
    consulted: &Consulted,
    now: Timestamp,
) -> Option<(Fault, Timestamp)> {
    let record = Record::read(policy, controller, address, consulted, now);
    let events: Vec<&RecordedEvent> = record.own().collect();
    let signed_up = |recorded: &&&RecordedEvent| recorded.event.kind.is_opt_in() && record::by_the_person(recorded);
    let last = events.iter().rfind(|recorded| is_wrong_address(recorded) || signed_up(recorded));
    if let Some(said) = last.filter(|recorded| is_wrong_address(recorded)) {
        return Some((Fault::WrongAddress, said.at));
    }
    let bounced = bounce::dead(&record)?.events;
    let event = bounced.first().and_then(|seq| record.event(*seq))?;
    Some((Fault::Bounced, event.at))
}

fn is_wrong_address(recorded: &RecordedEvent) -> bool {
    let mark = recorded.event.evidence.as_ref().and_then(|evidence| evidence.get(WRONG_ADDRESS));
    recorded.event.kind == EventType::Object && mark.and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::parse_policy;
    use crate::consent::event::{Actor, ConsentEvent};
    use crate::consent::state::ContactState;

    fn event(kind: EventType, at: &str, evidence: Value) -> ConsentEvent {
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        ConsentEvent {
            at: Some(format!("{at}T10:00:00Z").parse().unwrap()),
            actor: Some(Actor::Person),
            hard: (kind == EventType::Bounce).then_some(true),
            evidence: Some(evidence),
            ..ConsentEvent::new(anna, "shop", kind)
        }
    }

    #[test]
    fn an_address_is_to_be_corrected_until_its_owner_shows_that_it_is_theirs() {
        use EventType::{Bounce, Contact, Object, OptIn};
        let wrong = |at| event(Object, at, json!({ "wrong_address": true }));
        let plain = |kind, at| event(kind, at, json!({}));
        let by_import = |event| ConsentEvent { actor: Some(Actor::Import), ..event };
        let table = [
            (vec![], None),
            (vec![plain(Object, "2026-01-01")], None),
            (vec![wrong("2026-01-01")], Some((Fault::WrongAddress, "2026-01-01"))),
            (vec![plain(Bounce, "2026-01-01")], Some((Fault::Bounced, "2026-01-01"))),
            (vec![plain(Bounce, "2026-01-01"), wrong("2026-02-01")], Some((Fault::WrongAddress, "2026-02-01"))),
            (vec![wrong("2026-01-01"), plain(OptIn, "2026-02-01")], None),
            (
                vec![wrong("2026-01-01"), by_import(plain(OptIn, "2026-02-01"))],
                Some((Fault::WrongAddress, "2026-01-01")),
            ),
            (vec![wrong("2026-01-01"), plain(Contact, "2026-02-01")], Some((Fault::WrongAddress, "2026-01-01"))),
            (vec![plain(Bounce, "2026-01-01"), plain(OptIn, "2026-02-01")], None),
            (vec![event(Object, "2026-01-01", json!({ "wrong_address": "true" }))], None),
        ];
        let policy = "[controller.shop]\nname = \"S\"\ndomains = [\"s.example\"]\ncontact = \"a@s.example\"\n\
                      privacy_url = \"https://s.example/\"\n";
        let policy = parse_policy("policy.toml", policy, &[]).unwrap();
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let now = "2026-05-15T10:00:00Z".parse().unwrap();
        for (events, expected) in table {
            let told = format!("{events:?}");
            let numbered =
                events.into_iter().zip(1..).map(|(event, seq)| RecordedEvent::new(seq, event, now)).collect();
            let exact = Some(ContactState::fold(anna.clone(), numbered));
            let found = fault(&policy, "shop", &anna, &Consulted { exact, ..Consulted::default() }, now);
            let expected = expected.map(|(fault, day)| (fault, format!("{day}T10:00:00Z").parse().unwrap()));
            assert_eq!(found, expected, "{told}");
        }
    }
}
