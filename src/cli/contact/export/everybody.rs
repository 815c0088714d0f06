//! Every event of everybody, as `contact import` reads it, a page at a time.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

use super::{Args, Format};
use crate::cli::CliError;
use crate::cli::output::{Stopped, record, write_to};
use crate::consent::event::{FIELDS, RecordedEvent};
use crate::store::Reader;

/// How many events are read at once; the gate goes on writing in between.
const PAGE: usize = 1000;

pub(super) fn run(args: &Args, reader: &mut Reader) -> Result<ExitCode, CliError> {
    write_to(args.out.as_deref(), |out| write_all(args, reader, out))?;
    Ok(ExitCode::SUCCESS)
}

fn write_all(args: &Args, reader: &mut Reader, out: &mut dyn Write) -> Result<(), Stopped> {
    let columns = columns();
    if args.format == Format::Csv {
        out.write_all(&record(&columns))?;
    }
    let mut last = 0;
    loop {
        let page = reader.events_after(last, PAGE)?;
        let Some(end) = page.last() else { return Ok(()) };
        last = end.seq;
        let asked = |known: &&RecordedEvent| args.controller.as_ref().is_none_or(|id| *id == known.event.controller);
        for known in page.iter().filter(asked) {
            match args.format {
                Format::Ndjson => writeln!(out, "{}", known.event.to_canonical_json())?,
                Format::Csv => out.write_all(&record(cells(known, &columns)))?,
            }
        }
    }
}

/// Each field once, in the order of the table.
fn columns() -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    FIELDS.iter().map(|field| field.name).filter(|name| seen.insert(*name)).collect()
}

fn cells(known: &RecordedEvent, columns: &[&str]) -> Vec<String> {
    let fields = serde_json::to_value(&known.event).unwrap_or_default();
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    columns.iter().map(|column| text(&fields[*column])).collect()
}
