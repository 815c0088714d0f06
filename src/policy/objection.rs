//! Objections: which one stands in the way of a message, and what lifts one (E7, E8).

use jiff::Timestamp;

use super::because::{Fact, Sentence};
use super::opt_in;
use super::period;
use super::record::{self, Confirmation, Record};
use super::verdict::{Finding, Reason};
use crate::consent::event::{EventType, RecordedEvent};
use crate::consent::scope;

/// How an objection came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Said,
    Complaint,
    /// Only the mark is left of somebody whose data are gone.
    Mark,
}

/// One no, to one topic or to everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    pub cause: Cause,
    /// `None`: everything.
    pub topic: Option<String>,
    pub at: Timestamp,
    pub seq: Option<i64>,
}

impl Objection {
    /// Whether it is about this topic.
    pub fn concerns(&self, topic: &str) -> bool {
        self.topic.as_deref().is_none_or(|scope| scope::reaches(scope, topic))
    }

    fn reason(&self) -> Reason {
        match (self.cause, &self.topic) {
            (Cause::Mark, _) => Reason::ObjHash,
            (Cause::Complaint, _) => Reason::ObjComplaint,
            (Cause::Said, None) => Reason::ObjGlobal,
            (Cause::Said, Some(_)) => Reason::ObjTopic,
        }
    }

    /// Later than it, what is its own topic or lies below: only that is newer and explicit enough.
    fn is_lifted_by(&self, act: &Act, topic: &str) -> bool {
        let names = |named: &String| {
            self.topic.as_deref().is_none_or(|scope| scope::reaches(scope, named)) && scope::reaches(named, topic)
        };
        act.at > self.at && act.topics.iter().any(names)
    }

    fn because(&self, record: &Record<'_>) -> Fact {
        let sentence = match (self.cause, &self.topic) {
            (Cause::Said, Some(_)) => Sentence::ObjectedTo,
            (Cause::Said, None) => Sentence::ObjectedToAll,
            (Cause::Complaint, Some(_)) => Sentence::ComplainedAbout,
            (Cause::Complaint, None) => Sentence::ComplainedAboutAll,
            (Cause::Mark, Some(_)) => Sentence::ObjectionMark,
            (Cause::Mark, None) => Sentence::ObjectionMarkForAll,
        };
        let fact = Fact::new(sentence).about(&self.topic).on(period::day(record.policy, self.at));
        Fact { event: self.seq, ..fact }
    }

    /// The strictest first: said before marks (E7 before E8), everything before one topic, then the latest.
    fn rank(&self) -> (bool, bool, Timestamp, Option<i64>) {
        (self.cause != Cause::Mark, self.topic.is_none(), self.at, self.seq)
    }
}

/// A yes of the person that may lift an objection.
struct Act {
    at: Timestamp,
    topics: Vec<String>,
}

/// The objection that stops this message, if any: one that concerns a topic of it and was not lifted for that topic.
/// A message that does not say what it is about may be about anything.
pub fn standing(record: &Record<'_>, topics: &[String]) -> Option<Finding> {
    let acts: Vec<Act> = record.own().filter(|event| lifts(record, event)).map(|event| act(record, event)).collect();
    let stands = |objection: &&Objection| {
        let against =
            |topic: &String| objection.concerns(topic) && !acts.iter().any(|act| objection.is_lifted_by(act, topic));
        topics.is_empty() || topics.iter().any(against)
    };
    let strictest = record.objections().iter().filter(stands).max_by_key(|objection| objection.rank())?;
    let mut finding = Finding::block(strictest.reason(), strictest.because(record));
    finding.events.extend(strictest.seq);
    Some(finding)
}

/// Only an explicit act of the person to this controller, on this channel, confirmed where it must be, and proven: what
/// would permit nothing by itself opens no door for another ground either.
fn lifts<'a>(record: &Record<'a>, recorded: &'a RecordedEvent) -> bool {
    let confirmed = match recorded.event.kind {
        EventType::OptIn => record.request(recorded).is_none(),
        EventType::OptInConfirmed => {
            matches!(record.confirmation(recorded), Some(Confirmation::Answers(_) | Confirmation::Alone))
        }
        _ => false,
    };
    confirmed
        && recorded.event.channel == record.channel
        && record::by_the_person(recorded)
        && record::is_worthy(recorded)
        && opt_in::unproven(record, recorded).is_none()
        && !period::is_ahead(recorded.at, record.now)
}

fn act(record: &Record<'_>, recorded: &RecordedEvent) -> Act {
    Act { at: recorded.happened_by(), topics: record.topics_of(recorded) }
}
