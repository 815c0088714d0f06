//! Facts in, one verdict per recipient out. The steps are those of consent-rules section 2; the first that gives a
//! result wins.

use jiff::Timestamp;

use super::because::{Because, Fact, Sentence};
use super::bounce;
use super::carriage::{Carriage, carriage};
use super::classify::Classification;
use super::customer::customer;
use super::facts::MessageFacts;
use super::frequency;
use super::generic::generic;
use super::horizon::horizon;
use super::non_commercial::{self, non_commercial};
use super::objection;
use super::opt_in::opt_in;
use super::period;
use super::professional::professional;
use super::record::Record;
use super::rules::{Class, Policy, ServiceWithoutStore};
use super::verdict::{Basis, Decision, Finding, Reason, Verdict};
use crate::consent::event::EventType;
use crate::consent::state::{Consulted, Sent};
use crate::smtp::address::EmailAddress;

/// What the store said.
#[derive(Clone, Copy, Debug)]
pub enum Consultation<'a> {
    Known(&'a Consulted),
    Unavailable,
    /// The unsubscribe link has been out of order for longer than the policy bears, since this moment.
    LinkDown(Timestamp),
}

/// What a basis is asked.
pub(super) struct Question<'a> {
    pub record: &'a Record<'a>,
    pub classification: &'a Classification,
    /// Why the address may not be used but with the person's own consent: where it came from.
    pub barred: Option<Reason>,
}

/// What a basis answers.
pub(super) enum Outcome {
    Passes(Finding),
    /// Nothing it could stand on was ever recorded.
    NotApplicable,
    /// With the fact that speaks against it and the events that hold it.
    Fails(Reason, Because, Vec<i64>),
}

/// The kind of message that says somebody's data will be deleted.
pub const DELETION_NOTICE: &str = "deletion_notice";
pub const DOI_REQUEST: &str = "doi_request";
/// How often one question is asked: once, and one reminder (section 4).
const CONFIRMATION_REQUESTS: usize = 2;

/// The legal grounds, in the order in which they are tried and their failures reported.
const BASES: [fn(&Question<'_>) -> Outcome; 5] = [opt_in, customer, professional, generic, non_commercial];

/// A topic that neither a policy nor a person has named: a message may be about anything.
const UNHEARD_OF: &str = "?";

/// Decides about one recipient. Pure: the same facts give the same verdict.
pub fn decide(
    policy: &Policy,
    classification: &Classification,
    recipient: &EmailAddress,
    consultation: Consultation<'_>,
    now: Timestamp,
) -> Verdict {
    let found = find(policy, classification, recipient, consultation, now);
    let (finding, carriage) = fit_to_be_sent(policy, classification, found);
    let offer_in_an_order = finding.basis == Some(Basis::Service) && classification.is_kind("mixed");
    let mut verdict = Verdict::new(recipient.clone(), finding, policy.mode, &classification.topics);
    verdict.flags = classification.flags.clone();
    verdict.alert = offer_in_an_order || matches!(carriage, Carriage::WithWarning);
    verdict.footer = matches!(carriage, Carriage::WithFooter);
    verdict
}

/// Advertising that may go has to be fit for it (E11).
fn fit_to_be_sent(policy: &Policy, classification: &Classification, found: Finding) -> (Finding, Carriage) {
    if found.decision != Decision::Allow || found.basis == Some(Basis::Service) {
        return (found, Carriage::Fit);
    }
    match carriage(policy, classification) {
        Carriage::Unfit { reason, because, also } => {
            let secondary = also.into_iter().collect();
            (Finding { secondary, ..Finding::block(reason, because) }, Carriage::Fit)
        }
        fit => (found, fit),
    }
}

fn find(
    policy: &Policy,
    classification: &Classification,
    recipient: &EmailAddress,
    consultation: Consultation<'_>,
    now: Timestamp,
) -> Finding {
    let is_service = classification.class == Class::Service;
    if is_service && !classification.asks_about_the_recipient() {
        return service(policy, classification, consultation);
    }
    let unfit = unfit_for_advertising(classification, recipient);
    if let (false, Some(finding)) = (is_service, &unfit) {
        return finding.clone();
    }
    let controller = classification.controller.as_deref().filter(|id| policy.controllers.contains_key(*id));
    let Some(controller) = controller else {
        return Finding::block(Reason::SenderUnmapped, Sentence::NobodysDomain);
    };
    let consulted = match consultation {
        Consultation::Known(consulted) => consulted,
        Consultation::Unavailable => return Finding::defer(Reason::StoreUnavailable, Sentence::StoreSilent),
        Consultation::LinkDown(since) => {
            let because = Fact::new(Sentence::LinkDown).on(period::day(policy, since));
            return Finding::defer(Reason::EndpointDown, because);
        }
    };
    let record = Record::read(policy, controller, recipient, consulted, now);
    let advertising = || {
        unfit.or_else(|| objection::standing(&record, &classification.topics)).unwrap_or_else(|| {
            may_go_now(&record, classification, &consulted.sent, legal_basis(&record, classification))
        })
    };
    match classification.service_reason {
        Reason::SvcDoi if is_service => confirmation_request(&record, &consulted.sent, advertising),
        Reason::SvcRetention if is_service => deletion_notice(&record, &consulted.sent, advertising),
        _ => advertising(),
    }
}

/// Who may be written to may still have enough for now, or be out of reach (E10).
fn may_go_now(record: &Record<'_>, classification: &Classification, sent: &[Sent], basis: Finding) -> Finding {
    if basis.decision != Decision::Allow {
        return basis;
    }
    let frequency = frequency::judge(record, &classification.topics, sent);
    let finding = bounce::dead(record).or(frequency.hindrance).unwrap_or(basis);
    Finding { room: frequency.room, ..finding }
}

/// What forbids advertising whoever consented: the ceiling of where it came from, and an address that hides whose
/// consent is asked.
fn unfit_for_advertising(classification: &Classification, recipient: &EmailAddress) -> Option<Finding> {
    match classification.refused {
        Some(reason) => Some(Finding::block(reason, Sentence::OnlyServiceFromHere)),
        None => recipient.hides_recipient().then(|| Finding::block(Reason::AddrMalformed, Sentence::RecipientHidden)),
    }
}

/// Service mail goes whatever the person said about advertising (E4).
fn service(policy: &Policy, classification: &Classification, consultation: Consultation<'_>) -> Finding {
    let unavailable = matches!(consultation, Consultation::Unavailable);
    if unavailable && policy.service_without_store == ServiceWithoutStore::Defer {
        return Finding::defer(Reason::StoreUnavailable, Sentence::ServiceWaitsForStore);
    }
    let because = if classification.system { Sentence::MadeByAMailSystem } else { Sentence::ServiceNeedsNoConsent };
    Finding::allow(classification.service_reason, Basis::Service, because)
}

/// A request to confirm is service mail only while its question is open, and is repeated once at most; else it is
/// advertising like any other.
fn confirmation_request(record: &Record<'_>, sent: &[Sent], advertising: impl FnOnce() -> Finding) -> Finding {
    let Some(request) = record.open_request() else { return advertising() };
    let asked = sent.iter().filter(|sent| sent.at >= request.at && sent.is_of_kind(DOI_REQUEST)).count();
    let room = CONFIRMATION_REQUESTS.saturating_sub(asked);
    if room == 0 {
        return or_any_room(advertising());
    }
    let because = record.fact(Sentence::AskedToConfirm, request);
    let goes = Finding::allow(Reason::SvcDoi, Basis::Service, because);
    Finding { events: vec![request.seq], room: u32::try_from(room).ok(), ..goes }
}

/// That somebody's data will be deleted is service mail once; said again it is advertising like any other.
fn deletion_notice(record: &Record<'_>, sent: &[Sent], advertising: impl FnOnce() -> Finding) -> Finding {
    let earlier = sent.iter().rfind(|sent| sent.is_of_kind(DELETION_NOTICE));
    let Some(earlier) = earlier else {
        let first = Finding::allow(Reason::SvcRetention, Basis::Service, Sentence::FirstDeletionNotice);
        return Finding { room: Some(1), ..first };
    };
    let mut finding = advertising();
    finding.because.0.push(Fact::new(Sentence::LaterDeletionNotice).on(period::day(record.policy, earlier.at)));
    or_any_room(finding)
}

/// What counts by its kind takes a place, also where no limit bears on it.
fn or_any_room(finding: Finding) -> Finding {
    let otherwise = if finding.decision == Decision::Allow { u32::MAX } else { 0 };
    Finding { room: finding.room.or(Some(otherwise)), ..finding }
}

/// The first ground that holds (E9), else the reasons why none does (section 2.2).
fn legal_basis(record: &Record<'_>, classification: &Classification) -> Finding {
    let provenance = record.barred_provenance();
    let barred = provenance.as_ref().map(|(reason, _, _)| *reason);
    let question = Question { record, classification, barred };
    let mut failures: Vec<(Reason, Because, Vec<i64>)> = Vec::new();
    for basis in BASES {
        match basis(&question) {
            // Where an address came from may leave nothing but the person's own consent.
            Outcome::Passes(finding) if barred.is_some() && finding.basis != Some(Basis::OptIn) => {}
            Outcome::Passes(finding) => return finding,
            Outcome::NotApplicable => {}
            Outcome::Fails(reason, because, events) => failures.push((reason, because, events)),
        }
    }
    if let Some(provenance) = provenance {
        failures.retain(|(reason, ..)| Some(*reason) != barred);
        failures.insert(0, provenance);
    }
    let mut failures = failures.into_iter();
    let (reason, because, events) = failures.next().unwrap_or_else(|| nothing_recorded(&question));
    let secondary = failures.map(|(reason, ..)| reason).collect();
    Finding { secondary, events, ..Finding::block(reason, because) }
}

fn nothing_recorded(question: &Question<'_>) -> (Reason, Because, Vec<i64>) {
    let (record, topics) = (question.record, &question.classification.topics);
    let silence = record.own().filter(|recorded| recorded.event.kind == EventType::NoAnswer).last();
    if let Some(recorded) = silence {
        let because = record.fact(Sentence::LeftUnanswered, recorded).into();
        return (Reason::ConsentNoAnswer, because, vec![recorded.seq]);
    }
    if let Some((fact, event)) = non_commercial::shortfall(question) {
        return (Reason::ConsentNone, fact.into(), vec![event]);
    }
    let because = match topics.is_empty() {
        true => Fact::new(Sentence::NothingOnRecord),
        false => Fact::new(Sentence::NothingOnRecordFor).about(topics),
    };
    (Reason::ConsentNone, because.into(), Vec::new())
}

/// What can be refused at RCPT, before the message is there: on a listener that pins the class to advertising, a
/// recipient whom no content could make permitted. `facts` are those of a message without a header.
pub fn refuse_before_data(
    policy: &Policy,
    facts: &MessageFacts,
    recipient: &EmailAddress,
    consultation: Consultation<'_>,
    now: Timestamp,
) -> Option<Verdict> {
    let pin = facts.origin.pin.as_ref().filter(|pin| pin.class == Class::Promotional)?;
    let classification = super::classify::classify(policy, facts);
    let unmappable = pin.controller.is_none() && !recipient.hides_recipient() && classification.refused.is_none();
    if unmappable {
        return None; // the From field may still say on whose behalf
    }
    let settled = match consultation {
        Consultation::Known(consulted) => Some(without_open_attempts(consulted)),
        Consultation::Unavailable | Consultation::LinkDown(_) => None,
    };
    let consultation = settled.as_ref().map_or(consultation, Consultation::Known);
    let verdict = decide(policy, &classification, recipient, consultation, now);
    let others = other_grounds(policy, &classification, recipient, consultation, now);
    let blocked =
        |verdict: &Verdict| verdict.decision == Decision::Block && !(others && verdict.reason.hangs_on_the_content());
    if !pin.topics.is_empty() {
        return Some(verdict).filter(blocked);
    }
    let on = |topic: &String| {
        let about = Classification { topics: vec![topic.clone()], ..classification.clone() };
        decide(policy, &about, recipient, consultation, now)
    };
    let named = match consultation {
        Consultation::Known(consulted) => consulted.exact.iter().flat_map(|state| &state.events).collect(),
        Consultation::Unavailable | Consultation::LinkDown(_) => Vec::new(),
    };
    let unheard_of = others.then(|| UNHEARD_OF.to_owned());
    let said = named.iter().flat_map(|recorded| recorded.event.topics.iter().flatten());
    let mut topics = policy.topics.keys().chain(said).chain(&unheard_of);
    let never = topics.all(|topic| blocked(&on(topic)));
    Some(verdict).filter(|verdict| never && blocked(verdict))
}

/// What is tried again needs no second place, and only the content tells whether this is.
fn without_open_attempts(consulted: &Consulted) -> Consulted {
    let mut settled = consulted.clone();
    settled.sent.retain(|sent| sent.attempt.is_none());
    settled
}

/// Whether a ground beside consent may hold for a message that says what it sells, of what kind it is and whom at work it
/// concerns.
fn other_grounds(
    policy: &Policy,
    classification: &Classification,
    recipient: &EmailAddress,
    consultation: Consultation<'_>,
    now: Timestamp,
) -> bool {
    let (Some(controller), Consultation::Known(consulted)) = (classification.controller.as_deref(), consultation)
    else {
        return false;
    };
    let found = horizon(policy, controller, recipient, consulted, now);
    found.grounds.iter().any(|ground| ground.basis != Basis::OptIn && ground.last_day >= found.today)
}

#[cfg(test)]
mod tests;
