//! `journal handed-on`: unsubscribes on their way to the mailers whose links ours replaced.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::moment::shown;
use crate::cli::table::{self, or_dash, printable};
use crate::cli::{CliError, Globals};
use crate::store::{HandOn, Reader};

pub(super) fn run(limit: usize, globals: &Globals, reader: &mut Reader) -> Result<ExitCode, CliError> {
    let rows = reader.handed_on(None, limit)?;
    if globals.json {
        rows.iter().try_for_each(|row| globals.print_json(&json!(row)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table::table(&["asked at", "ref", "mailer", "tries", "state", "answer"], globals.coloured());
    for row in &rows {
        table.add_row(vec![
            shown(row.queued_at),
            row.reference.clone(),
            printable(&row.host),
            row.tries.to_string(),
            state(row).to_owned(),
            or_dash(row.result.as_deref()),
        ]);
    }
    globals.print(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn state(row: &HandOn) -> &'static str {
    match (row.done, row.next_at) {
        (true, _) => "done",
        (false, Some(_)) => "waits",
        (false, None) => "given up",
    }
}

/// In a line of the message's story.
pub(super) fn told(row: &HandOn) -> String {
    let answer = row.result.as_deref().map(|result| format!(": {result}")).unwrap_or_default();
    let at = row.tried_at.map(|at| format!(" at {}", shown(at))).unwrap_or_default();
    match (row.done, row.next_at) {
        (true, _) => format!("passed on to {}{answer}{at}", row.host),
        (false, Some(next)) => format!("to {}, tried {} times{answer}{at}, next {}", row.host, row.tries, shown(next)),
        (false, None) => format!("not passed on to {}{answer}{at}", row.host),
    }
}
