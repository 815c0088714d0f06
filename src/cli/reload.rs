//! `consentry reload`: ask a running gate to load its policy again.

use std::process::ExitCode;

use super::{CliError, Globals};
use crate::config;
use crate::server::control;

/// Load the policy again in a running gate. A bad file changes nothing, and the
/// gate says why.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let settings = config::load_settings(&globals.config)?;
    let Some(path) = settings.control else {
        return Err(CliError::Usage(
            "the settings name no control socket: set control = \"/run/consentry/control.sock\", or send the gate SIGHUP"
                .into(),
        ));
    };
    let answer = control::ask(&path, "reload")
        .map_err(|error| CliError::Failed(format!("no gate answers at {}: {error}; is it running?", path.display())))?;
    if globals.json {
        println!("{}", serde_json::to_string(&answer).unwrap_or_default());
    } else if answer.done {
        for warning in &answer.warnings {
            eprintln!("warning: {warning}");
        }
        println!("policy {} is in force", answer.policy);
    } else {
        for error in &answer.errors {
            eprintln!("{error}");
        }
        eprintln!("nothing changed; policy {} stays in force", answer.policy);
    }
    Ok(if answer.done { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
