//! Events in bulk, read from NDJSON or CSV: each line means events, or there is a reason why it does not.

pub mod map;
mod mapped;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::event::fields::{self, LONGEST_LINE};
use super::event::{Actor, ConsentEvent, EventError, EventType, FIELDS, Field, Shape};
pub use map::{ImportMap, MapError, Unproven};
pub use mapped::mapped;
pub use table::{Header, REFUSED, csv};

/// What is filled in and checked beyond the form of each event.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Controllers of the policy.
    pub controllers: BTreeSet<String>,
    /// Topics of the policy, former names included.
    pub topics: BTreeSet<String>,
    /// What a line that does not say it itself means, field by field.
    pub defaults: BTreeMap<String, String>,
    /// Stands for the file: with the line it makes the id of an event that has none.
    pub digest: String,
}

/// One line: its number, and what it means or why it is refused.
pub type Line = (u64, Result<Vec<Taken>, Refused>);

/// An event of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    pub event: ConsentEvent,
    /// It would have been an opt-in, had this been there.
    pub unproven: Option<&'static str>,
}

/// A line that was not taken, with what it said.
#[derive(Debug)]
pub struct Refused {
    pub error: LineError,
    pub original: Original,
}

/// A line as it stood in the file.
#[derive(Debug)]
pub enum Original {
    Text(String),
    Record { header: Arc<Header>, cells: Vec<String> },
}

/// Why a line could not be taken.
#[derive(Debug)]
pub enum LineError {
    /// The file cannot be read further.
    Read(io::Error),
    NotUtf8,
    Csv(String),
    /// A map does not know what to make of a cell.
    Unexpected {
        column: String,
        found: String,
        words: Vec<String>,
    },
    Event(EventError),
}

/// Why a file as a whole cannot be taken, or the way it is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutError {
    NoColumns(String),
    UnknownColumn { column: String, nearest: Option<&'static str> },
    UnknownField { field: String, nearest: Option<&'static str> },
    Twice { field: String },
    NoSuchColumn { column: String },
}

impl Terms {
    /// Refuses defaults for fields that do not exist.
    pub fn check(&self) -> Result<(), LayoutError> {
        self.defaults.keys().try_for_each(|field| known_field(field).map(drop))
    }

    /// Fills in what the file leaves out, and holds the event to the policy and to the rules about proof. `place`: the
    /// line, and which of several events of it.
    fn take(
        &self,
        mut object: Map<String, Value>,
        place: (u64, Option<usize>),
        unproven: Unproven,
    ) -> Result<Taken, EventError> {
        if let Some(kind) = self.defaults.get("type") {
            object.entry("type").or_insert_with(|| kind.as_str().into());
        }
        let kind = fields::kind_of(&object)?;
        for (field, text) in &self.defaults {
            if Field::find(field, kind).is_some() && !object.contains_key(field) {
                object.insert(field.clone(), value_of(field, Some(kind), text));
            }
        }
        let missing = PROOF.into_iter().find(|(field, _)| !object.contains_key(*field)).map(|(field, _)| field);
        let unproven = missing.filter(|_| unproven == Unproven::Collected && is_consent(kind));
        if unproven.is_some() {
            object = only_collected(object);
        }
        let mut event = fields::read_object(object)?;
        self.known(&event)?;
        proven(&event)?;
        event.actor.get_or_insert(Actor::Import);
        // The opt-in itself may still come, once its proof is found.
        if let (Some(id), true) = (&mut event.id, unproven.is_some()) {
            id.push_str(":unproven");
        }
        event.id.get_or_insert_with(|| match place {
            (line, None) => format!("import:{}:{line}", self.digest),
            (line, Some(index)) => format!("import:{}:{line}:{index}", self.digest),
        });
        Ok(Taken { event, unproven })
    }

    /// Whether the policy knows the event's controller and topics.
    pub fn known(&self, event: &ConsentEvent) -> Result<(), EventError> {
        if !self.controllers.contains(&event.controller) {
            let cure =
                format!("the policy has no controller `{}`; it has {}", event.controller, some(&self.controllers));
            return Err(EventError::Value { field: "controller", cure });
        }
        let unknown = event.topics.iter().flatten().find(|topic| !self.knows_topic(topic));
        unknown.map_or(Ok(()), |topic| {
            let cure = format!("the policy has no topic `{topic}`; it has {}", some(&self.topics));
            Err(EventError::Value { field: "topics", cure })
        })
    }

    /// A path above a topic of the policy stands for all that lies below it.
    fn knows_topic(&self, path: &str) -> bool {
        let below = format!("{path}/");
        path == "*" || self.topics.contains(path) || self.topics.iter().any(|topic| topic.starts_with(&below))
    }
}

/// What an opt-in that was made elsewhere has to bring along, and why.
const PROOF: [(&str, &str); 5] = [
    ("topics", "say what was agreed to"),
    ("at", "say when the person acted; the moment of an import proves nothing"),
    ("source", "an import brings consent only with its proof: where it was given"),
    ("mechanism", "an import brings consent only with its proof: how it was given"),
    ("text_version", "an import brings consent only with its proof: which text was shown"),
];

/// An import raises permission only with proof, and never by its own date: when it came in says nothing about the person.
fn proven(event: &ConsentEvent) -> Result<(), EventError> {
    if !event.kind.raises_permission() || event.provenance.as_deref() == Some(UNPROVEN) {
        return Ok(());
    }
    let consent = is_consent(event.kind);
    let there = |field: &str| match field {
        "at" => event.at.is_some(),
        "source" => event.source.is_some(),
        "mechanism" => event.mechanism.is_some(),
        "text_version" => event.text_version.is_some(),
        _ => true,
    };
    let missing = PROOF.into_iter().find(|(field, _)| (consent || *field == "at") && !there(field));
    missing.map_or(Ok(()), |(field, cure)| Err(EventError::Missing { field, cure: cure.into() }))
}

fn is_consent(kind: EventType) -> bool {
    matches!(kind, EventType::OptIn | EventType::OptInConfirmed)
}

/// The provenance that permits nothing but what the person permits anew.
pub const UNPROVEN: &str = "import_unproven";

/// What is left of an opt-in without proof: that the address was there, and since when.
fn only_collected(mut object: Map<String, Value>) -> Map<String, Value> {
    object.retain(|name, _| Field::find(name, EventType::Collected).is_some());
    object.remove("channel");
    object.insert("type".into(), EventType::Collected.as_str().into());
    object.insert("provenance".into(), UNPROVEN.into());
    object
}

fn some(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 8;
    let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{first}, …") } else { first }
}

fn known_field(name: &str) -> Result<&'static str, LayoutError> {
    let known = FIELDS.iter().find(|field| field.name == name).map(|field| field.name);
    known.ok_or_else(|| LayoutError::UnknownField { field: name.to_owned(), nearest: fields::nearest(name) })
}

/// One JSON object a line; blank lines are passed over.
pub fn ndjson<'a>(mut source: impl BufRead + 'a, terms: &'a Terms) -> impl Iterator<Item = Line> + 'a {
    let (mut number, mut broken) = (0, false);
    std::iter::from_fn(move || {
        while !broken {
            number += 1;
            let line = match next_line(&mut source) {
                Ok(None) => return None,
                Ok(Some(line)) => line,
                Err(error) => {
                    broken = true;
                    let original = Original::Text(String::new());
                    return Some((number, Err(Refused { error: LineError::Read(error), original })));
                }
            };
            let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                let refused =
                    |error| Refused { error, original: Original::Text(String::from_utf8_lossy(line).into_owned()) };
                return Some((number, ndjson_line(line, number, terms).map(|taken| vec![taken]).map_err(refused)));
            }
        }
        None
    })
}

fn ndjson_line(line: &[u8], number: u64, terms: &Terms) -> Result<Taken, LineError> {
    let text = str::from_utf8(line).map_err(|_| LineError::NotUtf8)?;
    if text.len() > LONGEST_LINE {
        return Err(LineError::Event(EventError::TooLong { bytes: text.len() }));
    }
    let mut object = fields::parse_object(text).map_err(LineError::Event)?;
    REFUSED.iter().for_each(|field| _ = object.remove(*field));
    terms.take(object, (number, None), Unproven::Refuse).map_err(LineError::Event)
}

/// A line without its end. Of one that is too long only so much is kept that it is seen to be.
fn next_line(source: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if source.by_ref().take(LONGEST_LINE as u64 + 2).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() > LONGEST_LINE {
        skip_line(source)?;
    }
    Ok(Some(line.trim_ascii_end().to_vec()))
}

fn skip_line(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let waiting = source.fill_buf()?;
        let (length, end) = match waiting.iter().position(|byte| *byte == b'\n') {
            Some(place) => (place + 1, true),
            None => (waiting.len(), waiting.is_empty()),
        };
        source.consume(length);
        if end {
            return Ok(());
        }
    }
}

/// Text as the JSON value its field wants; what does not fit stays text, and is refused as such.
pub fn value_of(field: &str, kind: Option<EventType>, text: &str) -> Value {
    let by_kind = kind.and_then(|kind| Field::find(field, kind));
    let shape = by_kind.or_else(|| FIELDS.iter().find(|known| known.name == field)).map(|field| field.shape);
    match shape {
        Some(Shape::Flag) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Value::Bool(true),
            "false" | "no" | "0" => Value::Bool(false),
            _ => text.into(),
        },
        Some(Shape::Names | Shape::Topics | Shape::SomeOf(_)) => {
            let separators = |c: char| c == ';' || c == ',' || c == '|' || c.is_whitespace();
            text.split(separators).filter(|name| !name.is_empty()).collect()
        }
        Some(Shape::Object) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        _ => text.into(),
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::NotUtf8 => f.write_str("not UTF-8; save the file as UTF-8"),
            Self::Csv(why) => f.write_str(why),
            Self::Unexpected { column, found, words } => {
                let words = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
                write!(f, "column `{column}`: \"{found}\" is not expected; the map knows {words}")
            }
            Self::Event(error) => error.fmt(f),
        }
    }
}

impl LineError {
    /// The field it is about, where it is about one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Event(error) => error.field(),
            Self::Unexpected { column, .. } => Some(column),
            Self::Read(_) | Self::NotUtf8 | Self::Csv(_) => None,
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meant = |nearest: &Option<&str>| nearest.map_or(String::new(), |name| format!(" (perhaps `{name}`)"));
        match self {
            Self::NoColumns(why) => write!(f, "the line of column names cannot be read: {why}"),
            Self::UnknownColumn { column, nearest } => write!(
                f,
                "column `{column}` is no field of an event{}; say which with --map '{column}=FIELD', or leave it out with --map '{column}='",
                meant(nearest)
            ),
            Self::UnknownField { field, nearest } => write!(f, "`{field}` is no field of an event{}", meant(nearest)),
            Self::Twice { field } => write!(f, "two columns are `{field}`; leave one out with --map 'COLUMN='"),
            Self::NoSuchColumn { column } => write!(
                f,
                "the file has no column `{column}`; a map may name it otherwise under [also], or list it under `optional`"
            ),
        }
    }
}

impl std::error::Error for LineError {}
impl std::error::Error for LayoutError {}

#[cfg(test)]
mod tests;
