//! `journal export`: every decision, a page at a time.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::{FilterArgs, json_line};
use crate::cli::{CliError, Globals};
use crate::store::{DecisionRow, MessageRow, Reader};

/// How many decisions are read at once; the gate goes on writing in between.
const PAGE: usize = 500;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// How the decisions are written
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Where to; standard output when it is not said
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Ndjson,
    /// For spreadsheets: cells a spreadsheet would take for a formula begin with '
    Csv,
}

pub(super) fn run(args: &Args, _: &Globals, reader: &mut Reader) -> Result<ExitCode, CliError> {
    let out: Box<dyn Write> = match &args.out {
        Some(path) => Box::new(File::create_new(path).map_err(|e| unwritable(&path.display().to_string(), &e))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut out = BufWriter::new(out);
    let written = write_all(args, reader, &mut out).and_then(|()| Ok(out.flush()?));
    match written {
        Err(Stopped::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(Stopped::Output(error)) => Err(unwritable("the output", &error)),
        Err(Stopped::Command(error)) => Err(error),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

fn unwritable(what: &str, error: &std::io::Error) -> CliError {
    CliError::Failed(format!("{what} cannot be written: {error}"))
}

enum Stopped {
    Output(std::io::Error),
    Command(CliError),
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Stopped {
        Stopped::Output(error)
    }
}

fn write_all(args: &Args, reader: &mut Reader, out: &mut impl Write) -> Result<(), Stopped> {
    let (filter, mut known) = (args.filter.resolve(), 0);
    let newest = reader.newest_decision().map_err(|e| Stopped::Command(e.into()))?;
    if args.format == Format::Csv {
        out.write_all(&record(COLUMNS.map(str::to_owned)))?;
    }
    loop {
        let rows = reader.decisions_since(&filter, known, PAGE).map_err(|e| Stopped::Command(e.into()))?;
        for (message, decision) in rows.iter().filter(|(_, decision)| decision.id() <= newest) {
            match args.format {
                Format::Ndjson => out.write_all(json_line(message, decision).map_err(Stopped::Command)?.as_bytes())?,
                Format::Csv => out.write_all(&record(cells(message, decision).map(guarded)))?,
            }
        }
        match rows.last() {
            Some((_, decision)) if decision.id() < newest => known = decision.id(),
            _ => return Ok(()),
        }
    }
}

const COLUMNS: [&str; 24] = [
    "at",
    "ref",
    "session",
    "listener",
    "credential",
    "client",
    "envelope_from",
    "message_id",
    "size",
    "class",
    "class_rule",
    "controller",
    "topics",
    "policy",
    "mode",
    "recipient",
    "decision",
    "reason",
    "basis",
    "because",
    "last_day",
    "reply",
    "outcome",
    "upstream_code",
];

fn cells(message: &MessageRow, decision: &DecisionRow) -> [String; 24] {
    let outcome = decision.outcome.as_ref();
    [
        message.at.to_string(),
        message.reference.clone(),
        message.session.clone(),
        message.listener.clone(),
        message.credential.clone().unwrap_or_default(),
        message.client.clone(),
        message.envelope_from.clone(),
        message.message_id.clone().unwrap_or_default(),
        message.size.to_string(),
        message.class.clone(),
        message.class_rule.clone(),
        message.controller.clone().unwrap_or_default(),
        message.topics.join(" "),
        message.policy.clone(),
        message.mode.clone(),
        decision.recipient.clone(),
        decision.decision.clone(),
        decision.reason.clone(),
        decision.basis.clone().unwrap_or_default(),
        decision.because.to_string(),
        decision.last_day.clone().unwrap_or_default(),
        decision.reply.clone().unwrap_or_default(),
        outcome.map(|outcome| outcome.result.clone()).unwrap_or_default(),
        outcome.and_then(|outcome| outcome.code).map(|code| code.to_string()).unwrap_or_default(),
    ]
}

/// A mailer chooses its addresses and identifiers; a spreadsheet must not run them.
fn guarded(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

fn record(cells: [String; 24]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory does not fail, and each record has the same number of cells.
    _ = writer.write_record(&cells);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, expected) in [("=1+1", "'=1+1"), ("@x", "'@x"), ("anna@x.example", "anna@x.example"), ("", "")] {
            assert_eq!(guarded(cell.into()), expected);
        }
    }
}
