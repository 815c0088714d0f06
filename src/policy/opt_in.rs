//! The opt-in basis: a consent that is a person's own, proven, for this topic, and still alive (consent-rules 2.1).

use jiff::civil::Date;

use super::because::{Because, Fact, Sentence};
use super::decide::{Outcome, Question};
use super::life::Lifetime;
use super::record::{self, Confirmation, Record, Request};
use super::verdict::{Basis, Finding, Reason};
use crate::consent::event::{Actor, EventType, RecordedEvent};
use crate::consent::scope;

/// The conditions an event failed at, in the order in which they are asked: the later, the closer to a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Condition {
    Kind,
    Channel,
    Mechanism,
    Topic,
    Controller,
    Proof,
    Confirmation,
    Period,
    Provenance,
}

/// One event that does not permit one topic.
struct Failure<'a> {
    condition: Condition,
    reason: Reason,
    recorded: &'a RecordedEvent,
}

/// One event that permits one topic.
struct Grant<'a> {
    recorded: &'a RecordedEvent,
    life: Lifetime,
}

pub fn opt_in(question: &Question<'_>) -> Outcome {
    let record = question.record;
    let topics = &question.classification.topics;
    let mut grants = Vec::new();
    let mut failures: Vec<Failure<'_>> = Vec::new();
    for topic in topics {
        match for_topic(record, question.barred, topic) {
            Some(Ok(grant)) => grants.push((topic, grant)),
            Some(Err(failure)) => failures.push(failure),
            None => return Outcome::NotApplicable,
        }
    }
    // Of several topics that fail the one farthest from a consent speaks for the message.
    if let Some(failure) = failures.iter().min_by_key(|failure| failure.condition) {
        return Outcome::Fails(failure.reason, failure.because(record).into(), vec![failure.recorded.seq]);
    }
    match grants.iter().map(|(_, grant)| grant.life.last_day).min() {
        Some(last_day) => Outcome::Passes(permission(record, &grants, last_day)),
        None => without_topic(record),
    }
}

/// Kinds that nothing but a consent opens (section 4, R36).
const OPT_IN_ONLY: [&str; 2] = ["editorial", "loyalty_enrolment"];

/// What only an opt-in opens, whatever other ground there is: some kinds, a farewell with an offer, and topics that
/// want a consent of their own, which offers of partners are. `known_by` is the event the other ground would rest on.
pub fn opt_in_only(question: &Question<'_>, known_by: &RecordedEvent) -> Option<Fact> {
    let classification = question.classification;
    let told = |sentence| question.record.fact(sentence, known_by);
    let farewell = ["deletion_notice", "with_incentive"];
    if farewell.iter().all(|kind| classification.is_kind(kind)) {
        return Some(told(Sentence::KindNeedsOptIn).word(farewell.join(" ")));
    }
    if let Some(kind) = OPT_IN_ONLY.iter().find(|kind| classification.is_kind(kind)) {
        return Some(told(Sentence::KindNeedsOptIn).word(*kind));
    }
    let own = |path: &&String| question.record.policy.topics.get(*path).is_some_and(|topic| topic.own_consent);
    let topic = classification.topics.iter().find(own)?;
    Some(told(Sentence::TopicNeedsOptIn).about([topic]))
}

/// A message that does not say what it is about is covered by no consent.
fn without_topic(record: &Record<'_>) -> Outcome {
    match record.opt_ins().last() {
        Some(recorded) => {
            let fact = record.fact(Sentence::NamesNoTopic, recorded).about(recorded.event.topics.iter().flatten());
            Outcome::Fails(Reason::ConsentTopic, fact.into(), vec![recorded.seq])
        }
        None => Outcome::NotApplicable,
    }
}

fn permission(record: &Record<'_>, grants: &[(&String, Grant<'_>)], last_day: Date) -> Finding {
    let one = |(topic, grant): &(&String, Grant<'_>)| record.fact(Sentence::OptedIn, grant.recorded).about([*topic]);
    let because = Because(grants.iter().map(one).collect());
    let mut finding = Finding::allow(Reason::OkOptIn, Basis::OptIn, because);
    finding.last_day = Some(last_day);
    for (_, grant) in grants {
        let relied_on = [Some(grant.recorded.seq), grant.life.renewed_by];
        finding.events.extend(relied_on.into_iter().flatten());
    }
    finding
}

/// The grant that lasts longest, or the failure that came closest; nothing when nobody ever asked.
fn for_topic<'a>(record: &Record<'a>, barred: Option<Reason>, topic: &str) -> Option<Result<Grant<'a>, Failure<'a>>> {
    let mut best: Option<Result<Grant<'a>, Failure<'a>>> = None;
    for recorded in record.opt_ins() {
        if record.is_revoked(recorded, topic) || superseded(record, recorded) {
            continue;
        }
        let found = examine(record, barred, recorded, topic);
        let better = match (&best, &found) {
            (None, _) | (Some(Err(_)), Ok(_)) => true,
            (Some(Err(known)), Err(new)) => new.condition >= known.condition,
            (Some(Ok(known)), Ok(new)) => new.life.last_day >= known.life.last_day,
            (Some(Ok(_)), Err(_)) => false,
        };
        if better {
            best = Some(found);
        }
    }
    best
}

/// The consent that permits the topic, or did until its time was over: its number and how long it lasts.
pub fn ground(record: &Record<'_>, barred: Option<Reason>, topic: &str) -> Option<(i64, Lifetime)> {
    match for_topic(record, barred, topic)? {
        Ok(grant) => Some((grant.recorded.seq, grant.life)),
        Err(Failure { condition: Condition::Period, recorded, .. }) => {
            Some((recorded.seq, Lifetime::with_contacts(record, recorded.at)))
        }
        Err(_) => None,
    }
}

/// Of a request whose confirmation came in time only what was confirmed counts, and that the confirmation says.
fn superseded(record: &Record<'_>, recorded: &RecordedEvent) -> bool {
    record.request(recorded) == Some(Request::Confirmed)
}

fn examine<'a>(
    record: &Record<'a>,
    barred: Option<Reason>,
    recorded: &'a RecordedEvent,
    topic: &str,
) -> Result<Grant<'a>, Failure<'a>> {
    let checks: [(Condition, Option<Reason>); 7] = [
        (Condition::Kind, unless(recorded.event.kind != EventType::OptInPending, Reason::ConsentPending)),
        (Condition::Channel, unless(recorded.event.channel == record.channel, Reason::ConsentChannel)),
        (Condition::Mechanism, worthless(recorded)),
        (Condition::Topic, unless(covers(record, recorded, topic), Reason::ConsentTopic)),
        (Condition::Controller, unless(given_to_us(record, recorded), Reason::ConsentController)),
        (Condition::Proof, unproven(record, recorded)),
        (Condition::Confirmation, unconfirmed(record, recorded)),
    ];
    let fails = |condition, reason| Failure { condition, reason, recorded };
    if let Some((condition, reason)) = checks.iter().find_map(|(condition, failed)| Some((*condition, (*failed)?))) {
        return Err(fails(condition, reason));
    }
    let life = Lifetime::with_contacts(record, recorded.at);
    if !life.reaches(record.policy, record.now) {
        return Err(fails(Condition::Period, Reason::ConsentExpired));
    }
    match barred {
        Some(reason) if !record::by_the_person(recorded) => Err(fails(Condition::Provenance, reason)),
        _ => Ok(Grant { recorded, life }),
    }
}

fn unless(holds: bool, reason: Reason) -> Option<Reason> {
    (!holds).then_some(reason)
}

fn worthless(recorded: &RecordedEvent) -> Option<Reason> {
    match recorded.event.mechanism.as_deref()? {
        "preticked_box" => Some(Reason::ConsentPreticked),
        "terms_acceptance" | "bundled" => Some(Reason::ConsentTerms),
        "conditioned" => Some(Reason::ConsentConditioned),
        "silence" => Some(Reason::ConsentSilence),
        _ => unless(record::is_worthy(recorded), Reason::ConsentNoProof),
    }
}

/// A consent reaches down, but not into a topic that wants its own.
fn covers(record: &Record<'_>, recorded: &RecordedEvent, topic: &str) -> bool {
    let own_consent = |path: &&str| record.policy.topics.get(*path).is_some_and(|topic| topic.own_consent);
    let named = record.topics_of(recorded);
    named.iter().any(|name| scope::reaches(name, topic) && !scope::steps_below(name, topic).iter().any(own_consent))
}

fn given_to_us(record: &Record<'_>, recorded: &RecordedEvent) -> bool {
    let event = &recorded.event;
    let names_us = || event.partners.iter().flatten().any(|partner| partner == record.controller);
    event.controller == record.controller || names_us()
}

/// The burden of proof is the sender's: which text, where, how, by whom, and informed before the act.
pub fn unproven<'a>(record: &Record<'a>, recorded: &'a RecordedEvent) -> Option<Reason> {
    let event = &recorded.event;
    let request = match record.confirmation(recorded) {
        Some(Confirmation::Answers(seq) | Confirmation::Late(seq)) => record.event(seq),
        _ => None,
    };
    if record.text_of(recorded).is_none_or(|version| record.awaits_text(version)) {
        return Some(Reason::ConsentNotInformed);
    }
    let source = event.source.as_deref().or_else(|| request?.event.source.as_deref());
    let mechanism = event.mechanism.as_deref();
    let named = || source.and_then(|source| source.split_once(':')).is_some_and(|(_, name)| !name.is_empty());
    let scanned = || event.evidence.as_ref().is_some_and(|evidence| evidence.get("scan").is_some());
    let proven = source.is_some()
        && mechanism.is_some()
        && (event.actor != Some(Actor::Delegate) || named()) // which shop, which clerk
        && (mechanism != Some("written") || scanned())
        && informed_before(record, recorded);
    unless(proven, Reason::ConsentNoProof)
}

/// An act is judged by the latest collection that is not later than it; what it says of the notice has to fit.
fn informed_before(record: &Record<'_>, recorded: &RecordedEvent) -> bool {
    let collected = |other: &&RecordedEvent| {
        other.event.kind == EventType::Collected
            && other.event.controller == recorded.event.controller
            && other.at <= recorded.at
    };
    let informed_at = record.events().filter(collected).last().and_then(|collected| collected.event.informed_at);
    informed_at.is_none_or(|informed_at| informed_at <= recorded.at)
}

fn unconfirmed(record: &Record<'_>, recorded: &RecordedEvent) -> Option<Reason> {
    match (record.request(recorded), record.confirmation(recorded)) {
        (Some(Request::Open), _) => Some(Reason::ConsentPending),
        (Some(Request::Late), _) | (_, Some(Confirmation::Late(_))) => Some(Reason::ConsentDoiLate),
        _ => None,
    }
}

impl<'a> Failure<'a> {
    fn because(&self, record: &Record<'a>) -> Fact {
        let event = &self.recorded.event;
        let opt_in = |sentence| record.fact(sentence, self.recorded).about(event.topics.iter().flatten());
        match self.reason {
            Reason::ConsentPending => opt_in(Sentence::OptInPending),
            Reason::ConsentDoiLate => opt_in(Sentence::OptInConfirmedLate),
            Reason::ConsentChannel => opt_in(Sentence::OptInOtherChannel).word(&event.channel),
            Reason::ConsentController => opt_in(Sentence::OptInOtherController).word(&event.controller),
            Reason::ConsentTopic => opt_in(Sentence::OptInOtherTopic),
            Reason::ConsentNotInformed => match record.text_of(self.recorded) {
                Some(version) => opt_in(Sentence::OptInTextAwaited).word(version),
                None => opt_in(Sentence::OptInTextUnnamed),
            },
            Reason::ConsentNoProof => opt_in(Sentence::OptInUnproven),
            Reason::ConsentExpired => {
                opt_in(Sentence::OptInEnded).until(Lifetime::with_contacts(record, self.recorded.at).last_day)
            }
            Reason::ConsentPreticked | Reason::ConsentTerms | Reason::ConsentConditioned | Reason::ConsentSilence => {
                opt_in(Sentence::OptInVoid).word(event.mechanism.as_deref().unwrap_or("?"))
            }
            _ => opt_in(Sentence::OptInNotByPerson),
        }
    }
}
