//! Everything that is known, for people: one page that needs nothing from elsewhere.

use std::fmt;

use askama::Template;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::person::{Held, Person};
use super::words;
use crate::consent::event::RecordedEvent;
use crate::message::language::Language;
use crate::policy::rules::Policy;
use crate::store::{DecisionRow, MessageRow};

const STYLE: &str = include_str!("../../templates/contact_export.css");

/// Fields that have a place of their own on the page.
const TOLD: [&str; 9] =
    ["address", "controller", "type", "at", "recorded_at", "topics", "actor", "source", "text_version"];

#[derive(Template)]
#[template(path = "contact_export.html")]
struct Page {
    french: bool,
    style: &'static str,
    address: String,
    at: String,
    senders: Vec<Sender>,
    relatives: Vec<(String, Vec<Said>)>,
    texts: Vec<Wording>,
    missing_texts: Vec<String>,
    messages: Vec<Message>,
    handovers: Vec<Given>,
}

struct Sender {
    name: String,
    contact: Option<String>,
    privacy_url: Option<String>,
    suppressed: Option<String>,
    mail_now: Vec<Standing>,
    events: Vec<Said>,
}

/// What mail on a topic would meet.
struct Standing {
    topic: String,
    allowed: bool,
    because: String,
    last_day: Option<String>,
}

/// An event.
struct Said {
    number: i64,
    at: String,
    what: &'static str,
    topics: String,
    who: &'static str,
    source: String,
    version: Option<String>,
    further: Vec<(String, String)>,
}

struct Wording {
    version: String,
    language: String,
    added: String,
    sha256: String,
    body: String,
}

struct Message {
    at: String,
    reference: String,
    what: &'static str,
    topics: String,
    decision: &'static str,
    because: String,
    outcome: String,
}

/// A list that the address stood on.
struct Given {
    at: String,
    to: String,
    by: String,
}

/// The page could not be written; a fault of ours.
#[derive(Debug)]
pub struct PageError(askama::Error);

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the page could not be written ({}); the JSON document holds the same", self.0)
    }
}

impl std::error::Error for PageError {}

/// The page in one language.
pub fn page(person: &Person, policy: &Policy, language: Language) -> Result<String, PageError> {
    let writer = Writer { policy, zone: &policy.time_zone, language };
    let address = person.contact.as_ref().map_or(&person.address, |contact| &contact.address);
    let page = Page {
        french: language == Language::French,
        style: STYLE,
        address: address.to_string(),
        at: writer.moment(person.at),
        senders: person.held.iter().filter(|held| is_told(held)).map(|held| writer.sender(held)).collect(),
        relatives: person
            .relatives
            .iter()
            .map(|one| (one.address.to_string(), one.objections.iter().map(|said| writer.said(said)).collect()))
            .collect(),
        texts: person
            .texts
            .iter()
            .map(|text| Wording {
                version: text.version.clone(),
                language: text.language.clone(),
                added: writer.moment(text.added_at),
                sha256: text.sha256.clone(),
                body: text.body.clone(),
            })
            .collect(),
        missing_texts: person.missing_texts.clone(),
        messages: person.decisions.iter().map(|decided| writer.message(decided)).collect(),
        handovers: person
            .handovers
            .iter()
            .map(|given| Given { at: writer.moment(given.at), to: given.to.to_string(), by: given.by.clone() })
            .collect(),
    };
    page.render().map_err(PageError)
}

/// A controller that holds nothing has nothing to tell.
fn is_told(held: &Held) -> bool {
    !held.events.is_empty() || held.suppressed.is_some()
}

struct Writer<'a> {
    policy: &'a Policy,
    zone: &'a TimeZone,
    language: Language,
}

impl Writer<'_> {
    fn moment(&self, at: jiff::Timestamp) -> String {
        words::moment(at, self.zone)
    }

    fn sender(&self, held: &Held) -> Sender {
        let known = self.policy.controllers.get(&held.controller);
        let everything = || words::say(self.language, "everything", "tout").to_owned();
        let suppressed = held.suppressed.as_ref().map(|mark| {
            let topics = if mark.topics.is_empty() { everything() } else { self.labels(&mark.topics) };
            format!("{topics}, {}", self.moment(mark.at))
        });
        Sender {
            name: known.map_or_else(|| held.controller.clone(), |known| known.name.clone()),
            contact: known.map(|known| known.contact.clone()),
            privacy_url: known.map(|known| known.privacy_url.clone()),
            suppressed,
            mail_now: held
                .mail_now
                .iter()
                .map(|(topic, verdict)| Standing {
                    topic: self.labels(std::slice::from_ref(&topic.path)),
                    allowed: verdict.decision.as_str() == "allow",
                    because: verdict.because.say(self.language),
                    last_day: verdict.last_day.map(|day| day.to_string()),
                })
                .collect(),
            events: held.events.iter().map(|said| self.said(said)).collect(),
        }
    }

    /// What people call these topics, in the language of the page where there is a name in it.
    fn labels(&self, topics: &[String]) -> String {
        let label = |path: &String| {
            let topic = self.policy.topic(path)?;
            Some(topic.label.get(self.language.tag()).map_or_else(|| self.policy.label_of(topic), String::as_str))
        };
        topics.iter().map(|path| label(path).unwrap_or(path)).collect::<Vec<_>>().join(", ")
    }

    fn said(&self, recorded: &RecordedEvent) -> Said {
        let event = &recorded.event;
        let everything = words::say(self.language, "everything", "tout");
        let topics = match event.topics.as_deref() {
            Some(topics) if !topics.iter().any(|topic| topic == "*") => self.labels(topics),
            Some(_) => everything.into(),
            None if event.kind.is_objection() => everything.into(),
            None => String::new(),
        };
        Said {
            number: recorded.seq,
            at: self.moment(event.at.unwrap_or(recorded.at)),
            what: words::kind(event.kind, self.language),
            topics,
            who: words::actor(event.actor, self.language),
            source: event.source.clone().unwrap_or_default(),
            version: event.text_version.clone(),
            further: further(recorded),
        }
    }

    fn message(&self, (message, decision): &(MessageRow, DecisionRow)) -> Message {
        let outcome = decision.outcome.as_ref();
        let told = |code: Option<u16>| code.map(|code| format!(" {code}")).unwrap_or_default();
        Message {
            at: self.moment(message.at),
            reference: message.reference.clone(),
            what: words::class(&message.class, self.language),
            topics: self.labels(&message.topics),
            decision: words::decision(&decision.decision, self.language),
            because: decision.because.say(self.language),
            outcome: outcome.map_or_else(String::new, |outcome| format!("{}{}", outcome.result, told(outcome.code))),
        }
    }
}

fn further(recorded: &RecordedEvent) -> Vec<(String, String)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(&recorded.event) else { return Vec::new() };
    let shown = |(name, _): &(String, Value)| !TOLD.contains(&name.as_str());
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    fields.into_iter().filter(shown).map(|(name, value)| (name, text(value))).collect()
}
