//! What a form that was filled in says, as events.
//!
//! Anybody can write anybody's address into a form. So what comes before the confirmation never opens anything: a yes is
//! an `opt_in_pending`, and that the person gave the address and was informed (`collected`) is recorded with the
//! confirmation that proves it. A no counts at once.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::form::{Form, FormKind};
use super::record::{Record, Request};
use super::rules::Policy;
use super::{form, period};
use crate::consent::event::{Actor, ConsentEvent, EventType, RecordedEvent};
use crate::consent::scope;
use crate::consent::state::{Consulted, ContactState};
use crate::smtp::address::EmailAddress;

/// The form fields that carry an answer.
pub const TOPIC_FIELD: &str = "topic";
pub const REFUSE_FIELD: &str = "refuse";
/// Before the path of a topic.
pub const ANSWER_PREFIX: &str = "answer.";

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The topics whose box was ticked; none: left blank.
    Ticked(BTreeSet<String>),
    YesNo(BTreeMap<String, bool>),
    Refused(bool),
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// A question that must be answered was not.
    Open,
    /// Something this form does not ask.
    Foreign,
}

impl Answer {
    /// Reads the fields of a form as a browser sends them.
    pub fn read(form: &Form, fields: &[(String, String)]) -> Result<Answer, Unanswered> {
        let values =
            |name: &'static str| fields.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.trim());
        match form.kind {
            FormKind::Boxes | FormKind::PartnerBox => {
                let ticked: BTreeSet<String> = values(TOPIC_FIELD).map(str::to_owned).collect();
                let asked = ticked.iter().all(|topic| form.topics.contains(topic));
                if asked { Ok(Answer::Ticked(ticked)) } else { Err(Unanswered::Foreign) }
            }
            FormKind::YesNo => Answer::read_yes_no(form, fields),
            FormKind::RefusalBox => match values(REFUSE_FIELD).collect::<Vec<_>>()[..] {
                [] => Ok(Answer::Refused(false)),
                ["yes"] => Ok(Answer::Refused(true)),
                _ => Err(Unanswered::Foreign),
            },
        }
    }

    fn read_yes_no(form: &Form, fields: &[(String, String)]) -> Result<Answer, Unanswered> {
        let mut answers = BTreeMap::new();
        let answered =
            fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(ANSWER_PREFIX)?, value.trim())));
        for (topic, value) in answered {
            let yes = match value {
                "yes" => true,
                "no" => false,
                _ => return Err(Unanswered::Foreign),
            };
            if !form.topics.iter().any(|asked| asked == topic) || answers.insert(topic.to_owned(), yes).is_some() {
                return Err(Unanswered::Foreign);
            }
        }
        if answers.len() < form.topics.len() { Err(Unanswered::Open) } else { Ok(Answer::YesNo(answers)) }
    }

    fn topics(&self, form: &Form) -> Said {
        match self {
            Answer::Ticked(ticked) => {
                let (yes, blank) = form.topics.iter().cloned().partition(|topic| ticked.contains(topic));
                Said { yes, blank, ..Said::default() }
            }
            Answer::YesNo(answers) => {
                let said =
                    |yes: bool| form.topics.iter().filter(|topic| answers.get(*topic) == Some(&yes)).cloned().collect();
                Said { yes: said(true), no: said(false), ..Said::default() }
            }
            Answer::Refused(true) => Said { no: form.topics.clone(), ..Said::default() },
            Answer::Refused(false) => Said::default(),
        }
    }

    /// Whether there is a yes in it.
    pub fn agrees(&self) -> bool {
        match self {
            Answer::Ticked(ticked) => !ticked.is_empty(),
            Answer::YesNo(answers) => answers.values().any(|yes| *yes),
            Answer::Refused(_) => false,
        }
    }

    /// What is left of it when nobody may be asked: every no. `None`: there is none in it.
    pub fn without_yes(&self) -> Option<Answer> {
        match self {
            Answer::Ticked(_) => None,
            Answer::YesNo(answers) => {
                let no = answers.iter().filter(|(_, yes)| !**yes).map(|(topic, yes)| (topic.clone(), *yes));
                Some(Answer::YesNo(no.collect())).filter(|no| *no != Answer::YesNo(BTreeMap::new()))
            }
            Answer::Refused(_) => Some(self.clone()),
        }
    }

    /// Whether nothing was said at all.
    pub fn is_blank(&self) -> bool {
        matches!(self, Answer::Ticked(ticked) if ticked.is_empty())
    }
}

#[derive(Default)]
struct Said {
    yes: Vec<String>,
    no: Vec<String>,
    blank: Vec<String>,
}

/// What earlier events mean for an answer that nobody has confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The address came from where only the person's own consent helps: a collection would hide that.
    pub barred: bool,
    /// Somebody objected: only the person lifts that, and a form does not know who fills it in.
    pub objected: bool,
}

impl Standing {
    pub fn of(
        policy: &Policy,
        controller: &str,
        address: &EmailAddress,
        consulted: &Consulted,
        now: Timestamp,
    ) -> Standing {
        let record = Record::read(policy, controller, address, consulted, now);
        Standing { barred: record.barred_provenance().is_some(), objected: !record.objections().is_empty() }
    }
}

/// One form, filled in.
#[derive(Clone, Debug)]
pub struct SignUp<'a> {
    pub form: &'a Form,
    pub address: &'a EmailAddress,
    pub answer: &'a Answer,
    /// The wording that was shown, and its language.
    pub text_version: &'a str,
    pub language: &'a str,
    /// What is kept of who answered.
    pub trace: Option<String>,
    pub standing: Standing,
    pub at: Timestamp,
}

impl SignUp<'_> {
    /// In the order in which they are recorded.
    pub fn events(&self, policy: &Policy) -> Vec<ConsentEvent> {
        let said = self.answer.topics(self.form);
        let pending = self.form.asks_to_confirm(policy) || (self.standing.objected && !said.yes.is_empty());
        let mut events = Vec::new();
        if !pending && !self.standing.barred {
            events.push(self.collected());
        }
        if !said.blank.is_empty() {
            events.push(ConsentEvent { topics: Some(said.blank), ..self.event(EventType::NoAnswer) });
        }
        if !said.no.is_empty() {
            let mechanism = match self.form.kind {
                FormKind::YesNo => "forced_choice_no",
                _ => "unticked_box_ticked",
            };
            events.push(ConsentEvent {
                topics: Some(said.no),
                mechanism: Some(mechanism.to_owned()),
                ..self.event(EventType::Refuse)
            });
        }
        if !said.yes.is_empty() {
            let kind = if pending { EventType::OptInPending } else { EventType::OptIn };
            events.push(ConsentEvent {
                topics: Some(said.yes),
                mechanism: Some(self.form.mechanism_of_yes().to_owned()),
                text_version: Some(self.text_version.to_owned()),
                partners: self.partners(),
                ..self.event(kind)
            });
        }
        events
    }

    fn partners(&self) -> Option<Vec<String>> {
        let named = self.form.kind == FormKind::PartnerBox;
        named
            .then(|| self.form.partners.keys().cloned().collect())
            .filter(|partners: &Vec<String>| !partners.is_empty())
    }

    /// Nobody confirms a box to refuse, so anybody may have sent it in: it serves a sale that follows, and no more.
    fn collected(&self) -> ConsentEvent {
        let mut event = self.event(EventType::Collected);
        if let (FormKind::RefusalBox, Some(Value::Object(evidence))) = (self.form.kind, &mut event.evidence) {
            evidence.insert("unconfirmed".to_owned(), json!(true));
        }
        ConsentEvent {
            provenance: Some("direct_form".to_owned()),
            informed_at: Some(self.at),
            refusal_offered: Some(true),
            text_version: Some(self.text_version.to_owned()),
            ..event
        }
    }

    fn event(&self, kind: EventType) -> ConsentEvent {
        ConsentEvent {
            at: Some(self.at),
            actor: Some(Actor::Person),
            source: Some(self.form.source()),
            note: self.trace.clone(),
            evidence: Some(json!({ "form": self.form.id, "language": self.language })),
            ..ConsentEvent::new(self.address.clone(), self.form.controller.as_str(), kind)
        }
    }
}

/// How a request for confirmation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standpoint {
    /// It can be confirmed, for these topics.
    Open(Vec<String>),
    /// It was, for these topics.
    Confirmed(Vec<String>),
    /// After the window.
    Late,
    /// The person said no since.
    Withdrawn,
}

/// How a request stands now. A no that is newer than the request is not lifted by an older link: who changed their mind
/// again says so anew.
pub fn standpoint(
    policy: &Policy,
    request: &RecordedEvent,
    address: &EmailAddress,
    consulted: &Consulted,
    now: Timestamp,
) -> Standpoint {
    let record = Record::read(policy, &request.event.controller, address, consulted, now);
    let topics = record.topics_of(request);
    let open: Vec<String> = topics.into_iter().filter(|topic| !record.is_revoked(request, topic)).collect();
    if let Some(answer) = record.own().find(|recorded| answers(recorded, request.seq)) {
        let confirmed = record.topics_of(answer).into_iter().filter(|topic| !record.is_revoked(answer, topic));
        let confirmed: Vec<String> = confirmed.collect();
        return if confirmed.is_empty() { Standpoint::Withdrawn } else { Standpoint::Confirmed(confirmed) };
    }
    if open.is_empty() {
        Standpoint::Withdrawn
    } else if period::within_window(policy, request.at, now) {
        Standpoint::Open(open)
    } else {
        Standpoint::Late
    }
}

/// Whether a person is to be asked, or asked again: it counts only once confirmed, it is within the window, there is no
/// answer to this or a newer request for the same, and no objection.
pub fn still_waits(
    policy: &Policy,
    request: &RecordedEvent,
    address: &EmailAddress,
    consulted: &Consulted,
    now: Timestamp,
) -> bool {
    let Standpoint::Open(topics) = standpoint(policy, request, address, consulted, now) else { return false };
    let record = Record::read(policy, &request.event.controller, address, consulted, now);
    let confirmed: Vec<String> = record
        .own()
        .filter(|recorded| recorded.event.kind == EventType::OptInConfirmed && recorded.at >= request.at)
        .flat_map(|recorded| record.topics_of(recorded))
        .collect();
    let is_confirmed = |topic: &String| confirmed.iter().any(|named| scope::reaches(named, topic));
    record.request(request) == Some(Request::Open) && !topics.iter().all(is_confirmed)
}

/// The last day on which a request can be confirmed.
pub fn deadline(policy: &Policy, request: &RecordedEvent) -> Date {
    let asked = request.at.to_zoned(policy.time_zone.clone());
    asked.checked_add(policy.knobs.doi_window).map_or(Date::MAX, |end| end.date())
}

/// The last day on which somebody of whom nothing is known but forms, sent in by whomever and never confirmed, may still
/// confirm: after that nothing shows that the address was the person's to give. `None`: more is known.
pub fn unconfirmed_until(policy: &Policy, controller: &str, known: &ContactState) -> Option<Date> {
    let mut last = None;
    for recorded in known.events.iter().filter(|recorded| recorded.event.controller == controller) {
        let from_form = recorded.event.source.as_deref().and_then(form::id_in_source).is_some();
        if !from_form || !matches!(recorded.event.kind, EventType::OptInPending | EventType::NoAnswer) {
            return None;
        }
        last = last.max(Some(deadline(policy, recorded)));
    }
    last
}

fn answers(recorded: &RecordedEvent, request: i64) -> bool {
    let named = recorded.event.evidence.as_ref().and_then(|evidence| evidence.get("request"));
    recorded.event.kind == EventType::OptInConfirmed && named.and_then(serde_json::Value::as_i64) == Some(request)
}

/// Whether the person's own tick has to confirm it: somebody else recorded the request.
pub fn needs_a_tick(request: &RecordedEvent) -> bool {
    request.event.kind != EventType::OptInPending || request.event.actor != Some(Actor::Person)
}

/// A request, confirmed by whoever reads the mail of its address.
#[derive(Clone, Debug)]
pub struct Confirmed<'a> {
    pub request: &'a RecordedEvent,
    /// Those of the request that are confirmed.
    pub topics: Vec<String>,
    /// The wording that was agreed to: shown at sign-up, or on the page where the boxes were ticked.
    pub text_version: Option<String>,
    pub trace: Option<String>,
    pub at: Timestamp,
}

impl Confirmed<'_> {
    /// Said twice it is the same events: their ids hang on the request.
    pub fn events(&self) -> Vec<ConsentEvent> {
        let request = &self.request.event;
        let from_form = request.source.as_deref().and_then(form::id_in_source).is_some();
        let id = format!("confirm-{}", self.request.seq);
        let collected = ConsentEvent {
            at: Some(self.request.at),
            provenance: Some("direct_form".to_owned()),
            informed_at: Some(self.request.at),
            refusal_offered: Some(true),
            text_version: request.text_version.clone(),
            id: Some(format!("{id}-collected")),
            ..self.event(EventType::Collected)
        };
        let confirmed = ConsentEvent {
            at: Some(self.at),
            topics: Some(self.topics.clone()),
            mechanism: Some("double_opt_in".to_owned()),
            text_version: self.text_version.clone(),
            partners: request.partners.clone(),
            note: self.trace.clone(),
            id: Some(id),
            ..self.event(EventType::OptInConfirmed)
        };
        from_form.then_some(collected).into_iter().chain([confirmed]).collect()
    }

    fn event(&self, kind: EventType) -> ConsentEvent {
        let request = &self.request.event;
        ConsentEvent {
            actor: Some(Actor::Person),
            source: Some(request.source.clone().unwrap_or_else(|| "mail:confirmation".to_owned())),
            evidence: Some(json!({ "request": self.request.seq })),
            ..ConsentEvent::new(request.address.clone(), request.controller.as_str(), kind)
        }
    }
}
