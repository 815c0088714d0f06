//! Lists for others (consent-rules R49, R50): whose address may be used on another channel than e-mail, or be handed to a
//! partner. Only an opt-in to exactly that counts; the rules about what an opt-in is worth are those of every decision.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::because::{Because, Sentence};
use super::classify::Classification;
use super::decide::{Outcome, Question};
use super::objection;
use super::opt_in::opt_in;
use super::record::Record;
use super::rules::Policy;
use super::verdict::Reason;
use crate::consent::event::{EventType, RecordedEvent};
use crate::consent::state::{Consulted, ContactState};
use crate::smtp::address::EmailAddress;

/// What the list is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// To be reached there by the controller itself.
    Channel(String),
    /// To be written to by this controller, which the wording has to name.
    Partner(String),
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Use::Channel(name) | Use::Partner(name) => f.write_str(name),
        }
    }
}

/// What is known of the person: to the controller, and to the partner where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub own: &'a Consulted,
    pub partner: Option<&'a Consulted>,
}

/// One topic that the person agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub topic: String,
    pub last_day: Option<Date>,
    pub because: Because,
    pub events: Vec<i64>,
}

/// Why somebody is not on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub reason: Reason,
    pub because: Because,
}

/// The topics the person agreed to, at least one, or what stands against all of them.
pub fn agreed(
    policy: &Policy,
    controller: &str,
    usage: &Use,
    person: (&EmailAddress, Known<'_>),
    now: Timestamp,
) -> Result<Vec<Agreed>, LeftOut> {
    let (address, known) = person;
    match usage {
        Use::Channel(channel) => {
            let record = Record::on_channel(policy, (controller, channel), address, known.own, now);
            by_topic(&record, None)
        }
        Use::Partner(partner) => {
            let named = naming(known.partner.unwrap_or(known.own), controller, partner);
            let record = Record::read(policy, partner, address, &named, now);
            let own = Record::read(policy, controller, address, known.own, now);
            by_topic(&record, Some(&own))
        }
    }
}

/// Of what the person agreed to, only the word to this controller that names the partner: a consent given to the partner
/// itself is nobody else's to hand over.
fn naming(known: &Consulted, controller: &str, partner: &str) -> Consulted {
    let counts = |recorded: &RecordedEvent| {
        let event = &recorded.event;
        let names = event.partners.iter().flatten().any(|name| name == partner);
        !event.kind.is_opt_in() || event.kind == EventType::OptInPending || (event.controller == controller && names)
    };
    let only = |state: &ContactState| {
        let events = state.events.iter().filter(|recorded| counts(recorded)).cloned().collect();
        ContactState { address: state.address.clone(), events }
    };
    Consulted { exact: known.exact.as_ref().map(only), ..known.clone() }
}

/// `source`: whoever hands over, to whom the person may have objected as well.
fn by_topic(record: &Record<'_>, source: Option<&Record<'_>>) -> Result<Vec<Agreed>, LeftOut> {
    let topics: BTreeSet<String> = record.opt_ins().flat_map(|recorded| record.topics_of(recorded)).collect();
    let (mut found, mut left_out) = (Vec::new(), None);
    for topic in topics {
        match on_topic(record, source, vec![topic]) {
            Ok(agreed) => found.push(agreed),
            // An objection says more than a consent that fails.
            Err(next) => left_out = Some(left_out.filter(|known: &LeftOut| known.is_objection()).unwrap_or(next)),
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    Err(match left_out {
        Some(left_out) => left_out,
        None => match on_topic(record, source, Vec::new()) {
            Err(left_out) => left_out,
            Ok(_) => LeftOut { reason: Reason::ConsentTopic, because: Sentence::NothingOnRecord.into() },
        },
    })
}

impl LeftOut {
    fn is_objection(&self) -> bool {
        matches!(self.reason, Reason::ObjGlobal | Reason::ObjTopic | Reason::ObjComplaint | Reason::ObjHash)
    }
}

fn on_topic(record: &Record<'_>, source: Option<&Record<'_>>, topics: Vec<String>) -> Result<Agreed, LeftOut> {
    let objected = |record: &Record<'_>| objection::standing(record, &topics);
    if let Some(finding) = objected(record).or_else(|| source.and_then(objected)) {
        return Err(LeftOut { reason: finding.reason, because: finding.because });
    }
    let provenance = source.unwrap_or(record).barred_provenance();
    let barred = provenance.as_ref().map(|(reason, ..)| *reason);
    let classification = Classification::of_advertising(record.controller, topics, Vec::new());
    let question = Question { record, classification: &classification, barred };
    match (opt_in(&question), provenance) {
        (Outcome::Passes(finding), _) => Ok(Agreed {
            topic: classification.topics.concat(),
            last_day: finding.last_day,
            because: finding.because,
            events: finding.events,
        }),
        (_, Some((reason, because, _))) => Err(LeftOut { reason, because }),
        (Outcome::Fails(reason, because, _), None) => Err(LeftOut { reason, because }),
        (Outcome::NotApplicable, None) => Err(nothing(source)),
    }
}

/// Nobody asked for this; whoever agreed to something else is told apart.
fn nothing(source: Option<&Record<'_>>) -> LeftOut {
    let agreed_otherwise = source.is_some_and(|source| source.opt_ins().next().is_some());
    let reason = if agreed_otherwise { Reason::ConsentController } else { Reason::ConsentNone };
    LeftOut { reason, because: Sentence::NothingOnRecord.into() }
}

#[cfg(test)]
mod tests;
