//! The page of a proof, for people: what happened and on what grounds.

use askama::Template;

use super::Gathering;
use crate::cli::moment::shown;
use crate::consent::event::RecordedEvent;
use crate::message::language::Language;
use crate::policy::bundle::Wording;
use crate::smtp::address::EmailAddress;
use crate::store::{DecisionRow, Story};

#[derive(Template)]
#[template(path = "proof.html")]
struct Page<'a> {
    title: String,
    /// Name and value.
    message: Vec<(&'static str, String)>,
    decisions: Vec<Vec<(&'static str, String)>>,
    events: Vec<Told>,
    texts: Vec<&'a Wording>,
    checkpoint: &'a str,
}

/// An event in a line, and as it was recorded.
struct Told {
    line: String,
    recorded: String,
}

pub fn of_message(story: &Story, found: &Gathering) -> String {
    let message = &story.message;
    let rows = vec![
        ("message", message.reference.clone()),
        ("decided", shown(message.at)),
        ("class", format!("{} by rule {}", message.class, message.class_rule)),
        ("on behalf of", message.controller.clone().unwrap_or_default()),
        ("about", message.topics.join(", ")),
        ("policy", message.policy.clone()),
        ("mode", message.mode.clone()),
    ];
    let decisions = story.decisions.iter().map(decision).collect();
    render(format!("Message {}", message.reference), rows, decisions, found)
}

fn decision(decision: &DecisionRow) -> Vec<(&'static str, String)> {
    let outcome = decision.outcome.as_ref().map_or_else(
        || "unknown, or there was nothing to deliver".to_owned(),
        |outcome| format!("{} {}", outcome.result, outcome.code.map_or_else(String::new, |code| code.to_string())),
    );
    vec![
        ("recipient", decision.recipient.clone()),
        ("decision", format!("{} ({})", decision.decision, decision.reason)),
        ("because", decision.because.say(Language::English)),
        ("motif", decision.because.say(Language::French)),
        ("last day", decision.last_day.clone().unwrap_or_else(|| "-".to_owned())),
        ("what became of it", outcome),
    ]
}

pub fn of_contact(address: &EmailAddress, found: &Gathering) -> String {
    render(format!("What was recorded of {}", address.as_str()), Vec::new(), Vec::new(), found)
}

fn render(
    title: String,
    message: Vec<(&'static str, String)>,
    decisions: Vec<Vec<(&'static str, String)>>,
    found: &Gathering,
) -> String {
    let events = found.events.iter().map(told).collect();
    let texts = found.texts.values().collect();
    let page = Page { title, message, decisions, events, texts, checkpoint: &found.checkpoint.note };
    // Writing into a String fails only when a Display does, and those of texts and numbers do not.
    page.render().unwrap_or_default()
}

fn told(recorded: &RecordedEvent) -> Told {
    let event = &recorded.event;
    let topics = event.topics.as_deref().unwrap_or_default().join(", ");
    let line = format!("event {}: {} {topics} on {}", recorded.seq, event.kind, shown(recorded.at));
    Told { line, recorded: event.to_canonical_json() }
}
