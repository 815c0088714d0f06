//! How often: what a person wished and what the policy allows, counted over sliding windows (E10, section 8).

use std::collections::BTreeMap;

use jiff::{RoundMode, Timestamp, Unit, ZonedRound};

use super::because::{Fact, Sentence};
use super::period;
use super::record::{self, Record};
use super::rules::FreqAction;
use super::verdict::{Finding, Reason};
use crate::consent::event::{EventType, RecordedEvent};
use crate::consent::limit::{Limit, Rate};
use crate::consent::scope;
use crate::consent::state::Sent;

/// What earlier mail means for one more message.
pub struct Frequency {
    /// The limit that ends last of those that are reached, or the pause.
    pub hindrance: Option<Finding>,
    /// How many more messages there is room for, this one included; none when no cap bears on it.
    pub room: Option<u32>,
}

/// One limit on what somebody gets.
struct Cap<'a> {
    rate: Rate,
    /// As it was written.
    limit: String,
    /// What it is about, with all that lies below; `None`: everything.
    topic: Option<String>,
    /// Who asked for it; without one it is the policy's.
    wish: Option<&'a RecordedEvent>,
}

/// How a cap stands at this moment.
struct Standing {
    room: u32,
    /// When there is room again, and the last message that counts.
    full: Option<(Timestamp, Timestamp)>,
}

/// Something that stands in the way until then.
type Hindrance = (Timestamp, Fact);

pub fn judge(record: &Record<'_>, topics: &[String], sent: &[Sent]) -> Frequency {
    let caps = caps(record, topics);
    let standings: Vec<Standing> = caps.iter().map(|cap| cap.standing(record, sent)).collect();
    let full = caps.iter().zip(&standings).filter_map(|(cap, standing)| {
        let (until, last) = standing.full?;
        Some((until, cap.because(record, until, last)))
    });
    let hindrance = full.chain(pause(record)).max_by_key(|(until, _)| *until);
    Frequency {
        hindrance: hindrance.map(|hindrance| finding(record, hindrance)),
        room: standings.iter().map(|standing| standing.room).min(),
    }
}

/// The limit a person wishes for mail about this topic, or `None`: about everything. Their own word goes before what was
/// said of them. `None`: as the sender does it.
pub fn wished(record: &Record<'_>, topic: Option<&str>) -> Option<Rate> {
    let wishes = wishes(record);
    let about = wishes.iter().find(|(about, _)| about.as_deref() == topic)?.1;
    let own = about.iter().rev().find(|wish| !record::is_said_by_another(wish));
    let limit = own.or(about.last())?.event.limit.as_deref()?;
    Limit::parse(limit).and_then(Limit::rate)
}

/// Until when a pause runs, if one does.
pub fn paused_until(record: &Record<'_>) -> Option<Timestamp> {
    pause(record).map(|(until, _)| until)
}

fn finding(record: &Record<'_>, (_, because): Hindrance) -> Finding {
    let events = because.event.into_iter().collect();
    let finding = match record.policy.knobs.freq_action {
        FreqAction::Block => Finding::block(Reason::FreqCap, because),
        FreqAction::Delay => Finding::defer(Reason::FreqCap, because),
    };
    Finding { events, ..finding }
}

/// Every cap that counts a message about these topics: the person's, those of its topics and what they lie below, the
/// one over all.
fn caps<'a>(record: &Record<'a>, topics: &[String]) -> Vec<Cap<'a>> {
    let policy = record.policy;
    let wished = wishes(record).into_iter().flat_map(|(topic, wishes)| {
        let limit = |wish: &RecordedEvent| wish.event.limit.clone().unwrap_or_default();
        let cap = move |wish| (limit(wish), topic.clone(), wish);
        wishes.into_iter().map(cap)
    });
    let wished = wished.filter_map(|(limit, topic, wish)| {
        let rate = Limit::parse(&limit).and_then(Limit::rate)?;
        Some(Cap { rate, limit, topic, wish: Some(wish) })
    });
    let of_policy = |rate: Rate, topic| Cap { rate, limit: rate.to_string(), topic, wish: None };
    let of_topics =
        policy.topics.values().filter_map(|topic| Some(of_policy(topic.frequency?, Some(topic.path.clone()))));
    let overall = policy.frequency.map(|rate| of_policy(rate, None));
    wished.chain(of_topics).chain(overall).filter(|cap| cap.is_about(topics)).collect()
}

/// What stands of the wishes about each topic, `None` being all of them. A later one takes the place of an earlier one;
/// but what an import or an operator says never loosens what the person said, so it stands beside that.
fn wishes<'a>(record: &Record<'a>) -> BTreeMap<Option<String>, Vec<&'a RecordedEvent>> {
    let mut standing: BTreeMap<Option<String>, Vec<&RecordedEvent>> = BTreeMap::new();
    for wish in of_kind(record, EventType::Frequency) {
        let named = wish.event.topics.as_deref().unwrap_or_default();
        let mut about: Vec<Option<String>> = record.topics_of(wish).into_iter().map(Some).collect();
        if named.is_empty() || named.iter().any(|topic| topic == "*") {
            about.push(None);
        }
        for topic in about {
            replace(standing.entry(topic).or_default(), wish);
        }
    }
    standing
}

fn replace<'a>(standing: &mut Vec<&'a RecordedEvent>, said: &'a RecordedEvent) {
    let by_another = record::is_said_by_another(said);
    standing.retain(|earlier| by_another && !record::is_said_by_another(earlier));
    standing.push(said);
}

/// The pause that runs, if one does. A later one takes the place of an earlier one, as with wishes.
fn pause(record: &Record<'_>) -> Option<Hindrance> {
    let mut standing = Vec::new();
    of_kind(record, EventType::Pause).for_each(|pause| replace(&mut standing, pause));
    let until = |pause: &&RecordedEvent| pause.event.until.filter(|until| *until > record.now);
    let (until, pause) =
        standing.iter().filter_map(|pause| Some((until(pause)?, pause))).max_by_key(|(until, _)| *until)?;
    let fact = again_from(record, Fact::new(Sentence::Paused).event(pause.seq), until);
    Some((until, fact))
}

fn of_kind<'a>(record: &Record<'a>, kind: EventType) -> impl Iterator<Item = &'a RecordedEvent> {
    record.own().filter(move |recorded| recorded.event.kind == kind && recorded.event.channel == "email")
}

/// To the minute, rounded up: at the moment that is said there is room.
fn again_from(record: &Record<'_>, fact: Fact, until: Timestamp) -> Fact {
    let until = until.to_zoned(record.policy.time_zone.clone());
    let minute = ZonedRound::new().smallest(Unit::Minute).mode(RoundMode::Ceil);
    let until = until.round(minute).unwrap_or(until);
    fact.until(until.date()).at_time(until.time())
}

impl Cap<'_> {
    /// Mail that does not say what it is about may be about anything.
    fn is_about(&self, topics: &[String]) -> bool {
        let reaches = |scope: &String| topics.is_empty() || topics.iter().any(|topic| scope::reaches(scope, topic));
        self.topic.as_ref().is_none_or(reaches)
    }

    fn counts(&self, record: &Record<'_>, sent: &Sent) -> bool {
        let topics: Vec<String> = sent.topics.iter().map(|topic| record.policy.present_name(topic)).collect();
        sent.promotional && self.is_about(&topics)
    }

    fn standing(&self, record: &Record<'_>, sent: &[Sent]) -> Standing {
        let end = |sent: &Sent| self.rate.window.end(sent.at, &record.policy.time_zone);
        let counted = sent.iter().filter(|sent| self.counts(record, sent) && end(sent) > record.now);
        let mut windows: Vec<(Timestamp, Timestamp)> = counted.map(|sent| (end(sent), sent.at)).collect();
        windows.sort_unstable();
        let count = usize::try_from(self.rate.count).unwrap_or(usize::MAX);
        let room = u32::try_from(count.saturating_sub(windows.len())).unwrap_or(u32::MAX);
        let full = windows.len().checked_sub(count).and_then(|over| {
            let last = windows.iter().map(|(_, at)| *at).max()?;
            Some((windows.get(over)?.0, last))
        });
        Standing { room, full }
    }

    fn because(&self, record: &Record<'_>, until: Timestamp, last: Timestamp) -> Fact {
        let sentence = match (self.wish.is_some(), self.topic.is_some()) {
            (true, true) => Sentence::WishReached,
            (true, false) => Sentence::WishReachedOverall,
            (false, true) => Sentence::CapReached,
            (false, false) => Sentence::CapReachedOverall,
        };
        let fact = Fact::new(sentence).about(&self.topic).word(&self.limit).on(period::day(record.policy, last));
        let fact = again_from(record, fact, until);
        Fact { event: self.wish.map(|wish| wish.seq), ..fact }
    }
}

#[cfg(test)]
mod tests;
