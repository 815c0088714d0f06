//! The professional basis: mail on the subject of the job, to somebody who was told and could refuse (R38 to R40).

use super::because::{Because, Fact, Sentence};
use super::decide::{Outcome, Question};
use super::life::Lifetime;
use super::opt_in::opt_in_only;
use super::profile::Profile;
use super::record::Record;
use super::rules::B2bMode;
use super::verdict::{Basis, Finding, Reason};
use crate::consent::event::RecordedEvent;

/// Somebody at work who may be written to on the subject of the job.
pub struct Colleague<'a> {
    pub profile: &'a RecordedEvent,
    pub collected: &'a RecordedEvent,
    pub functions: &'a [String],
    pub life: Lifetime,
}

/// A condition that does not hold, the fact that tells, and the events that hold it.
pub type Shortfall = (Reason, Because, Vec<i64>);

pub fn professional(question: &Question<'_>) -> Outcome {
    let record = question.record;
    let Profile::Professional(profile) = Profile::of(record) else { return Outcome::NotApplicable };
    if opt_in_only(question, profile).is_some() {
        return Outcome::NotApplicable;
    }
    let found = colleague(record, profile).and_then(|colleague| {
        on_the_job(question, &colleague)?;
        alive(record, &colleague)?;
        Ok(colleague)
    });
    let colleague = match found {
        Ok(colleague) => colleague,
        Err((reason, because, events)) => return Outcome::Fails(reason, because, events),
    };
    let met = |function: &&String| question.classification.functions.contains(function);
    let met: Vec<&str> = colleague.functions.iter().filter(met).map(String::as_str).collect();
    let because = record.fact(Sentence::InformedAtWork, colleague.collected).word(met.join(", "));
    Outcome::Passes(Finding {
        events: colleague.events(),
        last_day: Some(colleague.life.last_day),
        ..Finding::allow(Reason::OkProfessional, Basis::Professional, Because::from(because))
    })
}

/// Everything that does not depend on the message or the day.
pub fn colleague<'a>(record: &Record<'a>, profile: &'a RecordedEvent) -> Result<Colleague<'a>, Shortfall> {
    let of_profile = |reason, sentence| Err((reason, record.fact(sentence, profile).into(), vec![profile.seq]));
    if record.policy.knobs.b2b_mode == B2bMode::StrictConsent {
        return of_profile(Reason::ProStrict, Sentence::ProfessionalsConsent);
    }
    let Some(collected) = record.sure_collections().last() else {
        return of_profile(Reason::ProNotInformed, Sentence::NeverCollected);
    };
    if let Some(fact) = uninformed(record, collected) {
        return Err((Reason::ProNotInformed, fact.into(), vec![profile.seq, collected.seq]));
    }
    let functions = profile.event.functions.as_deref().unwrap_or_default();
    if functions.is_empty() {
        return of_profile(Reason::ProFunctionUnknown, Sentence::JobUnknown);
    }
    Ok(Colleague { profile, collected, functions, life: Lifetime::with_contacts(record, collected.at) })
}

/// What is missing in what the person was told when the address was collected.
pub fn uninformed(record: &Record<'_>, collected: &RecordedEvent) -> Option<Fact> {
    if collected.event.informed_at.is_none_or(|informed_at| informed_at > record.now) {
        return Some(record.fact(Sentence::ToldNothing, collected));
    }
    (collected.event.refusal_offered != Some(true)).then(|| record.fact(Sentence::NoRefusalOffered, collected))
}

fn on_the_job(question: &Question<'_>, colleague: &Colleague<'_>) -> Result<(), Shortfall> {
    let subject = &question.classification.functions;
    let told = |sentence| question.record.fact(sentence, colleague.profile).word(colleague.functions.join(", ")).into();
    let events = vec![colleague.profile.seq];
    if subject.is_empty() {
        return Err((Reason::ProFunctionUnknown, told(Sentence::SubjectUnknown), events));
    }
    let met = subject.iter().any(|function| colleague.functions.contains(function));
    if met { Ok(()) } else { Err((Reason::ProSubject, told(Sentence::OffTheJob), events)) }
}

fn alive(record: &Record<'_>, colleague: &Colleague<'_>) -> Result<(), Shortfall> {
    if colleague.life.reaches(record.policy, record.now) {
        return Ok(());
    }
    let fact = record.fact(Sentence::AddressEnded, colleague.collected).until(colleague.life.last_day);
    Err((Reason::ProExpired, fact.into(), colleague.events()))
}

impl Colleague<'_> {
    pub fn events(&self) -> Vec<i64> {
        [Some(self.profile.seq), Some(self.collected.seq), self.life.renewed_by].into_iter().flatten().collect()
    }
}
