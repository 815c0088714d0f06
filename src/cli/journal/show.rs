//! `journal show`: one message from its arrival to what upstream said.

use std::fmt::Write;
use std::process::ExitCode;

use super::{handed_on, not_there, outcome};
use crate::cli::moment::shown;
use crate::cli::table::{list, or_dash, printable};
use crate::cli::{CliError, Globals};
use crate::consent::event::RecordedEvent;
use crate::store::{DecisionRow, Reader, Story};

pub(super) fn run(reference: &str, globals: &Globals, reader: &mut Reader) -> Result<ExitCode, CliError> {
    let reference = reference.trim().to_ascii_uppercase();
    let Some(story) = reader.story(&reference)? else {
        return not_there(globals, "the journal has no such reference");
    };
    if globals.json {
        globals.print_json(&serde_json::to_value(&story).map_err(|e| CliError::Failed(e.to_string()))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = message(&story);
    for row in &story.handed_on {
        text.push_str(&lines(&[("unsubscribe", handed_on::told(row))], ""));
    }
    for decision in &story.decisions {
        text.push_str(&recipient(decision, reader)?);
    }
    globals.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn message(story: &Story) -> String {
    let message = &story.message;
    let credential = message.credential.as_deref().map(|user| format!(", AUTH {user}")).unwrap_or_default();
    let sender = if message.envelope_from.is_empty() { "<>" } else { &message.envelope_from };
    let rows = [
        ("message", message.reference.clone()),
        ("at", shown(message.at)),
        ("from", format!("{sender} by {}, listener {}{credential}", message.client, message.listener)),
        ("message-id", or_dash(message.message_id.as_deref())),
        ("size", format!("{} bytes", message.size)),
        ("class", format!("{} by rule {}", message.class, message.class_rule)),
        ("evidence", list(&message.class_evidence)),
        ("controller", or_dash(message.controller.as_deref())),
        ("topics", list(&message.topics)),
        ("families", list(&message.families)),
        ("policy", format!("{} ({})", message.policy, message.mode)),
        ("upstream", message.upstream.clone()),
        ("notes", list(&message.notes)),
        ("session", message.session.clone()),
    ];
    lines(&rows, "")
}

fn recipient(decision: &DecisionRow, reader: &mut Reader) -> Result<String, CliError> {
    let mut text = format!("\n{}\n", printable(&decision.recipient));
    let basis = decision.basis.as_deref().map(|basis| format!(", basis {basis}")).unwrap_or_default();
    let mut rows = vec![
        ("decision", format!("{} {}{basis}", decision.decision, decision.reason)),
        ("because", decision.because.to_string()),
        ("also", list(&decision.secondary)),
        ("flags", list(&decision.flags)),
        ("last day", or_dash(decision.last_day.as_deref())),
        ("reply", or_dash(decision.reply.as_deref())),
        ("outcome", outcome(decision)),
    ];
    // Of a withheld copy upstream said nothing: its outcome is our own reply, or none.
    let outcome = decision.outcome.as_ref().filter(|_| decision.reply.is_none());
    if let Some((outcome, said)) = outcome.and_then(|outcome| Some((outcome, outcome.text.as_deref()?))) {
        rows.push(("upstream said", format!("{said} at {} after {} µs", shown(outcome.at), outcome.took_us)));
    }
    text.push_str(&lines(&rows, "  "));
    for seq in &decision.events {
        if let Some(recorded) = reader.event(*seq)? {
            _ = writeln!(text, "  event {seq:<8}  {}", told(&recorded));
        }
    }
    Ok(text)
}

/// One event in a line.
fn told(recorded: &RecordedEvent) -> String {
    let event = &recorded.event;
    let topics = event.topics.as_deref().map(|topics| format!(" {}", list(topics))).unwrap_or_default();
    let how = [event.mechanism.as_deref(), event.source.as_deref(), event.text_version.as_deref()];
    let how: Vec<&str> = how.into_iter().flatten().collect();
    let actor = event.actor.map(|actor| format!(" by {}", actor.as_str())).unwrap_or_default();
    format!("{} {}{topics}{actor} for {} ({})", shown(recorded.at), event.kind, event.controller, list(&how))
}

fn lines(rows: &[(&str, String)], indent: &str) -> String {
    let rows = rows.iter().filter(|(_, value)| value != "-");
    rows.map(|(name, value)| format!("{indent}{name:14}{}\n", printable(value))).collect()
}
