//! An explanation as people and programs read it.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::moment::shown;
use crate::cli::table::{self, list, or_dash, printable};
use crate::policy::classify::Classification;
use crate::policy::rules::Policy;
use crate::policy::verdict::{Decision, Reason, Verdict};
use crate::store::{DecisionRow, Story};

/// A message, judged.
pub(super) struct Explanation {
    /// None: it never arrived.
    pub reference: Option<String>,
    pub at: Timestamp,
    pub policy: Policy,
    pub classification: Classification,
    pub verdicts: Vec<Verdict>,
    /// What was decided when it arrived, in the order of the verdicts.
    pub recorded: Vec<DecisionRow>,
    /// What was decided about people whose data were erased since: it can be told, not judged again.
    pub erased: Vec<DecisionRow>,
    pub notes: Vec<String>,
}

impl Explanation {
    pub fn to_json(&self) -> Value {
        let class = &self.classification;
        let recipients =
            self.verdicts.iter().enumerate().map(|(n, verdict)| self.recipient(verdict, self.recorded.get(n)));
        json!({
            "ref": self.reference,
            "at": self.at,
            "class": class.class,
            "class_rule": class.rule,
            "class_evidence": class.evidence,
            "controller": class.controller,
            "topics": class.topics,
            "families": class.families,
            "policy": self.policy.hash,
            "mode": self.policy.mode,
            "recipients": recipients.chain(self.erased.iter().map(erased_json)).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }

    fn recipient(&self, verdict: &Verdict, recorded: Option<&DecisionRow>) -> Value {
        let mut told = json!({
            "address": verdict.recipient,
            "decision": verdict.decision,
            "reason": verdict.reason,
            "basis": verdict.basis,
            "secondary": verdict.secondary,
            "because": verdict.because.to_string(),
            "events": verdict.events,
            "last_day": verdict.last_day.map(|day| day.to_string()),
            "flags": verdict.flags,
            "alert": verdict.alert,
            "footer": verdict.footer,
            "reply": self.reply(verdict),
        });
        if let Some(recorded) = recorded {
            told["recorded"] = json!({"decision": recorded.decision, "reason": recorded.reason});
        }
        told
    }

    /// What the mailer would read; nothing is said about a recipient that may get it.
    fn reply(&self, verdict: &Verdict) -> Option<String> {
        let reference = self.reference.as_deref().unwrap_or("(none)");
        let withheld = verdict.decision != Decision::Allow;
        withheld.then(|| format!("{} {}", verdict.reply_code(), verdict.reply_text(reference)))
    }

    pub fn to_text(&self, coloured: bool) -> String {
        let class = &self.classification;
        let mut text = String::new();
        let rows = [
            ("message", or_dash(self.reference.as_deref())),
            ("at", shown(self.at)),
            ("class", format!("{} by rule {}", class.class, printable(&class.rule))),
            ("evidence", list(&class.evidence)),
            ("controller", or_dash(class.controller.as_deref())),
            ("topics", list(&class.topics)),
            ("families", list(&class.families)),
            ("policy", format!("{} ({})", self.policy.hash, self.policy.mode)),
        ];
        for (name, value) in rows.iter().filter(|(_, value)| value != "-") {
            _ = writeln!(text, "{name:12}{value}");
        }
        for (n, verdict) in self.verdicts.iter().enumerate() {
            text.push_str(&self.recipient_text(verdict, self.recorded.get(n), coloured));
        }
        self.erased.iter().for_each(|decision| text.push_str(&erased_text(decision, coloured)));
        for note in &self.notes {
            _ = writeln!(text, "\nnote: {}", printable(note));
        }
        text
    }

    fn recipient_text(&self, verdict: &Verdict, recorded: Option<&DecisionRow>, coloured: bool) -> String {
        let basis = verdict.basis.map(|basis| format!(", basis {basis}")).unwrap_or_default();
        let word = table::word(verdict.decision.as_str(), coloured);
        let mut text = format!("\n{}\n", printable(verdict.recipient.as_str()));
        let events: Vec<String> = verdict.events.iter().map(ToString::to_string).collect();
        let mut rows = vec![
            ("decision", format!("{word} {}{basis}", verdict.reason)),
            ("because", printable(&verdict.because.to_string())),
            ("also", codes(&verdict.secondary)),
            ("events", list(&events)),
            ("last day", verdict.last_day.map_or_else(|| "-".into(), |day| day.to_string())),
            ("flags", codes(&verdict.flags)),
            ("alert", if verdict.alert { "the owner of the template is to be warned".into() } else { "-".into() }),
            ("footer", if verdict.footer { "a way out is added to the body".into() } else { "-".into() }),
            ("reply", or_dash(self.reply(verdict).as_deref())),
        ];
        if let Some(recorded) = recorded {
            rows.push(("recorded", format!("{} {}", recorded.decision, recorded.reason)));
        }
        for (name, value) in rows.iter().filter(|(_, value)| value != "-") {
            _ = writeln!(text, "  {name:12}{value}");
        }
        text
    }
}

/// What is said of a person whose data were erased.
const ERASED: &str = "the data of this person were erased; what was decided is kept, and cannot be judged again";

fn erased_json(decision: &DecisionRow) -> Value {
    json!({
        "address": decision.recipient,
        "erased": true,
        "decision": decision.decision,
        "reason": decision.reason,
        "basis": decision.basis,
        "secondary": decision.secondary,
        "because": decision.because.to_string(),
        "events": decision.events,
        "last_day": decision.last_day,
        "flags": decision.flags,
    })
}

fn erased_text(decision: &DecisionRow, coloured: bool) -> String {
    let basis = decision.basis.as_deref().map(|basis| format!(", basis {basis}")).unwrap_or_default();
    let word = table::word(&decision.decision, coloured);
    let rows = [
        ("recorded", format!("{word} {}{basis}", decision.reason)),
        ("because", printable(&decision.because.to_string())),
        ("erased", ERASED.to_owned()),
    ];
    let rows = rows.iter().map(|(name, value)| format!("  {name:12}{value}\n"));
    format!("\n{}\n{}", printable(&decision.recipient), rows.collect::<String>())
}

/// A message of which everybody was erased: what stands in the journal.
pub(super) fn forgotten_json(story: &Story) -> Value {
    let message = &story.message;
    json!({
        "ref": message.reference,
        "at": message.at,
        "class": message.class,
        "class_rule": message.class_rule,
        "controller": message.controller,
        "topics": message.topics,
        "families": message.families,
        "policy": message.policy,
        "mode": message.mode,
        "recipients": story.decisions.iter().map(erased_json).collect::<Vec<_>>(),
        "notes": [ERASED],
    })
}

pub(super) fn forgotten_text(story: &Story, coloured: bool) -> String {
    let message = &story.message;
    let rows = [
        ("message", message.reference.clone()),
        ("at", shown(message.at)),
        ("class", format!("{} by rule {}", message.class, printable(&message.class_rule))),
        ("controller", or_dash(message.controller.as_deref())),
        ("topics", list(&message.topics)),
        ("policy", format!("{} ({})", message.policy, message.mode)),
    ];
    let rows = rows.iter().filter(|(_, value)| value != "-").map(|(name, value)| format!("{name:12}{value}\n"));
    rows.chain(story.decisions.iter().map(|decision| erased_text(decision, coloured))).collect()
}

fn codes(reasons: &[Reason]) -> String {
    list(&reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>())
}
