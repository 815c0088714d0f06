//! `contact erase`: forgets a person, after saying what goes and what stays.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write as _};
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use serde_json::{Value, json};

use super::record;
use crate::cli::moment::shown;
use crate::cli::{ANSWER_IS_NO, CliError, Globals};
use crate::config;
use crate::consent::event::{Actor, ConsentEvent, EventType};
use crate::consent::ledger::dropped::Part;
use crate::policy::rules::Policy;
use crate::smtp::address::EmailAddress;
use crate::store::{Erasable, Erasure, Reader, Store};

/// Forget a person: what names them goes, what proves what was said stays
///
/// Says what it will do and asks. What goes: address, remarks, folded state, recipient and reply in the journal, and the
/// header facts of messages that went to nobody else. What stays: what was said and when without who said it, decisions
/// without the recipient, and, when the person had objected, a keyed hash by which the objection goes on counting for
/// everything. The ledger goes on holding, and records which rows lost what. Exit status 1 when nothing is known of the
/// address, or the answer is no.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_name = "ADDR", value_parser = EmailAddress::parse)]
    address: EmailAddress,
    /// Only what this controller has; else what any of them has
    #[arg(long, value_name = "ID")]
    controller: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Who erases
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

pub(super) fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    let operator = record::operator(args.by.as_deref())?;
    let mut reader = Reader::open(&settings.store, settings.hash_keys.clone())?;
    let controllers: Vec<&str> = policy.controllers.keys().map(String::as_str).collect();
    let mut known = reader.erasable(&args.address, &controllers)?;
    known.retain(|one| args.controller.as_ref().is_none_or(|controller| one.controller == *controller));
    if known.is_empty() {
        if globals.json {
            globals.print_json(&json!({"address": args.address, "erased": []}))?;
        } else {
            globals.print(&format!("{}: nothing is known of this address\n", args.address))?;
        }
        return Ok(ExitCode::from(ANSWER_IS_NO));
    }
    if !args.yes && !confirmed(&args.address, &known, &policy)? {
        return Ok(ExitCode::from(ANSWER_IS_NO));
    }
    let store = Store::open(&settings.store, settings.hash_keys)?;
    let mut erased = Vec::new();
    for one in &known {
        erased.push(erase(&store, &mut reader, &args.address, &one.controller, &operator)?);
    }
    // The last to close carries the log over into the file, and a reader may not.
    drop(reader);
    store.shutdown();
    if globals.json {
        let erased: Vec<Value> = erased.iter().map(as_json).collect();
        globals.print_json(&json!({"address": args.address, "erased": erased}))?;
    } else {
        globals.print(&as_text(&args.address, &erased, &policy))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn erase(
    store: &Store,
    reader: &mut Reader,
    address: &EmailAddress,
    controller: &str,
    operator: &str,
) -> Result<Erasure, CliError> {
    let event = ConsentEvent {
        at: Some(Timestamp::now()),
        actor: Some(Actor::Operator),
        source: Some(format!("operator:{operator}")),
        ..ConsentEvent::new(address.clone(), controller, EventType::Erase)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| CliError::Failed(format!("no runtime: {e}")))?;
    let seq = runtime.block_on(store.record_event(event))?;
    let erasure = reader.erasure(seq)?;
    erasure.ok_or_else(|| CliError::Failed(format!("event {seq} was recorded, but the ledger has no erasure by it")))
}

/// Tells what would happen and asks, on the terminal.
fn confirmed(address: &EmailAddress, known: &[Erasable], policy: &Policy) -> Result<bool, CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::Usage("nobody is there to be asked; say --yes to erase without a question".into()));
    }
    let mut asked = plan(address, known, policy);
    asked.push_str("\nThis cannot be undone. Erase? [y/N] ");
    let mut terminal = std::io::stderr();
    let failed = |error: std::io::Error| CliError::Failed(format!("the terminal: {error}"));
    terminal.write_all(asked.as_bytes()).and_then(|()| terminal.flush()).map_err(failed)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "o" | "oui"))
}

fn plan(address: &EmailAddress, known: &[Erasable], policy: &Policy) -> String {
    let mut text = format!("{address}\n");
    for one in known {
        _ = writeln!(text, "\n{}", one.controller);
        _ = writeln!(text, "  goes   who said it, in {} events, and what was folded from them", one.events);
        _ = writeln!(text, "  goes   recipient and reply in {} decisions of the journal", one.decisions);
        _ = writeln!(text, "  stays  what was said, and what was decided, without the person{}", kept_for(policy));
        if let Some(at) = one.objected_at {
            _ = writeln!(text, "  stays  the objection of {}, as a keyed hash; it counts for everything", shown(at));
        }
    }
    text
}

fn kept_for(policy: &Policy) -> String {
    let printer = SpanPrinter::new().spacing(Spacing::BetweenUnitsAndDesignators).designator(Designator::Verbose);
    let span = policy.knobs.evidence_retention.as_ref().map(|span| printer.span_to_string(span));
    span.map_or_else(String::new, |span| format!(" (evidence_retention: {span})"))
}

fn as_json(erasure: &Erasure) -> Value {
    let count = |part| erasure.dropped.count(part);
    json!({
        "controller": erasure.controller,
        "event": erasure.event,
        "act": erasure.act,
        "events": count(Part::EventPersonal),
        "decisions": count(Part::DecisionPerson),
        "messages": count(Part::MessagePrivate),
        "replies": count(Part::OutcomeText),
        "objection_kept": erasure.objection_kept,
        "contact_gone": erasure.contact_gone,
        "pseudonym": erasure.pseudonym,
    })
}

fn as_text(address: &EmailAddress, erased: &[Erasure], policy: &Policy) -> String {
    let mut text = String::new();
    for erasure in erased {
        let count = |part| erasure.dropped.count(part);
        let Erasure { controller, event, act, .. } = erasure;
        _ = writeln!(text, "{controller}: erased {address} (event {event}, act {act} of the ledger)");
        _ = writeln!(text, "  gone   who said it, in {} events, this one among them", count(Part::EventPersonal));
        _ = writeln!(
            text,
            "  gone   recipient and reply in {} decisions, header facts of {} messages",
            count(Part::DecisionPerson),
            count(Part::MessagePrivate)
        );
        _ = writeln!(text, "  stays  what was said, and what was decided, without the person{}", kept_for(policy));
        if erasure.objection_kept {
            _ = writeln!(text, "  stays  the objection, as a keyed hash; it counts for everything");
        }
    }
    if !erased.iter().any(|erasure| erasure.contact_gone) {
        text.push_str("other controllers still have something of this person\n");
    }
    text
}
