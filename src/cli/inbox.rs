//! `consentry inbox`: mail to the gate that a person has to look at.

use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::json;

use super::contact::{operator, terms, the_controller};
use super::moment::shown;
use super::table::{self, or_dash, printable};
use super::{ANSWER_IS_NO, CliError, Globals, journal};
use crate::config;
use crate::consent::event::{Actor, ConsentEvent, EventType};
use crate::policy::bounce;
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;
use crate::store::{Resolution, Store, UnclearRow};

/// Mail to the gate that no program could make out: list, show, resolve
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What waits for somebody to look at it, the oldest first
    List,
    /// One message as it came, its beginning at least
    Show {
        /// Its number, from `inbox list`
        id: i64,
    },
    /// Say what a message is: an event is recorded, and the message is dropped
    Resolve(ResolveArgs),
}

#[derive(Debug, clap::Args)]
struct ResolveArgs {
    /// Its number, from `inbox list`
    id: i64,
    /// What it is
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    taken_as: TakenAs,
    /// Whom it is about; may be left out when `inbox list` says so
    #[arg(long, value_name = "ADDR", value_parser = EmailAddress::parse)]
    address: Option<EmailAddress>,
    /// Whose mail it is about; may be left out when `inbox list` says so or the policy has one controller
    #[arg(long, value_name = "ID")]
    controller: Option<String>,
    /// The topics that the person leaves, separated by commas; without any, everything
    #[arg(long, value_delimiter = ',', value_name = "TOPIC")]
    topics: Vec<String>,
    /// Of a bounce: the address may be good, only this message did not arrive
    #[arg(long)]
    soft: bool,
    /// Who decides
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TakenAs {
    /// The person wants to leave
    Object,
    /// Nobody gets mail at that address
    Bounce,
    /// The person complained
    Complaint,
    /// Nothing follows from it
    Nothing,
}

impl TakenAs {
    fn as_str(self) -> &'static str {
        match self {
            TakenAs::Object => "object",
            TakenAs::Bounce => "bounce",
            TakenAs::Complaint => "complaint",
            TakenAs::Nothing => "nothing",
        }
    }
}

pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    match &args.command {
        Command::List => list(globals),
        Command::Show { id } => show(*id, globals),
        Command::Resolve(args) => resolve(args, globals),
    }
}

fn list(globals: &Globals) -> Result<ExitCode, CliError> {
    let rows = journal::open(globals)?.unclear_mail()?;
    if globals.json {
        rows.iter().try_for_each(|row| globals.print_json(&json!(row)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table::table(&["id", "at", "why", "controller", "address"], globals.coloured());
    for row in &rows {
        table.add_row(vec![
            row.id.to_string(),
            shown(row.at),
            row.why.clone(),
            or_dash(row.controller.as_deref()),
            printable(&or_dash(row.address.as_deref())),
        ]);
    }
    globals.print(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn show(id: i64, globals: &Globals) -> Result<ExitCode, CliError> {
    let Some((row, message)) = journal::open(globals)?.unclear_message(id)? else { return no_such_mail(globals) };
    let message = String::from_utf8_lossy(&message).replace("\r\n", "\n");
    if globals.json {
        let mut document = json!(row);
        document["message"] = message.into();
        globals.print_json(&document)?;
        return Ok(ExitCode::SUCCESS);
    }
    // What came from outside is not let near a terminal's controls.
    let lines: String = message.lines().map(|line| format!("{}\n", printable(line))).collect();
    globals.print(&format!("{}\n\n{lines}", told(&row)))?;
    Ok(ExitCode::SUCCESS)
}

fn told(row: &UnclearRow) -> String {
    let about = |name: &str, value: &Option<String>| {
        value.as_ref().map_or_else(String::new, |value| format!(", {name} {}", printable(value)))
    };
    format!("{} {} {}{}{}", row.id, shown(row.at), row.why, about("of", &row.controller), about("about", &row.address))
}

fn resolve(args: &ResolveArgs, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    let by = operator(args.by.as_deref())?;
    let store = Store::open(&settings.store, settings.hash_keys)?;
    let Some((row, _)) = store.reader()?.unclear_message(args.id)? else { return no_such_mail(globals) };
    let event = event(args, &row, &by, &policy, Timestamp::now())?.map(Box::new);
    let what = args.taken_as.as_str();
    let resolution = Resolution { id: args.id, taken_as: what.to_owned(), by, event };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| CliError::Failed(format!("no runtime: {e}")))?;
    let Some(seq) = runtime.block_on(store.resolve_unclear_mail(resolution))? else { return no_such_mail(globals) };
    store.shutdown();
    let event = (seq > 0).then_some(seq);
    if globals.json {
        globals.print_json(&json!({"id": args.id, "as": what, "event": event}))?;
    } else {
        let recorded = event.map_or_else(String::new, |seq| format!(", recorded as event {seq}"));
        globals.print(&format!("message {} taken as {what}{recorded}\n", args.id))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `None`: nothing follows.
fn event(
    args: &ResolveArgs,
    row: &UnclearRow,
    by: &str,
    policy: &Policy,
    now: Timestamp,
) -> Result<Option<ConsentEvent>, CliError> {
    let kind = match args.taken_as {
        TakenAs::Nothing => return Ok(None),
        TakenAs::Object => EventType::Object,
        TakenAs::Bounce => EventType::Bounce,
        TakenAs::Complaint => EventType::Complaint,
    };
    let known = row.address.as_deref().and_then(|address| EmailAddress::parse(address).ok());
    let address = args.address.clone().or(known);
    let address = address.ok_or_else(|| CliError::Usage("say whom it is about: --address ADDR".into()))?;
    let named = args.controller.as_deref().or(row.controller.as_deref());
    let controller = the_controller(named, policy)?;
    let event = match kind {
        EventType::Bounce => ConsentEvent { id: None, ..bounce::event(address, &controller, !args.soft, now, policy) },
        _ => ConsentEvent {
            at: Some(row.at),
            topics: (!args.topics.is_empty()).then(|| args.topics.clone()),
            mechanism: (kind == EventType::Object).then(|| "mailto".to_owned()),
            ..ConsentEvent::new(address, controller, kind)
        },
    };
    let event = ConsentEvent {
        actor: Some(Actor::Operator),
        source: Some(format!("operator:{by}")),
        note: Some(format!("decided by {by} on message {} to the gate ({})", row.id, row.why)),
        ..event
    };
    terms(policy).known(&event).map_err(|e| CliError::Usage(e.to_string()))?;
    Ok(Some(event))
}

fn no_such_mail(globals: &Globals) -> Result<ExitCode, CliError> {
    if !globals.json {
        globals.print("no such message waits\n")?;
    }
    Ok(ExitCode::from(ANSWER_IS_NO))
}
