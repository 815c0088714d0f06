//! `consentry journal`: the decisions, as they were recorded.

mod export;
mod follow;
mod handed_on;
mod show;

use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::moment::{Moment, shown};
use super::proof;
use super::table::{self, list, or_dash, printable};
use super::{ANSWER_IS_NO, CliError, Globals};
use crate::config::load_settings;
use crate::policy::verdict::{Decision, Reason};
use crate::policy::word::Word;
use crate::smtp::address::EmailAddress;
use crate::store::{DecisionRow, Filter, MessageRow, Reader};

/// The decisions: list, show, follow, count, export
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The newest decisions, one line per recipient
    List(ListArgs),
    /// The whole story of one message
    Show {
        /// The reference: in the mailer's reply, in the log, in `journal list`
        reference: String,
    },
    /// Decisions as they are made, until Ctrl-C
    Follow(ListArgs),
    /// How many recipients got what answer, and why
    Stats(FilterArgs),
    /// Unsubscribes that were passed on to the mailer's own link, or wait for it
    HandedOn {
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// One decision with all it rests on, in a file that a stranger can check offline
    Proof(proof::MessageArgs),
    /// Every decision, for other programs
    Export(export::Args),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Which decisions.
#[derive(Debug, Default, clap::Args)]
struct FilterArgs {
    /// From this moment on: a time, a day (UTC), or an age like 2h or 3d
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Before this moment
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// allow, block or defer
    #[arg(long, value_parser = word::<Decision>)]
    decision: Option<Decision>,
    /// A reason code like OBJ_TOPIC
    #[arg(long, value_parser = word::<Reason>)]
    reason: Option<Reason>,
    /// A topic, with all below it
    #[arg(long)]
    topic: Option<String>,
    /// A controller's id
    #[arg(long)]
    controller: Option<String>,
    /// The envelope sender; empty for the null sender
    #[arg(long, value_name = "ADDR")]
    sender: Option<String>,
    /// The recipient
    #[arg(long, value_name = "ADDR", value_parser = EmailAddress::parse)]
    recipient: Option<EmailAddress>,
}

/// A word of a closed set, in any case.
fn word<W: Word>(text: &str) -> Result<W, String> {
    let same = |(word, _): &&(&str, W)| word.eq_ignore_ascii_case(text);
    let known = || W::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    W::WORDS.iter().find(same).map(|(_, value)| *value).ok_or_else(|| format!("write one of {}", known()))
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let reader = || open(globals);
    match &args.command {
        Command::List(args) => print_list(args, globals, &mut reader()?),
        Command::Show { reference } => show::run(reference, globals, &mut reader()?),
        Command::Follow(args) => follow::run(args, globals, &mut reader()?),
        Command::Stats(filter) => print_stats(filter, globals, &mut reader()?),
        Command::HandedOn { limit } => handed_on::run(*limit, globals, &mut reader()?),
        Command::Export(args) => export::run(args, globals, &mut reader()?),
        Command::Proof(args) => proof::of_message(args, globals),
    }
}

/// The store of the settings, for reading.
pub fn open(globals: &Globals) -> Result<Reader, CliError> {
    let settings = load_settings(&globals.config)?;
    Ok(Reader::open(&settings.store, settings.hash_keys)?)
}

impl FilterArgs {
    fn resolve(&self) -> Filter {
        let now = Timestamp::now();
        Filter {
            since: self.since.map(|since| since.resolve(now)),
            until: self.until.map(|until| until.resolve(now)),
            decision: self.decision,
            reason: self.reason,
            topic: self.topic.clone(),
            controller: self.controller.clone(),
            sender: self.sender.clone(),
            recipient: self.recipient.clone(),
        }
    }
}

/// One decision on a line of its own, with what is known of its message.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    message: &'a MessageRow,
    #[serde(flatten)]
    decision: &'a DecisionRow,
}

fn json_line(message: &MessageRow, decision: &DecisionRow) -> Result<String, CliError> {
    let line = serde_json::to_string(&Entry { message, decision });
    line.map(|line| line + "\n").map_err(|e| CliError::Failed(e.to_string()))
}

fn print_list(args: &ListArgs, globals: &Globals, reader: &mut Reader) -> Result<ExitCode, CliError> {
    let rows = reader.decisions(&args.filter.resolve(), None, args.limit)?;
    if globals.json {
        for (message, decision) in &rows {
            globals.print(&json_line(message, decision)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let coloured = globals.coloured();
    let columns = ["at", "ref", "class", "topics", "recipient", "decision", "reason", "outcome"];
    let mut table = table::table(&columns, coloured);
    for (message, decision) in &rows {
        table.add_row(vec![
            shown(message.at).into(),
            message.reference.clone().into(),
            message.class.clone().into(),
            list(&message.topics).into(),
            printable(&decision.recipient).into(),
            table::decision(&decision.decision, coloured),
            decision.reason.clone().into(),
            comfy_table::Cell::from(outcome(decision)),
        ]);
    }
    globals.print(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// What became of the copy, in two words.
fn outcome(decision: &DecisionRow) -> String {
    match &decision.outcome {
        Some(outcome) => {
            let code = outcome.code.map(|code| format!(" {code}")).unwrap_or_default();
            format!("{}{code}", outcome.result)
        }
        None if decision.decision == "allow" => "not known".into(),
        None => "-".into(),
    }
}

fn print_stats(filter: &FilterArgs, globals: &Globals, reader: &mut Reader) -> Result<ExitCode, CliError> {
    let counts = reader.counts(&filter.resolve())?;
    if globals.json {
        for count in &counts {
            globals.print_json(&serde_json::to_value(count).map_err(|e| CliError::Failed(e.to_string()))?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let coloured = globals.coloured();
    let mut table = table::table(&["class", "decision", "reason", "recipients", "messages", "share"], coloured);
    let all: i64 = counts.iter().map(|count| count.recipients).sum();
    for count in &counts {
        #[expect(clippy::cast_precision_loss, reason = "a share with one decimal")]
        let share = 100.0 * count.recipients as f64 / all as f64;
        table.add_row(vec![
            count.class.clone().into(),
            table::decision(&count.decision, coloured),
            count.reason.clone().into(),
            count.recipients.into(),
            count.messages.into(),
            comfy_table::Cell::from(format!("{share:.1} %")),
        ]);
    }
    globals.print(&format!("{table}\n{all} recipients in all\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The answer to a question about something that is not there.
fn not_there(globals: &Globals, what: &str) -> Result<ExitCode, CliError> {
    if !globals.json {
        globals.print(&format!("{what}\n"))?;
    }
    Ok(ExitCode::from(ANSWER_IS_NO))
}

/// One line of `follow`.
fn line(message: &MessageRow, decision: &DecisionRow) -> String {
    format!(
        "{}  {}  {:11}  {:5}  {:20}  {}  {}\n",
        shown(message.at),
        message.reference,
        message.class,
        decision.decision,
        decision.reason,
        printable(&decision.recipient),
        or_dash(Some(&message.topics.join(", "))),
    )
}
