//! `journal export`: every decision, a page at a time.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::{FilterArgs, json_line};
use crate::cli::output::{Stopped, record, write_to};
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
    write_to(args.out.as_deref(), |out| write_all(args, reader, out))?;
    Ok(ExitCode::SUCCESS)
}

fn write_all(args: &Args, reader: &mut Reader, out: &mut dyn Write) -> Result<(), Stopped> {
    let (filter, mut known) = (args.filter.resolve(), 0);
    let newest = reader.newest_decision().map_err(|e| Stopped::Command(e.into()))?;
    if args.format == Format::Csv {
        out.write_all(&record(COLUMNS))?;
    }
    loop {
        let rows = reader.decisions_since(&filter, known, PAGE).map_err(|e| Stopped::Command(e.into()))?;
        for (message, decision) in rows.iter().filter(|(_, decision)| decision.id() <= newest) {
            match args.format {
                Format::Ndjson => out.write_all(json_line(message, decision).map_err(Stopped::Command)?.as_bytes())?,
                Format::Csv => out.write_all(&record(cells(message, decision)))?,
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
