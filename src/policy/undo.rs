//! An objection that came through a forwarded message, and that the person took back.
//!
//! It is taken away, and nothing is put in its place: what the person had agreed to before counts again, and what they
//! had not is not opened. Only the person's own newer act does that (R62), by the link that was mailed to the address.

use serde_json::Value;

use super::record;
use crate::consent::event::{EventType, RecordedEvent};
use crate::consent::state::ContactState;

/// The name in the evidence under which the act names the objection, by the objection's own id.
pub const UNDOES: &str = "undoes";
/// The way such an act comes.
pub const MECHANISM: &str = "link_page";

/// The numbers of a contact's objections that were taken back.
pub fn undone(state: &ContactState) -> impl Iterator<Item = i64> + '_ {
    let acts = state.events.iter().filter(|recorded| recorded.event.kind == EventType::Undo);
    acts.filter_map(|act| state.events.iter().find(|objection| takes_back(act, objection))).map(|said| said.seq)
}

/// A complaint, a refusal and a withdrawal were said in other ways, so no forwarded message explains them.
fn takes_back(act: &RecordedEvent, objection: &RecordedEvent) -> bool {
    let (said, undone) = (&act.event, &objection.event);
    let names = said.evidence.as_ref().and_then(|evidence| evidence.get(UNDOES)).and_then(Value::as_str);
    undone.kind == EventType::Object
        && names.is_some()
        && names == undone.id.as_deref()
        && said.controller == undone.controller
        && said.channel == undone.channel
        && record::by_the_person(act)
        && said.mechanism.as_deref() == Some(MECHANISM)
        && act.seq > objection.seq
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::parse_policy;
    use crate::consent::event::{Actor, ConsentEvent};
    use crate::consent::state::Consulted;
    use crate::policy::concern::concern;
    use crate::smtp::address::EmailAddress;

    const POLICY: &str = "[controller.shop]\nname = \"S\"\ndomains = [\"s.example\"]\ncontact = \"a@s.example\"\n\
        privacy_url = \"https://s.example/\"\n[topic.offers]\ncontroller = \"shop\"\n[topic.club]\n\
        controller = \"shop\"\nown_consent = true\n";

    fn event(kind: EventType, topics: &[&str]) -> ConsentEvent {
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        ConsentEvent {
            at: Some("2026-03-01T10:00:00Z".parse().unwrap()),
            actor: Some(Actor::Person),
            topics: (!topics.is_empty()).then(|| topics.iter().map(|topic| (*topic).to_owned()).collect()),
            mechanism: Some("link_page".into()),
            source: Some("web:form".into()),
            text_version: kind.is_opt_in().then(|| "t1".into()),
            ..ConsentEvent::new(anna, "shop", kind)
        }
    }

    fn object(id: &str, topics: &[&str]) -> ConsentEvent {
        ConsentEvent { id: Some(id.into()), ..event(EventType::Object, topics) }
    }

    fn undo(id: &str) -> ConsentEvent {
        ConsentEvent { evidence: Some(json!({ "undoes": id })), ..event(EventType::Undo, &[]) }
    }

    /// What is shown as left, and whether everything is.
    fn left(events: Vec<ConsentEvent>) -> (Vec<(String, bool)>, bool) {
        let policy = parse_policy("policy.toml", POLICY, &[]).unwrap();
        let anna = EmailAddress::parse("anna@x.example").unwrap();
        let now = "2026-05-15T10:00:00Z".parse().unwrap();
        let numbered = events.into_iter().zip(1..).map(|(event, seq)| RecordedEvent::new(seq, event, now)).collect();
        let exact = Some(ContactState::fold(anna.clone(), numbered));
        let found = concern(&policy, "shop", &anna, &Consulted { exact, ..Consulted::default() }, now);
        (found.topics, found.left)
    }

    #[test]
    fn what_the_objection_took_comes_back_and_nothing_else() {
        let opt_in = || event(EventType::OptIn, &["offers"]);
        let back = (vec![("offers".to_owned(), false)], false);
        let gone = (vec![("offers".to_owned(), true)], false);
        assert_eq!(left(vec![opt_in(), object("a", &["offers"])]), gone);
        assert_eq!(left(vec![opt_in(), object("a", &["offers"]), undo("a")]), back);
        assert_eq!(left(vec![opt_in(), object("a", &[]), undo("a")]), back, "of everything only what there was");
        assert_eq!(left(vec![object("a", &[]), undo("a")]), (vec![], false), "nothing that was never agreed to");
        assert_eq!(left(vec![opt_in(), object("a", &["offers"]), undo("a"), undo("a")]), back);
        assert_eq!(left(vec![opt_in(), object("a", &["offers"]), undo("a"), object("b", &["offers"])]), gone);
    }

    #[test]
    fn only_the_persons_own_act_by_the_mailed_link_takes_that_objection_back() {
        let by = |actor| ConsentEvent { actor, ..undo("a") };
        let acts = [
            ("another", undo("b")),
            ("none", ConsentEvent { evidence: None, ..undo("a") }),
            ("an operator", by(Some(Actor::Operator))),
            ("an import", by(Some(Actor::Import))),
            ("nobody", by(None)),
            ("one click", ConsentEvent { mechanism: Some("one_click".into()), ..undo("a") }),
            ("no mechanism", ConsentEvent { mechanism: None, ..undo("a") }),
            ("another controller", ConsentEvent { controller: "other".into(), ..undo("a") }),
            ("another channel", ConsentEvent { channel: "sms".into(), ..undo("a") }),
        ];
        let gone = (vec![("offers".to_owned(), true)], false);
        for (what, act) in acts {
            let opt_in = event(EventType::OptIn, &["offers"]);
            assert_eq!(left(vec![opt_in, object("a", &["offers"]), act]), gone, "{what}");
        }
        let early = vec![undo("a"), event(EventType::OptIn, &["offers"]), object("a", &["offers"])];
        assert_eq!(left(early), gone, "before it");
        for kind in [EventType::Refuse, EventType::Withdraw, EventType::Complaint] {
            let no = ConsentEvent { kind, ..object("a", &["offers"]) };
            let (topics, left) = left(vec![event(EventType::OptIn, &["offers"]), no, undo("a")]);
            assert!(left || topics == gone.0, "{kind}: {topics:?}");
        }
    }
}
