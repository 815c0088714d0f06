//! `consentry ledger`: the evidence chain, its checkpoints, and what is derived from the record.

mod checkpoint;
mod rebuild;
mod verify;

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{CliError, Globals};
use crate::config::{self, Settings};
use crate::consent::ledger::checkpoint::{PublicKey, SigningKeys};

/// The evidence chain: verify it, sign checkpoints of it, make anew what is derived from it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(verify::Args),
    Checkpoint(checkpoint::Args),
    Rebuild(rebuild::Args),
    /// The key that checkpoints are checked with, for whoever is to check them; older ones behind it
    PublicKey,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Verify(args) => verify::run(args, globals),
        Command::Checkpoint(args) => checkpoint::run(args, globals),
        Command::Rebuild(args) => rebuild::run(args, globals),
        Command::PublicKey => public_keys(globals),
    }
}

fn public_keys(globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = config::load_settings(&globals.config)?;
    for (place, key) in signing_keys(&settings)?.public().into_iter().enumerate() {
        let key = PublicKey { name: settings.ledger_origin(), key };
        if globals.json {
            globals.print_json(&json!({"public_key": key.to_string(), "in_use": place == 0}))?;
        } else {
            globals.print(&format!("{key}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn signing_keys(settings: &Settings) -> Result<&SigningKeys, CliError> {
    let missing = "the settings name no signing key; write signing_key_file = \"signing.key\" below [keys], with 32 random \
                   bytes in base64 in that file (`openssl rand -base64 32`)";
    settings.signing_keys.as_ref().ok_or_else(|| CliError::Usage(missing.into()))
}

/// A bar over rows, on a terminal only.
fn progress(doing: &'static str) -> (ProgressBar, impl FnMut(u64, u64)) {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(doing);
    let shown = bar.clone();
    let tell = move |done, all| {
        shown.set_length(all);
        shown.set_position(done);
    };
    (bar, tell)
}
