//! Rows read by a map: each means any number of events, or none.

use std::collections::HashMap;
use std::io::BufRead;

use csv::StringRecord;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::map::{Cell, Dates, ImportMap, Others, Piece, Source, Template, Test};
use super::table::{Header, Records, refuse};
use super::{LayoutError, Line, LineError, Taken, Terms, value_of};
use crate::consent::event::fields::shown;
use crate::consent::event::{EventError, EventType, Field, Shape};

/// `zone`: that of dates where the map names none.
pub fn mapped<'a>(
    source: impl BufRead + 'a,
    map: &'a ImportMap,
    terms: &'a Terms,
    zone: &TimeZone,
) -> Result<impl Iterator<Item = Line> + 'a, LayoutError> {
    let mut records = Records::open(source, map.delimiter)?;
    let columns = find_columns(map, &records.header)?;
    let zone = map.dates.zone.clone().unwrap_or_else(|| zone.clone());
    Ok(std::iter::from_fn(move || {
        let (number, read) = records.next()?;
        let taken = read.and_then(|record| {
            let row = Row { columns: &columns, record: &record, dates: &map.dates, zone: &zone };
            let refused = |error| refuse(&records.header, &record, error);
            row.events(map, terms, number).map_err(refused)
        });
        Some((number, taken))
    }))
}

/// Where each column of the map stands; case does not count. What may be missing and is, is left out.
fn find_columns<'a>(map: &'a ImportMap, header: &Header) -> Result<HashMap<&'a str, usize>, LayoutError> {
    let names: Vec<String> = header.columns.iter().map(|name| name.to_lowercase()).collect();
    let mut columns = HashMap::new();
    for column in map.columns() {
        let wanted = column.to_lowercase();
        let also = map.aliases.get(&wanted).into_iter().flatten();
        let place = std::iter::once(&wanted).chain(also).find_map(|name| names.iter().position(|known| known == name));
        match place {
            Some(place) => _ = columns.insert(column, place),
            None if map.optional.contains(&wanted) => {}
            None => return Err(LayoutError::NoSuchColumn { column: column.to_owned() }),
        }
    }
    Ok(columns)
}

struct Row<'a> {
    columns: &'a HashMap<&'a str, usize>,
    record: &'a StringRecord,
    dates: &'a Dates,
    zone: &'a TimeZone,
}

impl Row<'_> {
    /// All of them or none: half a row would be written twice when the refused one comes again.
    fn events(&self, map: &ImportMap, terms: &Terms, number: u64) -> Result<Vec<Taken>, LineError> {
        self.as_expected(map)?;
        let mut taken = Vec::new();
        for (index, template) in map.events.iter().enumerate().filter(|(_, template)| self.means(template)) {
            let object = self.object(map, template, terms).map_err(LineError::Event)?;
            let event = terms.take(object, (number, Some(index)), map.unproven);
            taken.push(event.map_err(LineError::Event)?);
        }
        Ok(taken)
    }

    fn as_expected(&self, map: &ImportMap) -> Result<(), LineError> {
        let unexpected = |(column, words): &&(String, Vec<String>)| !words.contains(&self.cell(column).to_lowercase());
        map.expect.iter().find(unexpected).map_or(Ok(()), |(column, words)| {
            let found = shown(self.cell(column));
            Err(LineError::Unexpected { column: column.clone(), found, words: words.clone() })
        })
    }

    fn means(&self, template: &Template) -> bool {
        let holds = |(column, test): &(String, Test)| self.holds(column, test);
        template.when.iter().all(holds) && (template.unless.is_empty() || !template.unless.iter().all(holds))
    }

    fn holds(&self, column: &str, test: &Test) -> bool {
        let cell = self.cell(column);
        match test {
            Test::Present(present) => cell.is_empty() != *present,
            Test::OneOf(values) => values.contains(&cell.to_lowercase()),
        }
    }

    fn cell(&self, column: &str) -> &str {
        self.columns.get(column).and_then(|place| self.record.get(*place)).unwrap_or_default()
    }

    /// What the event says itself, then what the command line says of all, then what the map says of all.
    fn object(&self, map: &ImportMap, template: &Template, terms: &Terms) -> Result<Map<String, Value>, EventError> {
        let kind = template.fields.iter().find_map(|(name, source)| match (*name, source) {
            ("type", Source::Constant(Value::String(kind))) => EventType::parse(kind),
            _ => None,
        });
        let mut object = Map::new();
        let given = |name: &str| terms.defaults.contains_key(name);
        let every = map.every.iter().filter(|(name, _)| !given(name));
        for (name, source) in template.fields.iter().chain(every) {
            let belongs = kind.is_none_or(|kind| Field::find(name, kind).is_some());
            if belongs
                && !object.contains_key(*name)
                && let Some(value) = self.value(name, kind, source)?
            {
                object.insert((*name).to_owned(), value);
            }
        }
        Ok(object)
    }

    /// None: the cells it would be made of are empty.
    fn value(&self, name: &'static str, kind: Option<EventType>, source: &Source) -> Result<Option<Value>, EventError> {
        match source {
            Source::Constant(Value::String(text)) => Ok(Some(value_of(name, kind, text))),
            Source::Constant(value) => Ok(Some(value.clone())),
            Source::Cell(cell) => self.cell_value(name, kind, cell),
            Source::Text(pieces) => Ok(self.text(pieces).map(|text| value_of(name, kind, &text))),
            Source::Object(members) => {
                let mut object = Map::new();
                for (member, source) in members {
                    if let Some(value) = self.value(name, None, source)? {
                        object.insert(member.clone(), value);
                    }
                }
                Ok((!object.is_empty()).then_some(Value::Object(object)))
            }
        }
    }

    fn text(&self, pieces: &[Piece]) -> Option<String> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Plain(plain) => text.push_str(plain),
                Piece::Column(column) => text.push_str(Some(self.cell(column)).filter(|cell| !cell.is_empty())?),
            }
        }
        Some(text)
    }

    fn cell_value(
        &self,
        name: &'static str,
        kind: Option<EventType>,
        cell: &Cell,
    ) -> Result<Option<Value>, EventError> {
        let text = cell.columns.iter().map(|column| self.cell(column)).find(|text| !text.is_empty());
        let Some(text) = text else { return Ok(None) };
        // In `evidence` a cell stays the text it is.
        let shape = kind.and_then(|kind| Field::find(name, kind)).map(|field| field.shape);
        match (&cell.split, shape) {
            (Some(split), _) => {
                let items = text.split(|c| split.contains(&c)).map(|item| item.trim().trim_matches('"').trim());
                let mut list = Vec::new();
                for item in items.filter(|item| !item.is_empty()) {
                    list.extend(translated(name, cell, item)?);
                }
                Ok((!list.is_empty()).then(|| list.into_iter().collect()))
            }
            (None, Some(Shape::Moment)) => self.moment(name, text).map(Some),
            (None, None) => Ok(translated(name, cell, text)?.map(Value::String)),
            (None, Some(_)) => Ok(translated(name, cell, text)?.map(|text| value_of(name, kind, &text))),
        }
    }

    fn moment(&self, name: &'static str, text: &str) -> Result<Value, EventError> {
        let read = text
            .parse::<Timestamp>()
            .ok()
            .or_else(|| self.dates.formats.iter().find_map(|format| read_moment(format, text, self.zone)));
        let formats = self.dates.formats.join(", ");
        let known = if formats.is_empty() { "RFC 3339 alone".to_owned() } else { format!("{formats} and RFC 3339") };
        let text = shown(text);
        let cure = || format!("\"{text}\" is no date that exists; the map reads {known} (`dates`)");
        read.map(|at| at.to_string().into()).ok_or_else(|| EventError::Value { field: name, cure: cure() })
    }
}

/// A day without a time of day is its beginning.
fn read_moment(format: &str, text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let read = BrokenDownTime::parse(format, text).ok()?;
    if let Ok(at) = read.to_timestamp() {
        return Some(at);
    }
    let civil: DateTime = read.to_datetime().or_else(|_| read.to_date().map(DateTime::from)).ok()?;
    civil.to_zoned(zone.clone()).ok().map(|at| at.timestamp())
}

fn translated(name: &'static str, cell: &Cell, text: &str) -> Result<Option<String>, EventError> {
    match (cell.translate.get(&text.to_lowercase()), cell.others) {
        (Some(value), _) => Ok(Some(value.clone())),
        (None, Others::Keep) => Ok(Some(text.to_owned())),
        (None, Others::Drop) => Ok(None),
        (None, Others::Refuse) => {
            let known = cell.translate.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let cure = format!("\"{}\" is not among what the map translates: {known}", shown(text));
            Err(EventError::Value { field: name, cure })
        }
    }
}
