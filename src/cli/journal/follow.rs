//! `journal follow`: new decisions as they come.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::{ListArgs, json_line, line};
use crate::cli::{CliError, Globals};
use crate::store::{Filter, Reader};

/// How often the store is asked whether anything was committed; that costs a microsecond.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How many decisions are read at once.
const PAGE: usize = 200;

pub(super) fn run(args: &ListArgs, globals: &Globals, reader: &mut Reader) -> Result<ExitCode, CliError> {
    let filter = args.filter.resolve();
    let mut known = reader.newest_decision()?;
    let mut earlier = reader.decisions(&filter, None, args.limit.min(10))?;
    earlier.retain(|(_, decision)| decision.id() <= known);
    for (message, decision) in earlier.iter().rev() {
        let text = if globals.json { json_line(message, decision)? } else { line(message, decision) };
        if write(&text)?.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let mut version = None;
    loop {
        let now = reader.data_version()?;
        if version.replace(now) != Some(now) && print_new(&filter, &mut known, globals, reader)?.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// None: nobody reads any more.
fn print_new(filter: &Filter, known: &mut i64, globals: &Globals, reader: &mut Reader) -> Result<Option<()>, CliError> {
    loop {
        // What does not pass the filter is behind us too, but only up to what was there before we looked.
        let newest = reader.newest_decision()?;
        let rows = reader.decisions_since(filter, *known, PAGE)?;
        for (message, decision) in &rows {
            let text = if globals.json { json_line(message, decision)? } else { line(message, decision) };
            if write(&text)?.is_none() {
                return Ok(None);
            }
        }
        *known = rows.last().map_or(*known, |(_, decision)| decision.id());
        if rows.len() < PAGE {
            *known = newest.max(*known);
            return Ok(Some(()));
        }
    }
}

fn write(text: &str) -> Result<Option<()>, CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(CliError::Failed(format!("standard output: {error}"))),
    }
}
