//! `ledger rebuild`: what is derived from the record, compared with it and made anew.

use std::process::ExitCode;

use super::progress;
use crate::cli::table::{or_dash, table};
use crate::cli::{ANSWER_IS_NO, CliError, Globals};
use crate::config;
use crate::store::{Difference, Rebuild};

/// How many differences are told one by one.
const LISTED: usize = 50;

/// Compare what is derived from events and journal with what it is derived from, and make it anew where it differs
///
/// These are the folded states that decisions read, and the topics that things are found by. They are made from the
/// rows as they stand, so run `ledger verify` first. A gate may go on meanwhile.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Compare only; exit status 1 when there are differences
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = config::load_settings(&globals.config)?;
    let mut rebuild = Rebuild::open(&settings.store, settings.hash_keys, !args.dry_run)?;
    let (bar, mut tell) = progress(if args.dry_run { "comparing" } else { "rebuilding" });
    let found = rebuild.run(&mut tell)?;
    bar.finish_and_clear();
    if globals.json {
        for difference in &found {
            globals.print_json(&serde_json::to_value(difference).map_err(|e| CliError::Failed(e.to_string()))?)?;
        }
    } else {
        globals.print(&text(&found, args.dry_run, globals.coloured()))?;
    }
    Ok(if args.dry_run && !found.is_empty() { ExitCode::from(ANSWER_IS_NO) } else { ExitCode::SUCCESS })
}

fn text(found: &[Difference], dry_run: bool, coloured: bool) -> String {
    if found.is_empty() {
        return "everything derived is what the record comes to\n".into();
    }
    let mut rows = table(&["table", "contact or message", "controller", "was"], coloured);
    for difference in found.iter().take(LISTED) {
        let controller = or_dash(difference.controller.as_deref());
        rows.add_row([difference.table, &difference.row.to_string(), &controller, difference.what]);
    }
    let more = found.len().saturating_sub(LISTED);
    let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
    let done = if dry_run { "nothing was written (dry run)" } else { "made anew, and recorded as an act" };
    format!("{rows}\n{more}{} differences; {done}\n", found.len())
}
