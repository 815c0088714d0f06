//! The fields an event may have: which type has which, and what may stand in them.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{ConsentEvent, EventError, EventType};
use crate::consent::limit::Limit;
use crate::smtp::address::EmailAddress;

pub const LONGEST_LINE: usize = 64 * 1024;
const LONGEST_TEXT: usize = 1000;
const LONGEST_LIST: usize = 200;

/// What may stand in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Address,
    Controller,
    Type,
    /// Free text without control characters.
    Text,
    Moment,
    Flag,
    Names,
    /// Topic paths; `*` is everything.
    Topics,
    OneOf(&'static [&'static str]),
    /// None of them may be what is meant.
    SomeOf(&'static [&'static str]),
    Limit,
    Object,
}

/// One field: its name, what may stand in it, and the types that have it (empty: all).
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub kinds: &'static [EventType],
    /// Without it the event would say nothing.
    pub required: bool,
}

const ACTORS: &[&str] = &["person", "delegate", "operator", "import"];
const CHANNELS: &[&str] = &["email", "sms", "phone", "push", "post", "*"];
const MECHANISMS: &[&str] = &[
    "unticked_box_ticked",
    "forced_choice_yes",
    "forced_choice_no",
    "written",
    "tablet_by_person",
    "oral_delegated",
    "double_opt_in",
    "preference_centre",
    "one_click",
    "mailto",
    "link_page",
    "reply",
    "complaint",
    "preticked_box",
    "terms_acceptance",
    "bundled",
    "conditioned",
    "silence",
    "import_without_proof",
];
const PROVENANCES: &[&str] = &[
    "direct_form",
    "sale",
    "account",
    "in_store",
    "phone",
    "event",
    "inbound_reply",
    "support",
    "recruitment",
    "partner",
    "bought",
    "rented",
    "exchanged",
    "harvested",
    "import_unproven",
];

use EventType as T;
const OPT_INS: &[T] = &[T::OptIn, T::OptInPending, T::OptInConfirmed];
const SAID: &[T] = &[T::OptIn, T::OptInPending, T::OptInConfirmed, T::Refuse, T::Withdraw, T::Object, T::Undo];
/// What is said in answer to a wording.
const SHOWN: &[T] = &[
    T::Collected,
    T::OptIn,
    T::OptInPending,
    T::OptInConfirmed,
    T::NoAnswer,
    T::Refuse,
    T::Withdraw,
    T::Object,
    T::Frequency,
    T::Pause,
    T::ChannelPreference,
];
const WITH_TOPICS: &[T] = &[T::NoAnswer, T::Refuse, T::Withdraw, T::Object, T::Complaint, T::Frequency];

const fn common(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, kinds: &[], required: false }
}

const fn of(kinds: &'static [EventType], name: &'static str, shape: Shape) -> Field {
    Field { name, shape, kinds, required: false }
}

const fn needed(field: Field) -> Field {
    Field { required: true, ..field }
}

/// Every field of every type, as the interface page lists them.
pub const FIELDS: &[Field] = &[
    needed(common("address", Shape::Address)),
    needed(common("controller", Shape::Controller)),
    needed(common("type", Shape::Type)),
    common("at", Shape::Moment),
    common("recorded_at", Shape::Moment),
    common("actor", Shape::OneOf(ACTORS)),
    common("source", Shape::Text),
    common("channel", Shape::OneOf(CHANNELS)),
    common("note", Shape::Text),
    common("evidence", Shape::Object),
    common("id", Shape::Text),
    needed(of(OPT_INS, "topics", Shape::Topics)),
    of(WITH_TOPICS, "topics", Shape::Topics),
    of(SAID, "mechanism", Shape::OneOf(MECHANISMS)),
    of(SHOWN, "text_version", Shape::Text),
    of(OPT_INS, "partners", Shape::Names),
    of(&[T::Collected], "provenance", Shape::OneOf(PROVENANCES)),
    of(&[T::Collected], "informed_at", Shape::Moment),
    of(&[T::Collected], "refusal_offered", Shape::Flag),
    of(&[T::Collected], "purpose", Shape::Text),
    of(&[T::Collected, T::Purchase], "families", Shape::Names),
    needed(of(&[T::Profile], "kind", Shape::OneOf(&["consumer", "professional", "generic"]))),
    needed(of(&[T::Contact], "kind", Shape::OneOf(&["reply", "call", "login", "click", "open", "preference"]))),
    of(&[T::Profile], "functions", Shape::Names),
    needed(of(&[T::Purchase], "state", Shape::OneOf(&["paid", "quote", "cancelled", "refunded"]))),
    of(&[T::Purchase], "collected_in_sale", Shape::Flag),
    of(&[T::RelationEnd], "what", Shape::OneOf(&["warranty", "contract", "delivery"])),
    of(&[T::Contact], "automatic", Shape::Flag),
    needed(of(&[T::Frequency], "limit", Shape::Limit)),
    needed(of(&[T::Pause], "until", Shape::Moment)),
    needed(of(&[T::ChannelPreference], "channels", Shape::SomeOf(CHANNELS))),
    of(&[T::Bounce], "code", Shape::Text),
    of(&[T::Bounce], "hard", Shape::Flag),
];

impl Field {
    /// The field of this name in an event of this type.
    pub fn find(name: &str, kind: EventType) -> Option<&'static Field> {
        FIELDS.iter().find(|field| field.name == name && field.belongs_to(kind))
    }

    fn belongs_to(&self, kind: EventType) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

pub fn read(line: &str) -> Result<ConsentEvent, EventError> {
    if line.len() > LONGEST_LINE {
        return Err(EventError::TooLong { bytes: line.len() });
    }
    read_object(parse_object(line)?)
}

/// Holds an object to the table and turns it into an event.
pub fn read_object(object: Map<String, Value>) -> Result<ConsentEvent, EventError> {
    let kind = kind_of(&object)?;
    for (name, value) in &object {
        let field = Field::find(name, kind).ok_or_else(|| misplaced(name, kind))?;
        field.shape.check(value).map_err(|cure| EventError::Value { field: field.name, cure })?;
    }
    if let Some(field) = FIELDS.iter().find(|f| f.required && f.belongs_to(kind) && !object.contains_key(f.name)) {
        return Err(EventError::Missing { field: field.name, cure: field.shape.cure() });
    }
    if object.get("channel").is_some_and(|channel| channel == "*") && !kind.is_objection() {
        let cure = "only an objection may be about all channels (`*`)".into();
        return Err(EventError::Value { field: "channel", cure });
    }
    // Everything was checked above; what is left is a mismatch between the table and the struct, which a test excludes.
    serde_json::from_value(Value::Object(object)).map_err(|e| EventError::NotJson(e.to_string()))
}

/// The names of all fields an event of this type may have.
pub fn of_kind(kind: EventType) -> Vec<&'static str> {
    FIELDS.iter().filter(|field| field.belongs_to(kind)).map(|field| field.name).collect()
}

pub fn kind_of(object: &Map<String, Value>) -> Result<EventType, EventError> {
    let wrong = || EventError::Value { field: "type", cure: Shape::Type.cure() };
    let value = object.get("type").ok_or_else(|| EventError::Missing { field: "type", cure: Shape::Type.cure() })?;
    value.as_str().and_then(EventType::parse).ok_or_else(wrong)
}

fn misplaced(name: &str, kind: EventType) -> EventError {
    let elsewhere: Vec<&Field> = FIELDS.iter().filter(|field| field.name == name).collect();
    let Some(first) = elsewhere.first() else {
        return EventError::Unknown { field: shown(name), nearest: nearest(name), kind };
    };
    let kinds: Vec<&str> = elsewhere.iter().flat_map(|field| field.kinds).map(|kind| kind.as_str()).collect();
    EventError::WrongType { field: first.name, kind, belongs_to: kinds.join(", ") }
}

/// A field name that was probably meant: the same but for case and separators, or one letter off.
pub fn nearest(name: &str) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(name);
    let close = |known: &str| {
        let known = plain(known);
        known == wanted || (wanted.len() > 3 && (known.starts_with(&wanted) || wanted.starts_with(&known)))
    };
    FIELDS.iter().map(|field| field.name).find(|known| close(known))
}

/// Foreign text, short and without control characters.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

impl Shape {
    /// What would be right here.
    pub fn cure(self) -> String {
        let choice = |names: &[&str]| names.join(", ");
        match self {
            Self::Address => "write one address like anna@example.org".into(),
            Self::Controller => "write the id a controller has in the policy".into(),
            Self::Type => format!("write one of {}", choice(&EventType::ALL.map(EventType::as_str))),
            Self::Text => format!("write text in quotes, 1 to {LONGEST_TEXT} bytes, without control characters"),
            Self::Moment => "write a time with its offset like 2026-05-15T10:00:00+02:00".into(),
            Self::Flag => "write true or false".into(),
            Self::Names => format!("write a list like [\"book\"], 1 to {LONGEST_LIST} names"),
            Self::Topics => "write a list of topic paths like [\"offers/books\"]; leave the field out for everything, where the type allows it".into(),
            Self::OneOf(names) => format!("write one of {}", choice(names)),
            Self::SomeOf(names) => format!("write a list of some of {}; an empty one is none of them", choice(names)),
            Self::Limit => "write none, weekly, monthly, or a number (1 or more) like 2/day, 2/week, 2/month".into(),
            Self::Object => "write an object like {\"scan\": \"2026-118\"}".into(),
        }
    }

    /// `Err` names what is wrong and what would be right.
    fn check(self, value: &Value) -> Result<(), String> {
        let right = match self {
            Self::Address => return check_address(value),
            Self::Controller => value.as_str().is_some_and(is_name),
            Self::Type => value.as_str().and_then(EventType::parse).is_some(),
            Self::Text => value.as_str().is_some_and(is_text),
            Self::Moment => value.as_str().is_some_and(is_moment),
            Self::Flag => value.is_boolean(),
            Self::Names => is_list(value, is_name),
            Self::Topics => is_list(value, is_topic),
            Self::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
            Self::SomeOf(names) => {
                value.as_array().is_some_and(Vec::is_empty) || is_list(value, |text| names.contains(&text))
            }
            Self::Limit => value.as_str().and_then(Limit::parse).is_some(),
            Self::Object => value.is_object(),
        };
        if right { Ok(()) } else { Err(format!("{} is not right here; {}", what(value), self.cure())) }
    }
}

/// The address itself is not repeated: the message may end in a log.
fn check_address(value: &Value) -> Result<(), String> {
    let text = value.as_str().ok_or_else(|| format!("{} is no address; {}", what(value), Shape::Address.cure()))?;
    EmailAddress::parse(text).map(drop).map_err(|e| format!("not a valid address ({e}); {}", Shape::Address.cure()))
}

fn what(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", shown(text)),
        Value::Null => "null".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) if items.is_empty() => "an empty list".into(),
        Value::Array(items) => format!("a list with {}", what(&items[0])),
        Value::Object(_) => "an object".into(),
    }
}

fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control)
}

fn is_name(text: &str) -> bool {
    is_text(text) && text.len() <= 100 && !text.contains(char::is_whitespace) && !text.contains(',')
}

fn is_topic(text: &str) -> bool {
    text == "*" || (is_name(text) && !text.contains('*') && text.split('/').all(|step| !step.is_empty()))
}

/// RFC 3339 and no more: a zone in brackets behind the offset would be read by nobody, and no clock on earth is more than
/// 14 hours off.
fn is_moment(text: &str) -> bool {
    let offset = text.get(10..).and_then(|time| time.rsplit_once(['+', '-'])).map(|(_, offset)| offset);
    let exists = |offset: &str| offset.get(..2).and_then(|hours| hours.parse::<u8>().ok()).is_some_and(|h| h <= 14);
    !text.contains('[') && offset.is_none_or(exists) && text.parse::<Timestamp>().is_ok()
}

fn is_list(value: &Value, right: impl Fn(&str) -> bool) -> bool {
    value.as_array().is_some_and(|items| {
        !items.is_empty() && items.len() <= LONGEST_LIST && items.iter().all(|item| item.as_str().is_some_and(&right))
    })
}

pub fn parse_object(line: &str) -> Result<Map<String, Value>, EventError> {
    let mut source = serde_json::Deserializer::from_str(line);
    let pairs = source.deserialize_any(Pairs).map_err(|e| describe(line, &e))?;
    source.end().map_err(|e| describe(line, &e))?;
    let mut object = Map::new();
    for (name, value) in pairs {
        if object.contains_key(&name) {
            return Err(EventError::Repeated { field: shown(&name) });
        }
        object.insert(name, value);
    }
    Ok(object)
}

fn describe(line: &str, error: &serde_json::Error) -> EventError {
    match serde_json::from_str::<Value>(line) {
        Ok(value) if !value.is_object() => EventError::NotAnObject,
        _ if error.is_eof() => EventError::NotJson("it ends too early".into()),
        _ => EventError::NotJson(format!("unexpected text at column {}", error.column())),
    }
}

/// Name and value pairs as they stand, so that a name that stands there twice is noticed.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
