//! `contact show` and `contact history`: one person, as the decisions see them.

use std::fmt::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::journal;
use crate::cli::moment::shown;
use crate::cli::table::{self, list, or_dash, printable};
use crate::cli::{ANSWER_IS_NO, CliError, Globals};
use crate::config;
use crate::consent::event::RecordedEvent;
use crate::consent::state::{Consulted, Suppression};
use crate::policy::classify::Classification;
use crate::policy::decide::{Consultation, decide};
use crate::policy::horizon::{Ground, Horizon, horizon};
use crate::policy::rules::{Controller, Policy, Topic};
use crate::policy::verdict::Verdict;
use crate::smtp::address::EmailAddress;
use crate::store::{Contact, Reader};

/// What one controller knows of the person and may send.
struct View<'a> {
    controller: &'a Controller,
    events: usize,
    suppressed: Option<Suppression>,
    /// What a message on each topic would meet now.
    topics: Vec<(&'a Topic, Verdict)>,
    /// Until when, on which ground.
    horizon: Horizon,
}

pub(super) fn state(address: &EmailAddress, globals: &Globals) -> Result<ExitCode, CliError> {
    let (settings, policy) = config::load(&globals.config)?;
    let mut reader = Reader::open(&settings.store, settings.hash_keys)?;
    let contact = reader.contact(address)?;
    let relatives = reader.relatives(address)?;
    let mut views = Vec::new();
    for controller in policy.controllers.values() {
        views.push(view(&mut reader, &policy, controller, address)?);
    }
    let known = contact.is_some() || !relatives.is_empty() || views.iter().any(|view| view.suppressed.is_some());
    if globals.json {
        globals.print_json(&as_json(address, contact.as_ref(), &relatives, &views, &mut reader)?)?;
    } else {
        globals.print(&as_text(address, contact.as_ref(), &relatives, &views, globals.coloured()))?;
    }
    Ok(if known { ExitCode::SUCCESS } else { ExitCode::from(ANSWER_IS_NO) })
}

fn view<'a>(
    reader: &mut Reader,
    policy: &'a Policy,
    controller: &'a Controller,
    address: &EmailAddress,
) -> Result<View<'a>, CliError> {
    let (mut known, _) = reader.consult(&controller.id, std::slice::from_ref(address))?;
    let known: Consulted = known.pop().unwrap_or_default();
    let now = Timestamp::now();
    let verdict =
        |topic: &Topic| decide(policy, &advertising(controller, topic), address, Consultation::Known(&known), now);
    let topics = policy.topics.values().filter(|topic| topic.controller == controller.id);
    let topics = topics.map(|topic| (topic, verdict(topic))).collect();
    let events = known.exact.as_ref().map_or(0, |state| state.events.len());
    let horizon = horizon(policy, &controller.id, address, &known, now);
    Ok(View { controller, events, suppressed: known.suppressed, topics, horizon })
}

/// A plain promotional message on one topic.
fn advertising(controller: &Controller, topic: &Topic) -> Classification {
    Classification::of_advertising(&controller.id, vec![topic.path.clone()], topic.families.clone())
}

fn as_text(
    address: &EmailAddress,
    contact: Option<&Contact>,
    relatives: &[Contact],
    views: &[View<'_>],
    coloured: bool,
) -> String {
    let mut text = match contact {
        Some(contact) => format!("{} (contact {})\n", contact.address, contact.id),
        None => format!("{address}: nothing is known of this address\n"),
    };
    if !relatives.is_empty() {
        let names: Vec<&str> = relatives.iter().map(|one| one.address.as_str()).collect();
        _ = writeln!(text, "an objection of these counts too: {}", list(&names));
    }
    for view in views {
        _ = writeln!(text, "\n{} ({}), {} events", printable(&view.controller.name), view.controller.id, view.events);
        if let Some(kept) = &view.suppressed {
            let topics = if kept.topics.is_empty() { "everything".into() } else { list(&kept.topics) };
            _ = writeln!(text, "objected to {topics} on {}, kept as a hash", shown(kept.at));
        }
        let mut table = table::table(&["topic", "now", "reason", "because", "last day"], coloured);
        for (topic, verdict) in &view.topics {
            table.add_row(vec![
                topic.path.clone().into(),
                table::decision(verdict.decision.as_str(), coloured),
                verdict.reason.as_str().into(),
                printable(&verdict.because.to_string()).into(),
                comfy_table::Cell::from(verdict.last_day.map_or_else(|| "-".into(), |day| day.to_string())),
            ]);
        }
        _ = writeln!(text, "{table}");
        if !view.horizon.grounds.is_empty() {
            _ = writeln!(text, "\n{}", grounds(&view.horizon, coloured));
        }
    }
    text
}

/// What holds, and what held once.
fn grounds(horizon: &Horizon, coloured: bool) -> comfy_table::Table {
    let mut table = table::table(&["ground", "for", "only", "until", "events"], coloured);
    let only = |ground: &Ground| {
        let confined: Vec<&String> = ground.families.iter().chain(&ground.functions).collect();
        if confined.is_empty() { "-".to_owned() } else { list(&confined) }
    };
    for ground in &horizon.grounds {
        let topics = if ground.topics.is_empty() { "nothing: objected".into() } else { list(&ground.topics) };
        let over = if ground.last_day < horizon.today { " (over)" } else { "" };
        table.add_row([
            ground.basis.to_string(),
            topics,
            only(ground),
            format!("{}{over}", ground.last_day),
            list(&ground.events.iter().map(i64::to_string).collect::<Vec<_>>()),
        ]);
    }
    table
}

fn as_json(
    address: &EmailAddress,
    contact: Option<&Contact>,
    relatives: &[Contact],
    views: &[View<'_>],
    reader: &mut Reader,
) -> Result<Value, CliError> {
    let states = contact.map(|contact| reader.states(contact.id)).transpose()?.unwrap_or_default();
    let topic = |(topic, verdict): &(&Topic, Verdict)| {
        json!({
            "topic": topic.path, "decision": verdict.decision, "reason": verdict.reason, "because": verdict.because.to_string(),
            "events": verdict.events, "last_day": verdict.last_day.map(|day| day.to_string()),
        })
    };
    let controllers = views.iter().map(|view| {
        let state = states.iter().find(|(id, _)| *id == view.controller.id).map(|(_, state)| state);
        json!({
            "controller": view.controller.id,
            "topics": view.topics.iter().map(topic).collect::<Vec<_>>(),
            "suppressed": view.suppressed,
            "grounds": view.horizon.grounds,
            "kept_until": view.horizon.kept_until,
            "events": state.map(|state| state.events.iter().map(event_json).collect::<Vec<_>>()),
        })
    });
    Ok(json!({
        "address": contact.map_or(address, |contact| &contact.address),
        "contact": contact.map(|contact| contact.id),
        "relatives": relatives.iter().map(|one| &one.address).collect::<Vec<_>>(),
        "controllers": controllers.collect::<Vec<_>>(),
    }))
}

pub(super) fn history(address: &EmailAddress, globals: &Globals) -> Result<ExitCode, CliError> {
    let mut reader = journal::open(globals)?;
    let Some(contact) = reader.contact(address)? else {
        if !globals.json {
            globals.print(&format!("{address}: nothing is known of this address\n"))?;
        }
        return Ok(ExitCode::from(ANSWER_IS_NO));
    };
    let events = reader.history(contact.id)?;
    if globals.json {
        events.iter().try_for_each(|event| globals.print_json(&event_json(event)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = ["event", "at", "recorded", "controller", "type", "topics", "how", "actor", "source", "further"];
    let mut table = table::table(&columns, globals.coloured());
    for recorded in &events {
        table.add_row(row(recorded));
    }
    globals.print(&format!("{table}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The event as it came in, with its number and the moment it counts from.
fn event_json(recorded: &RecordedEvent) -> Value {
    let mut told = serde_json::to_value(&recorded.event).unwrap_or_default();
    told["seq"] = recorded.seq.into();
    told["effective_at"] = recorded.at.to_string().into();
    told
}

fn row(recorded: &RecordedEvent) -> [String; 10] {
    let event = &recorded.event;
    let topics = match &event.topics {
        Some(topics) => list(topics),
        None if event.kind.is_objection() => "*".into(),
        None => "-".into(),
    };
    [
        recorded.seq.to_string(),
        shown(recorded.at),
        event.recorded_at.map_or_else(|| "-".into(), shown),
        event.controller.clone(),
        event.kind.to_string(),
        topics,
        or_dash(event.mechanism.as_deref()),
        or_dash(event.actor.map(|actor| actor.as_str())),
        or_dash(event.source.as_deref()),
        further(recorded),
    ]
}

/// The fields that have no column.
fn further(recorded: &RecordedEvent) -> String {
    const SHOWN: [&str; 10] =
        ["address", "controller", "type", "at", "recorded_at", "topics", "mechanism", "actor", "source", "id"];
    let Value::Object(fields) = serde_json::to_value(&recorded.event).unwrap_or_default() else { return "-".into() };
    let fields = fields.iter().filter(|(name, value)| !SHOWN.contains(&name.as_str()) && **value != "email");
    let told = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    };
    list(&fields.map(told).collect::<Vec<_>>())
}
