//! Events in bulk, read from NDJSON or CSV: each line an event or a reason why it is none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, Read};

use serde_json::{Map, Value};

use super::event::fields::{self, LONGEST_LINE};
use super::event::{Actor, ConsentEvent, EventError, EventType, FIELDS, Field, Shape};

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

/// One line: its number, and the event or what is wrong with it.
pub type Line = (u64, Result<ConsentEvent, LineError>);

/// Why a line could not be taken.
#[derive(Debug)]
pub enum LineError {
    /// The file cannot be read further.
    Read(io::Error),
    NotUtf8,
    Csv(String),
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

    /// Fills in what the file leaves out, and holds the event to the policy and to the rules about proof.
    fn take(&self, mut object: Map<String, Value>, line: u64) -> Result<ConsentEvent, EventError> {
        if let Some(kind) = self.defaults.get("type") {
            object.entry("type").or_insert_with(|| kind.as_str().into());
        }
        let kind = fields::kind_of(&object)?;
        for (field, text) in &self.defaults {
            if Field::find(field, kind).is_some() && !object.contains_key(field) {
                object.insert(field.clone(), value_of(field, Some(kind), text));
            }
        }
        let mut event = fields::read_object(object)?;
        self.known(&event)?;
        proven(&event)?;
        event.actor.get_or_insert(Actor::Import);
        event.id.get_or_insert_with(|| format!("import:{}:{line}", self.digest));
        Ok(event)
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

/// An import raises permission only with proof, and never by its own date: when it came in says nothing about the person.
fn proven(event: &ConsentEvent) -> Result<(), EventError> {
    if !event.kind.raises_permission() {
        return Ok(());
    }
    let missing = |field, cure: &str| Err(EventError::Missing { field, cure: cure.into() });
    if event.at.is_none() {
        return missing("at", "say when the person acted; the moment of an import proves nothing");
    }
    let consent = matches!(event.kind, EventType::OptIn | EventType::OptInConfirmed);
    match event {
        _ if !consent => Ok(()),
        ConsentEvent { source: None, .. } => {
            missing("source", "an import brings consent only with its proof: where it was given")
        }
        ConsentEvent { mechanism: None, .. } => {
            missing("mechanism", "an import brings consent only with its proof: how it was given")
        }
        ConsentEvent { text_version: None, .. } => {
            missing("text_version", "an import brings consent only with its proof: which text was shown")
        }
        _ => Ok(()),
    }
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
                    return Some((number, Err(LineError::Read(error))));
                }
            };
            let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                return Some((number, ndjson_line(line, number, terms)));
            }
        }
        None
    })
}

fn ndjson_line(line: &[u8], number: u64, terms: &Terms) -> Result<ConsentEvent, LineError> {
    let text = str::from_utf8(line).map_err(|_| LineError::NotUtf8)?;
    if text.len() > LONGEST_LINE {
        return Err(LineError::Event(EventError::TooLong { bytes: text.len() }));
    }
    let object = fields::parse_object(text).map_err(LineError::Event)?;
    terms.take(object, number).map_err(LineError::Event)
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

/// One record a line under a line of column names. `columns`: column → field, the empty field leaves a column out;
/// what is not in it goes by its own name.
pub fn csv<'a>(
    source: impl Read + 'a,
    columns: &BTreeMap<String, String>,
    terms: &'a Terms,
) -> Result<impl Iterator<Item = Line> + 'a, LayoutError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source);
    let names = reader.headers().map_err(|e| LayoutError::NoColumns(plain(&e)))?.clone();
    let fields = layout(&names, columns)?;
    let mut record = csv::StringRecord::new();
    Ok(std::iter::from_fn(move || {
        let read = reader.read_record(&mut record);
        let number = record.position().map_or(0, csv::Position::line);
        match read {
            Ok(false) => None,
            Ok(true) => {
                let event = terms.take(record_object(&fields, &record), number).map_err(LineError::Event);
                Some((number, event))
            }
            Err(error) => {
                Some((error.position().map_or(number, csv::Position::line), Err(LineError::Csv(plain(&error)))))
            }
        }
    }))
}

/// The field behind each column.
fn layout(
    names: &csv::StringRecord,
    columns: &BTreeMap<String, String>,
) -> Result<Vec<Option<&'static str>>, LayoutError> {
    if let Some(column) = columns.keys().find(|column| !names.iter().any(|name| bare(name) == *column)) {
        return Err(LayoutError::NoSuchColumn { column: column.clone() });
    }
    let mut seen = BTreeSet::new();
    let mut fields = Vec::new();
    for name in names.iter().map(bare) {
        let field =
            match columns.get(name).map(String::as_str) {
                Some("") => None,
                Some(field) => Some(known_field(field)?),
                None => Some(known_field(name).map_err(|_| LayoutError::UnknownColumn {
                    column: name.to_owned(),
                    nearest: fields::nearest(name),
                })?),
            };
        if let Some(field) = field
            && !seen.insert(field)
        {
            return Err(LayoutError::Twice { field: field.to_owned() });
        }
        fields.push(field);
    }
    Ok(fields)
}

/// Spreadsheets put a byte order mark before the first name.
fn bare(name: &str) -> &str {
    name.trim_start_matches('\u{feff}')
}

/// An empty cell is an absent field.
fn record_object(fields: &[Option<&'static str>], record: &csv::StringRecord) -> Map<String, Value> {
    let cells = || {
        fields
            .iter()
            .zip(record)
            .filter_map(|(field, cell)| Some(((*field)?, cell)))
            .filter(|(_, cell)| !cell.is_empty())
    };
    let kind = cells().find(|(field, _)| *field == "type").and_then(|(_, cell)| EventType::parse(cell));
    cells().map(|(field, cell)| (field.to_owned(), value_of(field, kind, cell))).collect()
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

/// The CSV reader's own words quote positions only, save for the ones about lengths.
fn plain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells, but {expected_len} columns; quote a cell that holds a comma")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8; save the file as UTF-8".into(),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => "not a CSV record".into(),
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::NotUtf8 => f.write_str("not UTF-8; save the file as UTF-8"),
            Self::Csv(why) => f.write_str(why),
            Self::Event(error) => error.fmt(f),
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
            Self::NoSuchColumn { column } => write!(f, "the file has no column `{column}`"),
        }
    }
}

impl std::error::Error for LineError {}
impl std::error::Error for LayoutError {}

#[cfg(test)]
mod tests;
