//! A map as a file: which events a row of somebody else's table means. Columns and constants become fields; values are
//! translated, dates read in the formats and the zone they are written in, cells split into lists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::tz::TimeZone;
use serde_json::Value as Json;
use toml::{Table, Value};

use crate::consent::event::{EventType, FIELDS};

/// A map that was checked. The columns it names are looked for when the file's header is known.
#[derive(Clone, Debug)]
pub struct ImportMap {
    /// None: the one of comma, semicolon and tab that the header has most of.
    pub delimiter: Option<u8>,
    pub dates: Dates,
    /// Columns that may be missing, in lower case; they count as empty.
    pub optional: BTreeSet<String>,
    /// Other names of a column, all in lower case.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// What may stand in a column, in lower case; a line with anything else is refused.
    pub expect: Vec<(String, Vec<String>)>,
    pub unproven: Unproven,
    /// Fields that any event of a row has unless it says otherwise itself.
    pub every: Vec<(&'static str, Source)>,
    pub events: Vec<Template>,
}

/// How dates without an offset are written.
#[derive(Clone, Debug)]
pub struct Dates {
    /// None: the zone of the policy.
    pub zone: Option<TimeZone>,
    /// As strptime has them, tried in this order after RFC 3339.
    pub formats: Vec<String>,
}

/// What becomes of an opt-in whose proof is incomplete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unproven {
    #[default]
    Refuse,
    /// Only that the address is known, from a source that proves nothing.
    Collected,
}

/// One event that a row may mean.
#[derive(Clone, Debug)]
pub struct Template {
    /// All of them hold, or the row does not mean it.
    pub when: Vec<(String, Test)>,
    /// Not all of them hold, or the row does not mean it.
    pub unless: Vec<(String, Test)>,
    pub fields: Vec<(&'static str, Source)>,
}

#[derive(Clone, Debug)]
pub enum Test {
    Present(bool),
    /// In lower case.
    OneOf(Vec<String>),
}

/// Where a field comes from.
#[derive(Clone, Debug)]
pub enum Source {
    Constant(Json),
    Cell(Cell),
    /// Text with `{COLUMN}` in it; absent when one of these is empty.
    Text(Vec<Piece>),
    Object(Vec<(String, Source)>),
}

#[derive(Clone, Debug)]
pub struct Cell {
    /// The first that is not empty.
    pub columns: Vec<String>,
    /// By the value in lower case.
    pub translate: BTreeMap<String, String>,
    pub others: Others,
    pub split: Option<Vec<char>>,
}

/// What becomes of a value that is not translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    Refuse,
    Keep,
    Drop,
}

#[derive(Clone, Debug)]
pub enum Piece {
    Plain(String),
    Column(String),
}

/// Why a map cannot be used: where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapError {
    place: String,
    what: String,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() { f.write_str(&self.what) } else { write!(f, "{}: {}", self.place, self.what) }
    }
}

impl std::error::Error for MapError {}

fn wrong<T>(place: &str, what: impl Into<String>) -> Result<T, MapError> {
    Err(MapError { place: place.to_owned(), what: what.into() })
}

const KEYS: [&str; 10] =
    ["about", "delimiter", "time_zone", "dates", "optional", "also", "expect", "unproven", "every", "event"];

impl ImportMap {
    /// Reads a map and checks all of it that does not hang on the file it is for.
    pub fn parse(text: &str) -> Result<ImportMap, MapError> {
        let table: Table = text.parse().or_else(|e: toml::de::Error| wrong("", e.to_string().trim_end().to_owned()))?;
        only(&table, "", &KEYS)?;
        texts(&table, "about")?;
        let map = ImportMap {
            delimiter: delimiter(&table)?,
            dates: Dates { zone: zone(&table)?, formats: formats(&table)? },
            optional: texts(&table, "optional")?.iter().map(|column| column.to_lowercase()).collect(),
            aliases: aliases(&table)?,
            expect: expectations(&table)?,
            unproven: unproven(&table)?,
            every: match table.get("every") {
                Some(every) => fields("[every]", as_table("[every]", every)?, &[])?,
                None => Vec::new(),
            },
            events: templates(&table)?,
        };
        Ok(map)
    }

    /// Every column it reads, as it is written there, with what it is called otherwise.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut columns = BTreeSet::new();
        columns.extend(self.expect.iter().map(|(column, _)| column.as_str()));
        self.every.iter().for_each(|(_, source)| source.collect(&mut columns));
        for template in &self.events {
            template.fields.iter().for_each(|(_, source)| source.collect(&mut columns));
            columns.extend(template.when.iter().chain(&template.unless).map(|(column, _)| column.as_str()));
        }
        columns
    }
}

impl Source {
    fn collect<'a>(&'a self, columns: &mut BTreeSet<&'a str>) {
        match self {
            Source::Constant(_) => {}
            Source::Cell(cell) => columns.extend(cell.columns.iter().map(String::as_str)),
            Source::Text(pieces) => {
                let named = |piece: &'a Piece| match piece {
                    Piece::Column(column) => Some(column.as_str()),
                    Piece::Plain(_) => None,
                };
                columns.extend(pieces.iter().filter_map(named));
            }
            Source::Object(fields) => fields.iter().for_each(|(_, source)| source.collect(columns)),
        }
    }
}

fn only(table: &Table, place: &str, keys: &[&str]) -> Result<(), MapError> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => wrong(place, format!("no key `{key}` here; there are {}", keys.join(", "))),
        None => Ok(()),
    }
}

fn as_table<'a>(place: &str, value: &'a Value) -> Result<&'a Table, MapError> {
    value.as_table().map_or_else(|| wrong(place, "write a table"), Ok)
}

/// A text or a list of texts.
fn texts(table: &Table, key: &str) -> Result<Vec<String>, MapError> {
    table.get(key).map_or(Ok(Vec::new()), |value| text_list(key, value))
}

fn text_list(place: &str, value: &Value) -> Result<Vec<String>, MapError> {
    let one = |value: &Value| value.as_str().map(str::to_owned);
    let list = match value {
        Value::Array(items) => items.iter().map(one).collect::<Option<Vec<_>>>(),
        value => one(value).map(|text| vec![text]),
    };
    list.map_or_else(|| wrong(place, "write a text or a list of texts"), Ok)
}

fn delimiter(table: &Table) -> Result<Option<u8>, MapError> {
    match table.get("delimiter").map(Value::as_str) {
        None => Ok(None),
        Some(Some(text)) if text.len() == 1 && text.is_ascii() => Ok(Some(text.as_bytes()[0])),
        Some(_) => wrong("delimiter", "write one character like \";\" or \"\\t\""),
    }
}

fn zone(table: &Table) -> Result<Option<TimeZone>, MapError> {
    let cure = "write the name of a zone like \"Europe/Paris\" or \"UTC\"";
    match table.get("time_zone").map(|zone| zone.as_str().unwrap_or_default()) {
        None => Ok(None),
        Some(name) => {
            TimeZone::get(name).map(Some).or_else(|_| wrong("time_zone", format!("no zone `{name}`; {cure}")))
        }
    }
}

/// A format that says neither day nor time of day cannot be meant.
fn formats(table: &Table) -> Result<Vec<String>, MapError> {
    let formats = texts(table, "dates")?;
    match formats.iter().find(|format| !format.contains('%')) {
        Some(format) => wrong("dates", format!("\"{format}\" is no format; write one like \"%d/%m/%Y %H:%M\"")),
        None => Ok(formats),
    }
}

fn aliases(table: &Table) -> Result<BTreeMap<String, Vec<String>>, MapError> {
    let Some(also) = table.get("also") else { return Ok(BTreeMap::new()) };
    let lower = |names: Vec<String>| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
    let alias = |(column, names): (&String, &Value)| {
        Ok((column.to_lowercase(), lower(text_list(&format!("also.{column}"), names)?)))
    };
    as_table("[also]", also)?.iter().map(alias).collect()
}

fn expectations(table: &Table) -> Result<Vec<(String, Vec<String>)>, MapError> {
    let Some(expect) = table.get("expect") else { return Ok(Vec::new()) };
    let lower = |words: Vec<String>| words.iter().map(|word| word.to_lowercase()).collect::<Vec<_>>();
    let one = |(column, words): (&String, &Value)| {
        Ok((column.clone(), lower(text_list(&format!("expect.{column}"), words)?)))
    };
    as_table("[expect]", expect)?.iter().map(one).collect()
}

fn unproven(table: &Table) -> Result<Unproven, MapError> {
    match table.get("unproven").map(Value::as_str) {
        None | Some(Some("refuse")) => Ok(Unproven::Refuse),
        Some(Some("collected")) => Ok(Unproven::Collected),
        Some(_) => wrong("unproven", "write \"refuse\" or \"collected\""),
    }
}

fn templates(table: &Table) -> Result<Vec<Template>, MapError> {
    let cure = "write one [[event]] for each event that a row may mean";
    let listed = table.get("event").and_then(Value::as_array).filter(|events| !events.is_empty());
    let listed = listed.map_or_else(|| wrong("event", cure), Ok)?;
    listed.iter().enumerate().map(|(index, event)| template(&format!("[[event]] {}", index + 1), event)).collect()
}

fn template(place: &str, event: &Value) -> Result<Template, MapError> {
    let table = as_table(place, event)?;
    let template = Template {
        when: tests(place, table, "when")?,
        unless: tests(place, table, "unless")?,
        fields: fields(place, table, &["when", "unless"])?,
    };
    let kind = template.fields.iter().find(|(name, _)| *name == "type").map(|(_, source)| source);
    match kind {
        Some(Source::Constant(Json::String(kind))) if EventType::parse(kind).is_some() => Ok(template),
        _ => {
            let kinds = EventType::ALL.map(EventType::as_str).join(", ");
            wrong(place, format!("`type`: write one of {kinds}; rows of two types are two [[event]] with `when`"))
        }
    }
}

fn tests(place: &str, table: &Table, key: &str) -> Result<Vec<(String, Test)>, MapError> {
    let Some(conditions) = table.get(key) else { return Ok(Vec::new()) };
    let place = format!("{place}, `{key}`");
    let test = |(column, value): (&String, &Value)| {
        let place = format!("{place}.\"{column}\"");
        let test = match value {
            Value::Table(table) => match table.get("present").and_then(Value::as_bool) {
                Some(present) if table.len() == 1 => Test::Present(present),
                _ => return wrong(&place, "write { present = true }, a text or a list of texts"),
            },
            value => Test::OneOf(text_list(&place, value)?.iter().map(|text| text.to_lowercase()).collect()),
        };
        Ok((column.clone(), test))
    };
    as_table(&place, conditions)?.iter().map(test).collect()
}

fn fields(place: &str, table: &Table, besides: &[&str]) -> Result<Vec<(&'static str, Source)>, MapError> {
    let field = |(name, value): (&String, &Value)| {
        let Some(known) = FIELDS.iter().find(|field| field.name == name) else {
            let all: BTreeSet<&str> = FIELDS.iter().map(|field| field.name).collect();
            let all = all.into_iter().collect::<Vec<_>>().join(", ");
            return wrong(place, format!("`{name}` is no field of an event; there are {all}"));
        };
        Ok((known.name, source(&format!("{place}, `{name}`"), value)?))
    };
    table.iter().filter(|(name, _)| !besides.contains(&name.as_str())).map(field).collect()
}

fn source(place: &str, value: &Value) -> Result<Source, MapError> {
    match value {
        Value::String(_) | Value::Boolean(_) | Value::Array(_) => constant(place, value).map(Source::Constant),
        Value::Table(table) if table.contains_key("column") => cell(place, table).map(Source::Cell),
        Value::Table(table) if table.contains_key("text") => {
            only(table, place, &["text"])?;
            Ok(Source::Text(pieces(place, table["text"].as_str().unwrap_or_default())?))
        }
        Value::Table(table) => {
            let member =
                |(name, value): (&String, &Value)| Ok((name.clone(), source(&format!("{place}.{name}"), value)?));
            table.iter().map(member).collect::<Result<_, _>>().map(Source::Object)
        }
        _ => wrong(place, "write a text, a list, true or false, { column = \"…\" } or { text = \"…{COLUMN}…\" }"),
    }
}

fn constant(place: &str, value: &Value) -> Result<Json, MapError> {
    match value {
        Value::Boolean(flag) => Ok((*flag).into()),
        Value::String(text) => Ok(text.as_str().into()),
        list => text_list(place, list).map(|list| list.into()),
    }
}

fn cell(place: &str, table: &Table) -> Result<Cell, MapError> {
    only(table, place, &["column", "translate", "others", "split"])?;
    let columns = text_list(place, &table["column"])?;
    let mut translate = BTreeMap::new();
    if let Some(values) = table.get("translate") {
        for (from, to) in as_table(place, values)? {
            let to = to.as_str().map_or_else(|| wrong(place, "translate a value into a text"), Ok)?;
            translate.insert(from.to_lowercase(), to.to_owned());
        }
    }
    let others = match table.get("others").map(Value::as_str) {
        None if translate.is_empty() => Others::Keep,
        None | Some(Some("refuse")) => Others::Refuse,
        Some(Some("keep")) => Others::Keep,
        Some(Some("drop")) => Others::Drop,
        Some(_) => return wrong(place, "`others`: write \"refuse\", \"keep\" or \"drop\""),
    };
    let split = match table.get("split").map(Value::as_str) {
        None => None,
        Some(Some(characters)) if !characters.is_empty() => Some(characters.chars().collect()),
        Some(_) => return wrong(place, "`split`: write the characters between two items, like \",;\""),
    };
    Ok(Cell { columns, translate, others, split })
}

/// `mailchimp:{EUID}`: what stands in braces is a column.
fn pieces(place: &str, text: &str) -> Result<Vec<Piece>, MapError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (column, after) = after.split_once('}').map_or_else(|| wrong(place, "a { is not closed"), Ok)?;
        pieces.push(Piece::Plain(before.to_owned()));
        pieces.push(Piece::Column(column.trim().to_owned()));
        rest = after;
    }
    pieces.push(Piece::Plain(rest.to_owned()));
    if text.is_empty() { wrong(place, "`text`: write a text like \"mailchimp:{EUID}\"") } else { Ok(pieces) }
}
