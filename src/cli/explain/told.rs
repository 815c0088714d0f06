//! An explanation as people and programs read it.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::moment::shown;
use crate::cli::table::{self, list, or_dash, printable};
use crate::policy::classify::Classification;
use crate::policy::rules::Policy;
use crate::policy::verdict::{Decision, Reason, Verdict};
use crate::store::DecisionRow;

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
            "recipients": recipients.collect::<Vec<_>>(),
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

fn codes(reasons: &[Reason]) -> String {
    list(&reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>())
}
