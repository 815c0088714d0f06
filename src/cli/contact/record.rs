//! `contact record`: one event by hand, with the operator's name.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::ask::Asker;
use super::{terms, the_controller};
use crate::cli::moment::Moment;
use crate::cli::{CliError, Globals};
use crate::config::{self, Settings};
use crate::consent::event::{ConsentEvent, EventType};
use crate::consent::import::value_of;
use crate::policy::rules::Policy;
use crate::store::{Store, StoreError};

/// One event by hand, with the operator's name
///
/// For what a person said on the phone, in a letter, in a reply. `--field` takes any further field of the event's
/// type, e.g. `--type purchase --field state=paid --field families=book`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "ADDR")]
    address: String,
    /// What happened: object, withdraw, opt_in, contact …
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// To whom it was said; may be left out when the policy has one controller
    #[arg(long, value_name = "ID")]
    controller: Option<String>,
    /// Topics, separated by commas; an objection without any is about everything
    #[arg(long, value_delimiter = ',', value_name = "TOPIC")]
    topics: Vec<String>,
    /// When the person acted; else now
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// How it was said
    #[arg(long)]
    mechanism: Option<String>,
    /// The wording that was shown
    #[arg(long)]
    text_version: Option<String>,
    /// Where it was said, like `phone:hotline`; else the operator's name
    #[arg(long)]
    source: Option<String>,
    /// Who acted: operator, or person or delegate when theirs is on paper or on tape
    #[arg(long, default_value = "operator")]
    actor: String,
    /// A remark
    #[arg(long)]
    note: Option<String>,
    /// Who records it
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Ask the person by mail to confirm it with their own tick, as `contact ask` does
    #[arg(long)]
    ask: bool,
    /// A further field, as NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    field: Vec<(String, String)>,
}

/// `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    let event = event(args, &policy, Timestamp::now())?;
    let (address, kind, controller) = (event.address.clone(), event.kind, event.controller.clone());
    let asker = args.ask.then(|| Asker::open(settings.clone(), policy, None)).transpose()?;
    let (seq, asked) = match asker {
        Some(asker) => {
            let seq = asker.record(event)?;
            (seq, asker.ask_about(seq)?)
        }
        None => (record(settings, event)?, false),
    };
    if args.ask && !asked {
        eprintln!("warning: event {seq} needs no confirmation, or cannot be confirmed any more: nobody is asked");
    }
    if globals.json {
        let mut told = json!({"seq": seq, "address": address, "type": kind, "controller": controller});
        if args.ask {
            told["asked"] = asked.into();
        }
        globals.print_json(&told)?;
    } else {
        globals.print(&format!("recorded {kind} of {address} for {controller} as event {seq}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn record(settings: Settings, event: ConsentEvent) -> Result<i64, CliError> {
    let store = Store::open(&settings.store, settings.hash_keys)?;
    if let Some(seq) = store.reader()?.clash(&event)? {
        return Err(StoreError::IdTaken { seq }.into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| CliError::Failed(format!("no runtime: {e}")))?;
    let seq = runtime.block_on(store.record_event(event))?;
    store.shutdown();
    Ok(seq)
}

fn event(args: &Args, policy: &Policy, now: Timestamp) -> Result<ConsentEvent, CliError> {
    let usage = |error: &dyn std::fmt::Display| CliError::Usage(error.to_string());
    let operator = operator(args.by.as_deref())?;
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| _ = object.insert(name.to_owned(), value);
    put("address", args.address.as_str().into());
    put("type", args.kind.as_str().into());
    put("controller", the_controller(args.controller.as_deref(), policy)?.into());
    put("actor", args.actor.as_str().into());
    put("at", args.at.map_or(now, |at| at.resolve(now)).to_string().into());
    put("source", args.source.clone().unwrap_or_else(|| format!("operator:{operator}")).into());
    let remark = args.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
    put("note", format!("recorded by {operator}{remark}").into());
    let optional = [("mechanism", &args.mechanism), ("text_version", &args.text_version)];
    optional.iter().for_each(|(name, value)| value.iter().for_each(|value| put(name, value.as_str().into())));
    if !args.topics.is_empty() {
        put("topics", args.topics.iter().map(|topic| topic.trim()).collect());
    }
    let kind = EventType::parse(&args.kind);
    args.field.iter().for_each(|(name, value)| put(name, value_of(name, kind, value)));
    let event = ConsentEvent::from_json(&Value::Object(object).to_string()).map_err(|e| usage(&e))?;
    terms(policy).known(&event).map_err(|e| usage(&e))?;
    Ok(event)
}

/// Who is at the keyboard, unless it is said.
pub(in crate::cli) fn operator(by: Option<&str>) -> Result<String, CliError> {
    let known = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let name = by.map(str::to_owned).or(known).filter(|name| !name.trim().is_empty());
    name.ok_or_else(|| CliError::Usage("say who records it: --by NAME".into()))
}
