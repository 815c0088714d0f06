//! The non-commercial basis: an appeal of a charity or an association to people who were told and could refuse.

use super::because::{Fact, Sentence};
use super::decide::{Outcome, Question};
use super::life::Lifetime;
use super::opt_in::opt_in_only;
use super::professional::uninformed;
use super::record::Record;
use super::rules::ControllerKind;
use super::verdict::{Basis, Finding, Reason};
use crate::consent::event::RecordedEvent;

/// Somebody a charity may appeal to.
pub struct Friend<'a> {
    pub collected: &'a RecordedEvent,
    pub life: Lifetime,
}

pub fn non_commercial(question: &Question<'_>) -> Outcome {
    let record = question.record;
    if !question.classification.is_kind("non_commercial") {
        return Outcome::NotApplicable;
    }
    let Some(Ok(friend)) = friend(record) else { return Outcome::NotApplicable };
    if !friend.life.reaches(record.policy, record.now) || opt_in_only(question, friend.collected).is_some() {
        return Outcome::NotApplicable;
    }
    let because = record.fact(Sentence::NotCommercial, friend.collected);
    let mut events = vec![friend.collected.seq];
    events.extend(friend.life.renewed_by);
    let finding = Finding::allow(Reason::OkNoncommercial, Basis::NonCommercial, because);
    Outcome::Passes(Finding { events, last_day: Some(friend.life.last_day), ..finding })
}

/// Nothing where the policy or the controller does not know this basis or the address was never collected; else what
/// the person was not told.
pub fn friend<'a>(record: &Record<'a>) -> Option<Result<Friend<'a>, (Fact, i64)>> {
    let kind = record.policy.controllers.get(record.controller)?.kind;
    if !record.policy.knobs.non_commercial || kind == ControllerKind::Company {
        return None;
    }
    let collected = record.sure_collections().last()?;
    Some(match uninformed(record, collected) {
        Some(fact) => Err((fact, collected.seq)),
        None => Ok(Friend { collected, life: Lifetime::with_contacts(record, collected.at) }),
    })
}

/// Why an appeal that this basis is there for may not go: no code of its own says so, the sentence does.
pub fn shortfall(question: &Question<'_>) -> Option<(Fact, i64)> {
    if !question.classification.is_kind("non_commercial") {
        return None;
    }
    match friend(question.record)? {
        Err(uninformed) => Some(uninformed),
        Ok(Friend { collected, life }) => {
            let fact = question.record.fact(Sentence::AddressEnded, collected).until(life.last_day);
            Some((fact, collected.seq))
        }
    }
}
