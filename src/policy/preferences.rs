//! What a person may choose: read as the law sees it now, and what of an answer becomes events.
//!
//! Nothing here decides anew: a topic is on where a ground of `horizon` holds for it, and what an answer comes to is
//! read from the record with its events in it.

mod answer;
mod moving;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::{Timestamp, Unit, ZonedRound};

use super::frequency;
use super::horizon::{Ground, horizon};
use super::objection;
use super::period;
use super::record::Record;
use super::rules::{Policy, Topic};
use super::verdict::Basis;
use super::word::{Word, words};
use crate::consent::event::{EventType, RecordedEvent};
use crate::consent::limit::Rate;
use crate::consent::scope;
use crate::consent::state::Consulted;
use crate::smtp::address::EmailAddress;

pub use answer::{Answer, Asked, Said, Settled, TopicAnswer, everything_off};
pub use moving::{Moving, consents_to_move};

words! {
    /// A way other than e-mail to reach a person. Only recorded: their messages do not come past here.
    pub enum Channel { Sms = "sms", Phone = "phone", Post = "post", Push = "push" }
}

/// Whose preferences with which controller, when, and what is known of them.
#[derive(Clone, Copy)]
pub struct Whom<'a> {
    pub policy: &'a Policy,
    pub controller: &'a str,
    pub address: &'a EmailAddress,
    pub consulted: &'a Consulted,
    pub now: Timestamp,
}

/// What one person has chosen with one controller, or what follows from what they did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    pub topics: Vec<TopicNow>,
    /// An objection stands against everything, present and future, and nothing was opted into since.
    pub left: bool,
    /// How much in all the person wants at most; `None`: as the sender does it.
    pub frequency: Option<Rate>,
    /// The first day on which mail may come again.
    pub paused_until: Option<Date>,
    /// Other ways the person wants to be reached by.
    pub channels: BTreeSet<Channel>,
    /// Whether anything about channels was ever said.
    pub channels_known: bool,
}

/// One topic of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicNow {
    pub path: String,
    /// The strongest ground on which mail about it may come; `None`: it is off.
    pub basis: Option<Basis>,
    /// The person said no to it, and nothing has lifted that.
    pub objected: bool,
    /// How much of it the person wants at most.
    pub frequency: Option<Rate>,
    pub mark: Mark,
}

impl TopicNow {
    pub fn is_on(&self) -> bool {
        self.basis.is_some()
    }
}

/// By which a page that comes back tells whether what it showed still stands: anything said about the topic since, a yes
/// or a no, makes another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub on: bool,
    said: usize,
    /// In microseconds, as it is sent; 0 where nothing was said.
    newest: i64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", u8::from(self.on), self.said, self.newest)
    }
}

/// What a form sent is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Mark, NoMark> {
        let parts: Vec<&str> = text.split('.').collect();
        let [on, said, newest] = parts[..] else { return Err(NoMark) };
        let on = ["0", "1"].iter().position(|flag| *flag == on).ok_or(NoMark)? == 1;
        let said = said.parse().map_err(|_| NoMark)?;
        Ok(Mark { on, said, newest: newest.parse().map_err(|_| NoMark)? })
    }
}

/// Reads them from what is known.
pub fn preferences(whom: &Whom<'_>) -> Preferences {
    let record = Record::read(whom.policy, whom.controller, whom.address, whom.consulted, whom.now);
    let found = horizon(whom.policy, whom.controller, whom.address, whom.consulted, whom.now);
    let grounds: Vec<&Ground> = found.open().collect();
    let own = whom.policy.topics.values().filter(|topic| topic.controller == whom.controller);
    let topics: Vec<TopicNow> = own.map(|topic| topic_now(&record, &grounds, topic)).collect();
    let everything = record.objections().iter().any(|objection| objection.topic.is_none());
    let channels = preferred_channels(&record);
    Preferences {
        left: everything && topics.iter().all(|topic| topic.objected),
        topics,
        frequency: frequency::wished(&record, None),
        paused_until: frequency::paused_until(&record).map(|until| first_day(whom.policy, until)),
        channels_known: channels.is_some(),
        channels: channels.unwrap_or_default(),
    }
}

fn topic_now(record: &Record<'_>, grounds: &[&Ground], topic: &Topic) -> TopicNow {
    let objected = objection::standing(record, std::slice::from_ref(&topic.path)).is_some();
    // The grounds stand in the order of the decision.
    let basis = grounds.iter().find(|ground| holds_for(ground, topic)).map(|ground| ground.basis);
    TopicNow {
        path: topic.path.clone(),
        basis,
        objected,
        frequency: frequency::wished(record, Some(&topic.path)),
        mark: mark(record, &topic.path, basis.is_some()),
    }
}

/// Whether some message about the topic may go on this ground: one about what was bought and the like, for a customer.
fn holds_for(ground: &Ground, topic: &Topic) -> bool {
    let like_what_was_bought = topic.families.is_empty()
        || topic.families.iter().any(|family| ground.families.contains(family))
        || ground.basis != Basis::Customer;
    ground.topics.contains(&topic.path) && like_what_was_bought
}

fn mark(record: &Record<'_>, topic: &str, on: bool) -> Mark {
    let touches = |named: &String| scope::reaches(named, topic) || scope::reaches(topic, named);
    let is_yes = |known: &&RecordedEvent| known.event.kind.is_opt_in() && record.topics_of(known).iter().any(touches);
    let yes = record.events().filter(is_yes).map(RecordedEvent::happened_by);
    let is_no = |objection: &&objection::Objection| objection.topic.as_ref().is_none_or(touches);
    let no = record.objections().iter().filter(is_no).map(|objection| objection.at);
    let said: Vec<i64> = yes.chain(no).map(Timestamp::as_microsecond).collect();
    Mark { on, said: said.len(), newest: said.into_iter().max().unwrap_or_default() }
}

/// The day of that moment, or the next one where the moment lies within it.
fn first_day(policy: &Policy, until: Timestamp) -> Date {
    let until = until.to_zoned(policy.time_zone.clone());
    let day = ZonedRound::new().smallest(Unit::Day).mode(jiff::RoundMode::Ceil);
    until.round(day).map_or(until.date(), |first| first.date())
}

/// The first moment of a day, in the zone of the policy.
pub(super) fn beginning_of(policy: &Policy, day: Date) -> Option<Timestamp> {
    policy.time_zone.to_ambiguous_zoned(day.to_datetime(Time::midnight())).compatible().ok().map(|at| at.timestamp())
}

/// What was said last; the person's own word goes before what was said of them.
fn preferred_channels(record: &Record<'_>) -> Option<BTreeSet<Channel>> {
    let said = || {
        let about = record.own().filter(|known| known.event.kind == EventType::ChannelPreference);
        about.filter(|known| record.has_happened(known))
    };
    let own = said().filter(|known| !super::record::is_said_by_another(known)).last();
    let known = own.or_else(|| said().last())?;
    Some(known.event.channels.iter().flatten().filter_map(|word| Channel::from_word(word)).collect())
}

/// The last day a pause may be set to: who wants no mail for longer than that does not want it.
pub fn longest_pause(policy: &Policy, now: Timestamp) -> Date {
    let today = period::day(policy, now);
    today.checked_add(jiff::Span::new().years(1)).unwrap_or(today)
}
