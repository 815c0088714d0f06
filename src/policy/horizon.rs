//! Until when a person may be written to, on which ground, about what: every ground that holds, and every one that held
//! until its time was over. What is said of one message is in `decide`.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::customer::Customer;
use super::generic::desk;
use super::life::{Lifetime, is_contact};
use super::non_commercial::friend;
use super::objection;
use super::opt_in;
use super::period;
use super::professional::colleague;
use super::profile::Profile;
use super::record::Record;
use super::rules::{GenericMode, Policy};
use super::verdict::Basis;
use crate::consent::event::EventType;
use crate::consent::state::Consulted;
use crate::smtp::address::EmailAddress;

/// One ground on which a controller may write to a person, or might have until its last day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ground {
    pub basis: Basis,
    /// The topics it is good for and that nobody objected to. Empty: an objection stands against all of it.
    pub topics: Vec<String>,
    /// Product families it is confined to; for customers.
    pub families: Vec<String>,
    /// Subjects it is confined to; for professionals.
    pub functions: Vec<String>,
    /// Inclusive.
    pub last_day: Date,
    /// The events relied on, by number.
    pub events: Vec<i64>,
}

/// All grounds between one controller and one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Horizon {
    /// The day of the question, in the zone of the policy.
    pub today: Date,
    pub grounds: Vec<Ground>,
    /// The last day on which anything the person did with this controller, a ground or not, is young enough to be kept
    /// for prospecting (R63, R64); nothing when nothing of the kind is on record.
    pub kept_until: Option<Date>,
}

impl Horizon {
    /// The last day on which the person may be written to about anything, when that is not over.
    pub fn until(&self) -> Option<Date> {
        self.open().map(|ground| ground.last_day).max()
    }

    /// The grounds that hold today.
    pub fn open(&self) -> impl Iterator<Item = &Ground> {
        self.grounds.iter().filter(|ground| ground.last_day >= self.today && !ground.topics.is_empty())
    }

    /// The day on which the last of all grounds ended, when all have.
    pub fn ended(&self) -> Option<Date> {
        let last = self.grounds.iter().map(|ground| ground.last_day).max()?;
        (last < self.today).then_some(last)
    }
}

/// Every ground between the controller and the person, the order that of the decision.
pub fn horizon(
    policy: &Policy,
    controller: &str,
    recipient: &EmailAddress,
    consulted: &Consulted,
    now: Timestamp,
) -> Horizon {
    let record = Record::read(policy, controller, recipient, consulted, now);
    let topics: Vec<String> =
        policy.topics.values().filter(|topic| topic.controller == controller).map(|topic| topic.path.clone()).collect();
    let open: Vec<String> = topics
        .iter()
        .filter(|topic| objection::standing(&record, std::slice::from_ref(topic)).is_none())
        .cloned()
        .collect();
    let mut grounds = opt_ins(&record, &topics, &open);
    if record.barred_provenance().is_none() {
        grounds.extend(customers(&record, &open));
        grounds.extend(at_work(&record, &open));
        grounds.extend(friends(&record, &open));
    }
    Horizon { today: period::day(policy, now), grounds, kept_until: kept_until(&record) }
}

/// One ground for each consent, with all the topics it is the best one for; also topics the policy has forgotten.
fn opt_ins(record: &Record<'_>, topics: &[String], open: &[String]) -> Vec<Ground> {
    let mut asked: Vec<String> = topics.to_vec();
    for recorded in record.opt_ins() {
        let forgotten =
            record.topics_of(recorded).into_iter().filter(|topic| !record.policy.topics.contains_key(topic));
        asked.extend(forgotten.collect::<Vec<_>>());
    }
    asked.sort();
    asked.dedup();
    let barred = record.barred_provenance().map(|(reason, ..)| reason);
    let mut grounds: Vec<Ground> = Vec::new();
    for topic in asked {
        let Some((seq, life)) = opt_in::ground(record, barred, &topic) else { continue };
        let events = [Some(seq), life.renewed_by].into_iter().flatten().collect();
        let may = open.contains(&topic) || objection::standing(record, std::slice::from_ref(&topic)).is_none();
        let found = ground(Basis::OptIn, may.then_some(topic).into_iter().collect(), life, events);
        match grounds.iter_mut().find(|known| known.events == found.events) {
            Some(known) => known.topics.extend(found.topics),
            None => grounds.push(found),
        }
    }
    grounds
}

fn customers(record: &Record<'_>, open: &[String]) -> Option<Ground> {
    let customer = Customer::find(record)?;
    let topics = without_consent(record, open);
    let families = customer.families(record.policy);
    Some(Ground { families, ..ground(Basis::Customer, topics, customer.life, customer.relied_on()) })
}

fn at_work(record: &Record<'_>, open: &[String]) -> Option<Ground> {
    match Profile::of(record) {
        Profile::Professional(profile) => {
            let colleague = colleague(record, profile).ok()?;
            let functions = colleague.functions.to_vec();
            let found = ground(Basis::Professional, without_consent(record, open), colleague.life, colleague.events());
            Some(Ground { functions, ..found })
        }
        Profile::Generic(_) if record.policy.knobs.generic_mode == GenericMode::Deny => None,
        Profile::Generic(profile) => {
            let desk = desk(record)?;
            let events =
                [Some(profile.seq), Some(desk.since.seq), desk.life.renewed_by].into_iter().flatten().collect();
            Some(ground(Basis::Generic, open.to_vec(), desk.life, events))
        }
        Profile::Consumer => None,
    }
}

fn friends(record: &Record<'_>, open: &[String]) -> Option<Ground> {
    let friend = friend(record)?.ok()?;
    let events = [Some(friend.collected.seq), friend.life.renewed_by].into_iter().flatten().collect();
    Some(ground(Basis::NonCommercial, without_consent(record, open), friend.life, events))
}

fn ground(basis: Basis, topics: Vec<String>, life: Lifetime, mut events: Vec<i64>) -> Ground {
    events.sort_unstable();
    events.dedup();
    Ground { basis, topics, families: Vec::new(), functions: Vec::new(), last_day: life.last_day, events }
}

/// What other grounds than a consent open.
fn without_consent(record: &Record<'_>, open: &[String]) -> Vec<String> {
    let own_consent = |topic: &&String| record.policy.topics.get(*topic).is_some_and(|topic| topic.own_consent);
    open.iter().filter(|topic| !own_consent(topic)).cloned().collect()
}

/// Collecting the address, agreeing and buying begin a time; signs of life prolong it while it runs, the end of a
/// contract always.
fn kept_until(record: &Record<'_>) -> Option<Date> {
    let policy = record.policy;
    let happened = record.own().filter(|recorded| record.has_happened(recorded));
    let lived = happened.fold(None, |life: Option<Lifetime>, recorded| {
        use EventType as T;
        let begins =
            matches!(recorded.event.kind, T::Collected | T::OptIn | T::OptInPending | T::OptInConfirmed | T::Purchase);
        match life {
            Some(life) if begins => Some(life.prolonged(policy, recorded)),
            Some(life) if is_contact(policy, recorded) => Some(life.with(policy, recorded)),
            None if begins || is_contact(policy, recorded) => Some(Lifetime::beginning(policy, recorded.at)),
            unchanged => unchanged,
        }
    })?;
    let ends = record.own().filter(|recorded| recorded.event.kind == EventType::RelationEnd);
    Some(ends.fold(lived, |life, end| life.prolonged(policy, end)).last_day)
}

#[cfg(test)]
mod tests;
