//! What a form says, in one language: shown and kept word by word, for it is what people agree to.

use jiff::Timestamp;
use serde::Serialize;

use super::locale::{FluentValue, Locale};
use super::page::topic_label;
use crate::consent::ledger::{hex, sha256};
use crate::policy::form::{Form, FormKind};
use crate::policy::rules::{Controller, Policy};
use crate::store::KeptText;

/// Digits of the hash in a version: enough that no two wordings of a form share one.
const DIGITS: usize = 12;

/// One topic that may be agreed to or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    pub path: String,
    pub label: String,
}

/// What a form asks whose policy gives no words.
fn default_question(kind: FormKind, sender: &[(&str, FluentValue<'_>)], locale: &Locale) -> String {
    match kind {
        FormKind::Boxes => locale.say("subscribe-text-boxes", sender),
        FormKind::YesNo => locale.say("subscribe-text-yes-no", sender),
        FormKind::RefusalBox => locale.say("subscribe-text-refusal-box", sender),
        FormKind::PartnerBox => locale.say("subscribe-text-partner-box", sender),
    }
}

/// A wording with everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wording {
    /// `NAME-` and the beginning of the hash over its text.
    pub version: String,
    pub language: String,
    pub question: String,
    pub items: Vec<Item>,
    /// What stands beside the two answers of a yes-or-no question.
    pub answers: Vec<String>,
    /// The sentence that names the partners.
    pub partners: Option<String>,
    /// Who asks, what for, how to stop.
    pub info: Vec<String>,
    pub privacy: String,
    pub privacy_url: String,
}

impl Wording {
    /// Of a form. `None`: its controller is gone.
    pub fn of_form(form: &Form, policy: &Policy, locale: &Locale) -> Option<Wording> {
        let controller = policy.controllers.get(&form.controller)?;
        let locale = &locale.clone().of(Some(controller));
        let sender = [("sender", controller.name.as_str().into())];
        let written = locale.pick(&form.text).or_else(|| form.text_in(&locale.tag(), policy));
        let question = written.map_or_else(|| default_question(form.kind, &sender, locale), str::to_owned);
        let answers = match form.kind {
            FormKind::YesNo => vec![locale.say("subscribe-yes", &[]), locale.say("subscribe-no", &[])],
            _ => Vec::new(),
        };
        let names: Vec<&str> = form.partners.values().map(String::as_str).collect();
        let partners =
            (!names.is_empty()).then(|| locale.say("subscribe-partners", &[("names", names.join(", ").into())]));
        let base = Wording::base(controller, &form.topics, policy, locale, form.kind);
        let draft = Wording { question, answers, partners, ..base };
        Some(draft.named(&format!("form-{}", form.id)))
    }

    /// Of the page on which somebody who was asked in a shop or on the telephone ticks the boxes.
    pub fn of_question(controller: &Controller, topics: &[String], policy: &Policy, locale: &Locale) -> Wording {
        let locale = &locale.clone().of(Some(controller));
        let question = default_question(FormKind::Boxes, &[("sender", controller.name.as_str().into())], locale);
        let draft = Wording { question, ..Wording::base(controller, topics, policy, locale, FormKind::Boxes) };
        draft.named(&format!("ask-{}", controller.id))
    }

    fn base(controller: &Controller, topics: &[String], policy: &Policy, locale: &Locale, kind: FormKind) -> Wording {
        let about = [("sender", controller.name.as_str().into()), ("contact", controller.contact.as_str().into())];
        let item = |path: &String| Item { path: path.clone(), label: topic_label(policy, path, locale).to_owned() };
        let purpose = match kind {
            FormKind::RefusalBox => locale.say("subscribe-info-similar", &about),
            FormKind::PartnerBox => locale.say("subscribe-info-partners", &about),
            FormKind::Boxes | FormKind::YesNo => locale.say("subscribe-info-purpose", &about),
        };
        Wording {
            version: String::new(),
            language: locale.tag(),
            question: String::new(),
            items: topics.iter().map(item).collect(),
            answers: Vec::new(),
            partners: None,
            info: vec![locale.say("subscribe-info-who", &about), purpose, locale.say("subscribe-info-stop", &about)],
            privacy: locale.say("subscribe-info-privacy", &about),
            privacy_url: controller.privacy_url.clone(),
        }
    }

    fn named(mut self, name: &str) -> Wording {
        let sum = hex(&sha256(&[self.text().as_bytes()]));
        self.version = format!("{name}-{}", &sum[..DIGITS]);
        self
    }

    /// As one reads it from top to bottom.
    pub fn text(&self) -> String {
        let mut lines = vec![self.question.clone()];
        lines.extend(self.items.iter().map(|item| match &self.answers[..] {
            [] => format!("- {}", item.label),
            answers => format!("- {}: {}", item.label, answers.join(" / ")),
        }));
        lines.extend(self.partners.clone());
        lines.push(String::new());
        lines.extend(self.info.iter().cloned());
        lines.push(format!("{}: {}", self.privacy, self.privacy_url));
        lines.join("\n") + "\n"
    }

    pub fn kept(&self, at: Timestamp) -> KeptText {
        KeptText::new(&self.version, &self.language, self.text(), at)
    }
}
