//! The generic basis: an address that is a firm's and nobody's, like contact@ (R41 to R44).

use super::because::Sentence;
use super::classify::Classification;
use super::decide::{Outcome, Question};
use super::life::Lifetime;
use super::profile::Profile;
use super::record::Record;
use super::rules::GenericMode;
use super::verdict::{Basis, Finding, Reason};
use crate::consent::event::RecordedEvent;

/// A firm's address, from the last time it was collected, or from the first contact if it never was.
pub struct Desk<'a> {
    pub since: &'a RecordedEvent,
    pub life: Lifetime,
}

pub fn generic(question: &Question<'_>) -> Outcome {
    let record = question.record;
    let Profile::Generic(profile) = Profile::of(record) else { return Outcome::NotApplicable };
    let of_profile =
        |reason, sentence| Outcome::Fails(reason, record.fact(sentence, profile).into(), vec![profile.seq]);
    if record.policy.knobs.generic_mode == GenericMode::Deny {
        return of_profile(Reason::GenDenied, Sentence::GenericsConsent);
    }
    let Some(desk) = desk(record) else { return of_profile(Reason::GenExpired, Sentence::NeverCollected) };
    let mut events = vec![profile.seq, desk.since.seq];
    events.extend(desk.life.renewed_by);
    if !desk.life.reaches(record.policy, record.now) {
        let fact = record.fact(Sentence::AddressEnded, desk.since).until(desk.life.last_day);
        return Outcome::Fails(Reason::GenExpired, fact.into(), events);
    }
    if record.policy.knobs.generic_mode == GenericMode::AttentionLine && !names_a_function(question.classification) {
        return of_profile(Reason::GenAttention, Sentence::NamesNoFunction);
    }
    let because = record.fact(Sentence::FirmsAddress, desk.since);
    let finding = Finding::allow(Reason::OkGeneric, Basis::Generic, because);
    Outcome::Passes(Finding { events, last_day: Some(desk.life.last_day), ..finding })
}

/// In the subject, or in the body where it was looked at.
fn names_a_function(classification: &Classification) -> bool {
    classification.names_a_function || classification.body.as_ref().is_some_and(|body| body.names_a_function)
}

pub fn desk<'a>(record: &Record<'a>) -> Option<Desk<'a>> {
    let since = record.sure_collections().last().or_else(|| record.contacts().next())?;
    Some(Desk { since, life: Lifetime::with_contacts(record, since.at) })
}
