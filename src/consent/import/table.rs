//! Tables as files: one record a line under a line of column names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::sync::Arc;

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord, Trim};
use serde_json::{Map, Value};

use super::{LayoutError, Line, LineError, Original, Refused, Terms, Unproven, known_field, value_of};
use crate::consent::event::EventType;
use crate::consent::event::fields;

/// What the refused lines of an earlier import carry beside their own columns.
pub const REFUSED: [&str; 2] = ["refused_line", "refused_because"];

/// The line of column names, and what stands between two cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub columns: Vec<String>,
    pub delimiter: u8,
}

/// The records below a header, each with its line.
pub struct Records<R> {
    pub header: Arc<Header>,
    reader: Reader<R>,
    record: ByteRecord,
}

impl<R: BufRead> Records<R> {
    /// `delimiter`: none is the one of comma, semicolon and tab that the header has most of.
    pub fn open(mut source: R, delimiter: Option<u8>) -> Result<Records<R>, LayoutError> {
        let told = |e: &dyn std::fmt::Display| LayoutError::NoColumns(e.to_string());
        let delimiter = match delimiter {
            Some(delimiter) => delimiter,
            None => likeliest(source.fill_buf().map_err(|e| told(&e))?),
        };
        let mut builder = ReaderBuilder::new();
        let mut reader = builder.trim(Trim::All).delimiter(delimiter).flexible(true).from_reader(source);
        let names = reader.headers().map_err(|e| told(&plain(&e)))?;
        // Spreadsheets put a byte order mark before the first name.
        let columns = names.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        Ok(Records { header: Arc::new(Header { columns, delimiter }), reader, record: ByteRecord::new() })
    }

    pub fn next(&mut self) -> Option<(u64, Result<StringRecord, Refused>)> {
        let read = self.reader.read_byte_record(&mut self.record);
        let number = self.record.position().map_or(0, csv::Position::line);
        match read {
            Ok(false) => None,
            Ok(true) => Some((number, self.checked())),
            Err(error) => {
                let number = error.position().map_or(number, csv::Position::line);
                Some((number, Err(self.refused(LineError::Csv(plain(&error))))))
            }
        }
    }

    fn checked(&self) -> Result<StringRecord, Refused> {
        let (cells, columns) = (self.record.len(), self.header.columns.len());
        if cells != columns {
            let told = format!("{cells} cells, but {columns} columns; quote a cell that holds a comma");
            return Err(self.refused(LineError::Csv(told)));
        }
        let read = StringRecord::from_byte_record(self.record.clone());
        read.map_err(|_| self.refused(LineError::NotUtf8))
    }

    fn refused(&self, error: LineError) -> Refused {
        let cells = self.record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
        Refused { error, original: Original::Record { header: self.header.clone(), cells } }
    }
}

/// A record that was read, refused for what it says.
pub fn refuse(header: &Arc<Header>, record: &StringRecord, error: LineError) -> Refused {
    let cells = record.iter().map(str::to_owned).collect();
    Refused { error, original: Original::Record { header: header.clone(), cells } }
}

fn likeliest(start: &[u8]) -> u8 {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// `columns`: column → field, the empty field leaves a column out; what is not in it goes by its own name.
pub fn csv<'a>(
    source: impl BufRead + 'a,
    columns: &BTreeMap<String, String>,
    terms: &'a Terms,
) -> Result<impl Iterator<Item = Line> + 'a, LayoutError> {
    let mut records = Records::open(source, None)?;
    let fields = layout(&records.header.columns, columns)?;
    Ok(std::iter::from_fn(move || {
        let (number, read) = records.next()?;
        let taken = read.and_then(|record| {
            let taken = terms.take(record_object(&fields, &record), (number, None), Unproven::Refuse);
            let refused = |error| refuse(&records.header, &record, LineError::Event(error));
            taken.map(|taken| vec![taken]).map_err(refused)
        });
        Some((number, taken))
    }))
}

/// The field behind each column.
fn layout(names: &[String], columns: &BTreeMap<String, String>) -> Result<Vec<Option<&'static str>>, LayoutError> {
    if let Some(column) = columns.keys().find(|column| !names.contains(column)) {
        return Err(LayoutError::NoSuchColumn { column: column.clone() });
    }
    let mut seen = BTreeSet::new();
    let mut fields = Vec::new();
    for name in names {
        let field = match columns.get(name).map(String::as_str) {
            Some("") => None,
            Some(field) => Some(known_field(field)?),
            None if REFUSED.contains(&name.as_str()) => None,
            None => Some(
                known_field(name)
                    .map_err(|_| LayoutError::UnknownColumn { column: name.clone(), nearest: fields::nearest(name) })?,
            ),
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

/// An empty cell is an absent field.
fn record_object(fields: &[Option<&'static str>], record: &StringRecord) -> Map<String, Value> {
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

/// The CSV reader's own words quote positions only, save for the ones about lengths.
fn plain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8; save the file as UTF-8".into(),
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => "not a CSV record".into(),
    }
}
