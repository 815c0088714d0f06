//! Everything that is known, for programs: one JSON document, complete, under names that stay.

use serde_json::{Value, json};

use super::person::{Held, Person, Relative};
use crate::consent::event::RecordedEvent;
use crate::policy::rules::{Policy, Topic};
use crate::policy::verdict::Verdict;
use crate::store::{DecisionRow, KeptText, MessageRow};

/// What the document calls itself.
const FORMAT: &str = "consentry-contact-1";

pub fn document(person: &Person, policy: &Policy) -> Value {
    json!({
        "format": FORMAT,
        "address": person.contact.as_ref().map_or(&person.address, |contact| &contact.address),
        "exported_at": person.at,
        "policy": policy.hash,
        "controllers": person.held.iter().map(|held| controller(held, policy)).collect::<Vec<_>>(),
        "relatives": person.relatives.iter().map(relative).collect::<Vec<_>>(),
        "texts": person.texts.iter().map(text).collect::<Vec<_>>(),
        "missing_texts": person.missing_texts,
        "decisions": person.decisions.iter().map(decision).collect::<Vec<_>>(),
        "handed_over": person.handovers,
    })
}

fn controller(held: &Held, policy: &Policy) -> Value {
    let known = policy.controllers.get(&held.controller);
    json!({
        "controller": held.controller,
        "name": known.map(|known| &known.name),
        "contact": known.map(|known| &known.contact),
        "privacy_url": known.map(|known| &known.privacy_url),
        "suppressed": held.suppressed,
        "mail_now": held.mail_now.iter().map(mail_now).collect::<Vec<_>>(),
        "events": held.events.iter().map(event).collect::<Vec<_>>(),
    })
}

fn mail_now((topic, verdict): &(Topic, Verdict)) -> Value {
    json!({
        "topic": topic.path,
        "label": topic.label,
        "decision": verdict.decision,
        "reason": verdict.reason,
        "because": verdict.because.to_string(),
        "events": verdict.events,
        "last_day": verdict.last_day.map(|day| day.to_string()),
    })
}

/// As it came in, with its number and the moment it counts from.
fn event(recorded: &RecordedEvent) -> Value {
    let mut told = serde_json::to_value(&recorded.event).unwrap_or_default();
    told["seq"] = recorded.seq.into();
    told["effective_at"] = recorded.at.to_string().into();
    told
}

fn relative(relative: &Relative) -> Value {
    json!({"address": relative.address, "objections": relative.objections.iter().map(event).collect::<Vec<_>>()})
}

fn text(text: &KeptText) -> Value {
    let KeptText { version, language, body, sha256, added_at } = text;
    json!({"version": version, "language": language, "sha256": sha256, "added_at": added_at, "body": body})
}

/// What concerns the recipient; which listener and which machine the message came in by does not.
fn decision((message, decision): &(MessageRow, DecisionRow)) -> Value {
    json!({
        "at": message.at,
        "ref": message.reference,
        "message_id": message.message_id,
        "envelope_from": message.envelope_from,
        "class": message.class,
        "class_evidence": message.class_evidence,
        "controller": message.controller,
        "topics": message.topics,
        "families": message.families,
        "policy": message.policy,
        "mode": message.mode,
        "recipient": decision.recipient,
        "decision": decision.decision,
        "reason": decision.reason,
        "basis": decision.basis,
        "secondary": decision.secondary,
        "because": decision.because.to_string(),
        "events": decision.events,
        "last_day": decision.last_day,
        "reply": decision.reply,
        "outcome": decision.outcome,
    })
}
