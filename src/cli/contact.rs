//! `consentry contact`: what is known of one person, and how more is recorded.

mod ask;
mod corrections;
mod erase;
mod export;
mod handovers;
mod import;
mod record;
mod show;
mod text;

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::{CliError, Globals, proof};
use crate::consent::import::Terms;
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;

pub(super) use record::operator;

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
    Ask(ask::Args),
    Erase(erase::Args),
    Import(import::Args),
    Text(text::Args),
    Export(Box<export::Args>),
    /// Every event of an address with the wordings shown, in a file that a stranger can check offline
    Proof(proof::ContactArgs),
    Corrections(corrections::Args),
    /// The lists that were handed to others: who took which, how many stood on it, why others did not
    Handovers,
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::Show { address } => show::state(address, globals),
        Command::History { address } => show::history(address, globals),
        Command::Record(args) => record::run(args, globals),
        Command::Ask(args) => ask::run(args, globals),
        Command::Erase(args) => erase::run(args, globals),
        Command::Import(args) => import::run(args, globals),
        Command::Text(args) => text::run(args, globals),
        Command::Export(args) => export::run(args, globals),
        Command::Proof(args) => proof::of_contact(args, globals),
        Command::Corrections(args) => corrections::run(args, globals),
        Command::Handovers => handovers::run(globals),
    }
}

/// The one that was named, or the only one there is.
pub(super) fn the_controller(named: Option<&str>, policy: &Policy) -> Result<String, CliError> {
    let known: Vec<&str> = policy.controllers.keys().map(String::as_str).collect();
    match (named, &known[..]) {
        (Some(id), _) => Ok(id.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        _ => Err(CliError::Usage(format!("say which --controller: {}", known.join(", ")))),
    }
}

/// What the policy knows, for events to be held to.
pub(super) fn terms(policy: &Policy) -> Terms {
    let aliases = policy.topics.values().flat_map(|topic| topic.aliases.iter());
    let topics: BTreeSet<String> = policy.topics.keys().chain(aliases).cloned().collect();
    Terms { controllers: policy.controllers.keys().cloned().collect(), topics, ..Terms::default() }
}
