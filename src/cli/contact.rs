//! `consentry contact`: what is known of one person, and how more is recorded.

mod import;
mod record;
mod show;
mod text;

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::{CliError, Globals};
use crate::consent::import::Terms;
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;

/// One person, or many: folded state, events, recording, bulk import
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What is known of an address, and what mail it would get now; exit status 1 when nothing is
    Show {
        #[arg(value_name = "ADDR", value_parser = EmailAddress::parse)]
        address: EmailAddress,
    },
    /// Every event of an address, as it was recorded
    History {
        #[arg(value_name = "ADDR", value_parser = EmailAddress::parse)]
        address: EmailAddress,
    },
    Record(Box<record::Args>),
    Import(import::Args),
    Text(text::Args),
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Show { address } => show::state(address, globals),
        Command::History { address } => show::history(address, globals),
        Command::Record(args) => record::run(args, globals),
        Command::Import(args) => import::run(args, globals),
        Command::Text(args) => text::run(args, globals),
    }
}

/// What the policy knows, for events to be held to.
fn terms(policy: &Policy) -> Terms {
    let aliases = policy.topics.values().flat_map(|topic| topic.aliases.iter());
    let topics: BTreeSet<String> = policy.topics.keys().chain(aliases).cloned().collect();
    Terms { controllers: policy.controllers.keys().cloned().collect(), topics, ..Terms::default() }
}
