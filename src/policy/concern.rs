//! What a person could leave: the topics of a controller that concern them.

use jiff::Timestamp;

use super::objection;
use super::record::Record;
use super::rules::{Policy, Topic};
use crate::consent::event::{EventType, RecordedEvent};
use crate::consent::scope;
use crate::consent::state::Consulted;
use crate::smtp::address::EmailAddress;

/// What one controller may be writing to a person about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    pub controller: String,
    /// Topic paths of the policy, and whether the person has left each already.
    pub topics: Vec<(String, bool)>,
    /// Whether the person has left the controller as a whole.
    pub left: bool,
}

/// The topics that anything recorded of the person names, above or below; all of them for somebody known otherwise, as
/// a customer is; none for a stranger.
pub fn concern(
    policy: &Policy,
    controller: &str,
    person: &EmailAddress,
    consulted: &Consulted,
    now: Timestamp,
) -> Concern {
    let record = Record::read(policy, controller, person, consulted, now);
    let concerning: Vec<&RecordedEvent> = record.events().filter(|known| speaks_of(known, controller)).collect();
    let named: Vec<String> = concerning.iter().flat_map(|known| record.topics_of(known)).collect();
    let known_otherwise = concerning.iter().any(|known| gives_a_ground_without_topics(known));
    let is_concerned = |topic: &Topic| {
        let touches = |name: &String| scope::reaches(name, &topic.path) || scope::reaches(&topic.path, name);
        topic.controller == controller && (known_otherwise || named.iter().any(touches))
    };
    let has_left = |topic: &str| objection::standing(&record, &[topic.to_owned()]).is_some();
    let topics = policy.topics.values().filter(|topic| is_concerned(topic));
    let topics = topics.map(|topic| (topic.path.clone(), has_left(&topic.path))).collect();
    let left = record.objections().iter().any(|objection| objection.topic.is_none()) && {
        let mut own = policy.topics.values().filter(|topic| topic.controller == controller);
        own.all(|topic| has_left(&topic.path))
    };
    Concern { controller: controller.to_owned(), topics, left }
}

fn speaks_of(known: &RecordedEvent, controller: &str) -> bool {
    known.event.controller == controller || known.event.partners.iter().flatten().any(|named| named == controller)
}

fn gives_a_ground_without_topics(known: &RecordedEvent) -> bool {
    matches!(
        known.event.kind,
        EventType::Collected | EventType::Profile | EventType::Purchase | EventType::RelationEnd | EventType::Contact
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_policy;
    use crate::consent::event::{Actor, ConsentEvent};
    use crate::consent::state::ContactState;

    const POLICY: &str = r#"
[controller.shop]
name = "Shop"
domains = ["shop.example"]
privacy_url = "https://shop.example/"
contact = "dpo@shop.example"
[controller.other]
name = "Other"
domains = ["other.example"]
privacy_url = "https://other.example/"
contact = "dpo@other.example"
[topic."offers/books"]
controller = "shop"
aliases = ["offers/paper"]
[topic."offers/music"]
controller = "shop"
[topic.club]
controller = "shop"
[topic.trips]
controller = "other"
"#;

    fn event(kind: EventType, at: &str, topics: &[&str]) -> ConsentEvent {
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let named: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        ConsentEvent {
            at: Some(format!("{at}T10:00:00Z").parse().unwrap()),
            topics: (!named.is_empty()).then_some(named),
            actor: Some(Actor::Person),
            mechanism: Some("unticked_box_ticked".into()),
            source: Some("web:form".into()),
            text_version: kind.is_opt_in().then(|| "t1".into()),
            ..ConsentEvent::new(anna, "shop", kind)
        }
    }

    fn concern_of(events: Vec<ConsentEvent>) -> (Vec<(String, bool)>, bool) {
        let policy = parse_policy("policy.toml", POLICY, &[]).unwrap();
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let now = "2026-05-15T10:00:00Z".parse().unwrap();
        let numbered = events.into_iter().zip(1..).map(|(event, seq)| RecordedEvent::new(seq, event, now)).collect();
        let state = ContactState::fold(anna.clone(), numbered);
        let exact = (!state.events.is_empty()).then_some(state);
        let found = concern(&policy, "shop", &anna, &Consulted { exact, ..Consulted::default() }, now);
        assert_eq!(found.controller, "shop");
        (found.topics, found.left)
    }

    fn topics(list: &[(&str, bool)]) -> Vec<(String, bool)> {
        list.iter().map(|(path, left)| ((*path).to_owned(), *left)).collect()
    }

    #[test]
    fn a_person_is_concerned_by_what_was_recorded_of_them() {
        use EventType::{Object, OptIn, Purchase};
        let table = [
            (vec![], topics(&[]), false),
            (vec![event(OptIn, "2026-01-01", &["offers/books"])], topics(&[("offers/books", false)]), false),
            (vec![event(OptIn, "2026-01-01", &["offers/paper"])], topics(&[("offers/books", false)]), false),
            (
                vec![event(OptIn, "2026-01-01", &["offers"])],
                topics(&[("offers/books", false), ("offers/music", false)]),
                false,
            ),
            (
                vec![event(OptIn, "2026-01-01", &["offers"]), event(Object, "2026-02-01", &["offers/books"])],
                topics(&[("offers/books", true), ("offers/music", false)]),
                false,
            ),
            (
                vec![event(Purchase, "2026-01-01", &[])],
                topics(&[("club", false), ("offers/books", false), ("offers/music", false)]),
                false,
            ),
            (vec![event(Object, "2026-02-01", &[])], topics(&[]), true),
            (
                vec![event(Object, "2026-02-01", &[]), event(OptIn, "2026-03-01", &["club"])],
                topics(&[("club", false)]),
                false,
            ),
        ];
        for (events, expected, left) in table {
            let told = format!("{events:?}");
            assert_eq!(concern_of(events), (expected, left), "{told}");
        }
    }

    #[test]
    fn a_consent_given_to_a_partner_that_names_us_concerns_us() {
        let given = ConsentEvent {
            controller: "other".into(),
            partners: Some(vec!["shop".into()]),
            ..event(EventType::OptIn, "2026-01-01", &["offers/books"])
        };
        assert_eq!(concern_of(vec![given]).0, topics(&[("offers/books", false)]));
    }
}
