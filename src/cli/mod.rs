//! One file per subcommand.

mod check;
mod contact;
mod demo;
mod dkim;
mod explain;
mod form;
mod inbox;
mod init;
mod journal;
mod keys;
mod ledger;
mod moment;
mod output;
mod policy;
mod proof;
mod reload;
mod retention;
mod rights;
mod serve;
mod table;

use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ColorChoice, Parser, Subcommand};

use crate::config::ConfigErrors;
use crate::store::StoreError;
use crate::web::Problem;

/// An SMTP relay proxy that enforces consent: promotional mail reaches only the recipients who agreed.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 done, 1 the answer is no, 2 usage or settings, 3 the gate or its store failed.")]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Args)]
pub struct Globals {
    /// The settings file
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/consentry/consentry.toml")]
    pub config: PathBuf,
    /// Write JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Whether to write in colour; NO_COLOR counts where this is auto
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Contact(contact::Args),
    Explain(explain::Args),
    Inbox(inbox::Args),
    Form(form::Args),
    Journal(journal::Args),
    Keys(keys::Args),
    Ledger(ledger::Args),
    Serve(serve::Args),
    Demo(demo::Args),
    Dkim(dkim::Args),
    Reload(reload::Args),
    Policy(policy::Args),
    Retention(retention::Args),
    Rights(rights::Args),
}

/// Runs the subcommand that was asked for.
pub fn run(cli: &Cli) -> Result<ExitCode, CliError> {
    match &cli.command {
        Command::Init(args) => init::run(args, &cli.globals),
        Command::Check(args) => check::run(args, &cli.globals),
        Command::Contact(args) => contact::run(args, &cli.globals),
        Command::Explain(args) => explain::run(args, &cli.globals),
        Command::Inbox(args) => inbox::run(args, &cli.globals),
        Command::Form(args) => form::run(args, &cli.globals),
        Command::Journal(args) => journal::run(args, &cli.globals),
        Command::Keys(args) => keys::run(args, &cli.globals),
        Command::Ledger(args) => ledger::run(args, &cli.globals),
        Command::Serve(args) => serve::run(args, &cli.globals),
        Command::Demo(args) => demo::run(args, &cli.globals),
        Command::Dkim(args) => dkim::run(args, &cli.globals),
        Command::Reload(args) => reload::run(args, &cli.globals),
        Command::Policy(args) => policy::run(args, &cli.globals),
        Command::Retention(args) => retention::run(args, &cli.globals),
        Command::Rights(args) => rights::run(args, &cli.globals),
    }
}

impl Globals {
    /// Whether standard output takes colour.
    pub fn coloured(&self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                std::io::stdout().is_terminal() && !declined
            }
        }
    }

    /// Writes to standard output. A reader that has seen enough (`| head`) is no failure.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(CliError::Failed(format!("standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes one JSON document to standard output.
    pub fn print_json(&self, document: &serde_json::Value) -> Result<(), CliError> {
        self.print(&format!("{document}\n"))
    }
}

/// Why a subcommand did not do what it was asked, sorted by what it means to whoever called it.
#[derive(Debug)]
pub enum CliError {
    /// The arguments ask for something that cannot be.
    Usage(String),
    /// The settings or the policy are wrong.
    Settings(ConfigErrors),
    /// Templates and words of the public pages.
    Pages(Vec<Problem>),
    /// The gate or its store failed.
    Failed(String),
}

impl CliError {
    /// 2 usage or settings, 3 the gate or its store failed.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Usage(_) | CliError::Settings(_) | CliError::Pages(_) => ExitCode::from(2),
            CliError::Failed(_) => ExitCode::from(3),
        }
    }
}

/// The exit status of an answer that is no.
pub const ANSWER_IS_NO: u8 = 1;

impl fmt::Display for CliError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Usage(message) | CliError::Failed(message) => write!(formatter, "consentry: {message}"),
            // Each line begins with its place, as editors expect it.
            CliError::Settings(errors) => errors.fmt(formatter),
            CliError::Pages(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                formatter.write_str(&lines.join("\n"))
            }
        }
    }
}

impl std::error::Error for CliError {}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> CliError {
        match error {
            StoreError::IdTaken { .. } => CliError::Usage(error.to_string()),
            error => CliError::Failed(error.to_string()),
        }
    }
}

impl From<ConfigErrors> for CliError {
    fn from(errors: ConfigErrors) -> CliError {
        CliError::Settings(errors)
    }
}
