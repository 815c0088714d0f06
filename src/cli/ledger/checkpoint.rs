//! `ledger checkpoint`: signs the ledger as it is now.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::json;

use super::signing_keys;
use crate::cli::{CliError, Globals};
use crate::config::{self, CheckpointTo};
use crate::server::checkpoints;
use crate::store::Store;

/// Sign how many entries the ledger has and the root over them
///
/// What is signed is to be kept where whoever can change the store cannot reach it. Without an option it is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write it to this file
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    out: Option<PathBuf>,
    /// Give it to a program on its standard input; everything behind is the program and its arguments
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = config::load_settings(&globals.config)?;
    let signing = signing_keys(&settings)?;
    let store = Store::open(&settings.store, settings.hash_keys.clone())?;
    let new = store.reader()?.sign_checkpoint(signing, &settings.ledger_origin(), Timestamp::now())?;
    let (checkpoint, note) = (new.checkpoint.clone(), new.note.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| CliError::Failed(format!("no runtime: {e}")))?;
    runtime.block_on(store.keep_checkpoint(new))?;
    store.shutdown();
    let failed = |error: checkpoints::OutputError| CliError::Failed(error.to_string());
    match (&args.out, args.command.is_empty()) {
        (Some(file), _) => checkpoints::write_file(file, &note).map_err(failed)?,
        (None, false) => {
            checkpoints::hand_over(&CheckpointTo::Command(args.command.clone()), &checkpoint, &note).map_err(failed)?;
        }
        (None, true) if !globals.json => globals.print(&note)?,
        (None, true) => {}
    }
    if globals.json {
        globals.print_json(&json!({
            "origin": checkpoint.origin, "size": checkpoint.size, "at": checkpoint.at, "note": note,
            "file": args.out.as_ref().map(|file| file.display().to_string()),
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}
