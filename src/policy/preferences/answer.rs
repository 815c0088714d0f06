//! What a page that comes back asks for, and the events that carry it out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Channel, Mark, Preferences, TopicNow, Whom, beginning_of, preferences};
use crate::consent::event::{Actor, ConsentEvent, EventType, RecordedEvent};
use crate::consent::limit::Rate;
use crate::consent::scope;
use crate::consent::state::{Consulted, ContactState};
use crate::policy::verdict::Basis;

/// Between a no and a yes of the same page: at the same moment the no would win over what lies below it.
const AFTER_THE_NO: SignedDuration = SignedDuration::from_micros(1);

/// What was shown, and what was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<T> {
    pub shown: T,
    pub chosen: T,
}

impl<T: PartialEq> Asked<T> {
    /// Whether the person changed it. What nobody touched is no choice.
    pub fn is_change(&self) -> bool {
        self.shown != self.chosen
    }
}

/// About one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicAnswer {
    pub shown: Mark,
    pub on: bool,
    pub frequency: Asked<Option<Rate>>,
}

/// A page as it came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// By path; what was not on the page is not in it.
    pub topics: BTreeMap<String, TopicAnswer>,
    pub frequency: Asked<Option<Rate>>,
    pub paused_until: Asked<Option<Date>>,
    pub channels: Asked<BTreeSet<Channel>>,
}

/// How it was said.
#[derive(Clone, Debug)]
pub struct Said<'a> {
    pub source: &'a str,
    /// The wording that was shown.
    pub text_version: &'a str,
    pub evidence: Value,
    /// Whether it is known who reads the mailbox. A link may have been passed on, and takes no objection back.
    pub proven: bool,
}

/// What an answer comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// In the order in which they are to be recorded, all or none.
    pub events: Vec<ConsentEvent>,
    pub switched_on: Vec<String>,
    pub switched_off: Vec<String>,
    /// Topics that were left on and are off now: they lie below one that was switched off.
    pub off_with_another: Vec<String>,
    /// Topics that stay as they are: something was said about them since the page was shown.
    pub overtaken: Vec<String>,
    /// Topics that were objected to and stay off: only who reads the mailbox takes that back.
    pub unproven: Vec<String>,
    /// Topics that were switched on and count only once something else has happened, as a confirmation has to.
    pub not_yet: Vec<String>,
    /// Something about frequency, pause or channels stays as it is: it was changed since the page was shown.
    pub wishes_overtaken: bool,
    /// Frequency, pause or channels were changed.
    pub wishes_changed: bool,
}

/// Nothing more of this controller: one act that covers what it will ever write about.
pub fn everything_off(whom: &Whom<'_>, said: &Said<'_>) -> Vec<ConsentEvent> {
    let leaves = !preferences(whom).left;
    leaves.then(|| objection(whom, said, EventType::Object, None)).into_iter().collect()
}

impl Answer {
    /// Only what the person changed becomes an event. A no is carried out whatever was said since the page was shown; a
    /// yes is not, for it would lift an objection that came in between.
    pub fn settle(&self, whom: &Whom<'_>, said: &Said<'_>) -> Settled {
        let now = preferences(whom);
        let mut settled = Settled::default();
        let mut off: BTreeMap<EventType, Vec<String>> = BTreeMap::new();
        for topic in &now.topics {
            let Some(answer) = self.topics.get(&topic.path) else { continue };
            match (answer.shown.on, answer.on) {
                (true, false) => {
                    settled.switched_off.push(topic.path.clone());
                    if !topic.objected {
                        off.entry(how_to_leave(topic)).or_default().push(topic.path.clone());
                    }
                }
                (false, true) if topic.is_on() => {}
                (false, true) if answer.shown != topic.mark => settled.overtaken.push(topic.path.clone()),
                (false, true) if topic.objected && !said.proven => settled.unproven.push(topic.path.clone()),
                (false, true) => settled.switched_on.push(topic.path.clone()),
                _ => {}
            }
        }
        self.wishes(whom, said, &now, &mut settled);
        self.carry_out(whom, said, (&now, off), &mut settled);
        settled
    }

    /// The yes and the no, and with them what a yes to something wider would have brought along.
    fn carry_out(
        &self,
        whom: &Whom<'_>,
        said: &Said<'_>,
        (now, mut off): (&Preferences, BTreeMap<EventType, Vec<String>>),
        settled: &mut Settled,
    ) {
        let wishes = std::mem::take(&mut settled.events);
        settled.events = choices(whom, said, &off, &settled.switched_on);
        let after = preferences_after(whom, &settled.events);
        let unasked = |topic: &&TopicNow| self.topics.get(&topic.path).is_none_or(|answer| !answer.on);
        let came_along = after.topics.iter().filter(|topic| topic.is_on() && !was_on(now, &topic.path)).filter(unasked);
        let came_along: Vec<String> = came_along.map(|topic| topic.path.clone()).collect();
        if !came_along.is_empty() {
            off.entry(EventType::Object).or_default().extend(came_along);
            settled.events = choices(whom, said, &off, &settled.switched_on);
        }
        let after = preferences_after(whom, &settled.events);
        settled.not_yet = settled.switched_on.iter().filter(|path| !was_on(&after, path)).cloned().collect();
        let kept = |path: &&String| self.topics.get(*path).is_some_and(|answer| answer.shown.on && answer.on);
        let went = now.topics.iter().filter(|topic| topic.is_on() && !was_on(&after, &topic.path));
        settled.off_with_another = went.map(|topic| &topic.path).filter(kept).cloned().collect();
        settled.events.extend(wishes);
        if let Some(event) = self.channels(whom, said, (now, &after), settled) {
            settled.events.push(event);
        }
    }

    /// Frequency and pause.
    fn wishes(&self, whom: &Whom<'_>, said: &Said<'_>, now: &Preferences, settled: &mut Settled) {
        let mut limits: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for topic in &now.topics {
            let Some(answer) = self.topics.get(&topic.path) else { continue };
            if let Some(wish) = settled.take(&answer.frequency, &topic.frequency) {
                limits.entry(written(*wish)).or_default().push(topic.path.clone());
            }
        }
        let overall = settled.take(&self.frequency, &now.frequency).map(|wish| (written(*wish), None));
        let of_topics = limits.into_iter().map(|(limit, topics)| (limit, Some(topics)));
        for (limit, topics) in overall.into_iter().chain(of_topics) {
            let limit = Some(limit);
            settled.events.push(ConsentEvent { limit, topics, ..event(whom, said, EventType::Frequency) });
        }
        let pause = settled.take(&self.paused_until, &now.paused_until);
        if let Some(until) = pause.and_then(|day| day.map_or(Some(whom.now), |day| beginning_of(whom.policy, day))) {
            settled.events.push(ConsentEvent { until: Some(until), ..event(whom, said, EventType::Pause) });
        }
    }

    /// E-mail is named among them as long as a topic is on.
    fn channels(
        &self,
        whom: &Whom<'_>,
        said: &Said<'_>,
        (now, after): (&Preferences, &Preferences),
        settled: &mut Settled,
    ) -> Option<ConsentEvent> {
        let chosen = settled.take(&self.channels, &now.channels).cloned();
        let by_mail = |preferences: &Preferences| preferences.topics.iter().any(TopicNow::is_on);
        let email_changed = now.channels_known && by_mail(now) != by_mail(after);
        if chosen.is_none() && !email_changed {
            return None;
        }
        let others = chosen.unwrap_or_else(|| now.channels.clone());
        let email = by_mail(after).then_some("email");
        let channels = email.into_iter().chain(others.into_iter().map(Channel::as_str)).map(str::to_owned).collect();
        Some(ConsentEvent { channels: Some(channels), ..event(whom, said, EventType::ChannelPreference) })
    }
}

impl Settled {
    /// Whether there is nothing to tell: the page came back as it was sent.
    pub fn is_unchanged(&self) -> bool {
        *self == Settled::default()
    }

    /// What is to be written of a wish that stands as `now`: nothing where nobody touched it, where it stands so
    /// already, or where it was changed since.
    fn take<'a, T: PartialEq>(&mut self, asked: &'a Asked<T>, now: &T) -> Option<&'a T> {
        if !asked.is_change() || asked.chosen == *now {
            return None;
        }
        if asked.shown != *now {
            self.wishes_overtaken = true;
            return None;
        }
        self.wishes_changed = true;
        Some(&asked.chosen)
    }
}

/// A consent is withdrawn; to what comes without one the person objects. Both are a no.
fn how_to_leave(topic: &TopicNow) -> EventType {
    if topic.basis == Some(Basis::OptIn) { EventType::Withdraw } else { EventType::Object }
}

fn was_on(preferences: &Preferences, path: &str) -> bool {
    preferences.topics.iter().any(|topic| topic.path == path && topic.is_on())
}

fn written(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "none".to_owned(), |rate| rate.to_string())
}

/// A topic that is switched on below one that is switched off stays on.
fn choices(
    whom: &Whom<'_>,
    said: &Said<'_>,
    off: &BTreeMap<EventType, Vec<String>>,
    on: &[String],
) -> Vec<ConsentEvent> {
    let mut events: Vec<ConsentEvent> =
        off.iter().map(|(kind, topics)| objection(whom, said, *kind, Some(topics.clone()))).collect();
    if !on.is_empty() {
        let reached = |path: &String| off.values().flatten().any(|left| scope::reaches(left, path));
        let at = if on.iter().any(reached) { whom.now + AFTER_THE_NO } else { whom.now };
        let yes = event(whom, said, EventType::OptIn);
        let (at, mechanism) = (Some(at), Some("preference_centre".to_owned()));
        events.push(ConsentEvent { at, recorded_at: at, mechanism, topics: Some(on.to_vec()), ..yes });
    }
    events
}

pub(super) fn objection(
    whom: &Whom<'_>,
    said: &Said<'_>,
    kind: EventType,
    topics: Option<Vec<String>>,
) -> ConsentEvent {
    let mechanism = Some("preference_centre".to_owned());
    ConsentEvent { topics, mechanism, ..event(whom, said, kind) }
}

pub(super) fn event(whom: &Whom<'_>, said: &Said<'_>, kind: EventType) -> ConsentEvent {
    ConsentEvent {
        at: Some(whom.now),
        recorded_at: Some(whom.now),
        actor: Some(Actor::Person),
        source: Some(said.source.to_owned()),
        text_version: Some(said.text_version.to_owned()),
        evidence: Some(said.evidence.clone()),
        ..ConsentEvent::new(whom.address.clone(), whom.controller, kind)
    }
}

/// What the record would say with these events in it.
fn preferences_after(whom: &Whom<'_>, events: &[ConsentEvent]) -> Preferences {
    let consulted = with_events(whom, events);
    preferences(&Whom { consulted: &consulted, now: whom.now + AFTER_THE_NO, ..*whom })
}

pub(super) fn with_events(whom: &Whom<'_>, events: &[ConsentEvent]) -> Consulted {
    let mut consulted = whom.consulted.clone();
    let nothing = || ContactState { address: whom.address.clone(), events: Vec::new() };
    let state = consulted.exact.get_or_insert_with(nothing);
    let newest = state.events.iter().map(|recorded| recorded.seq).max().unwrap_or_default();
    for (event, seq) in events.iter().zip(newest + 1..) {
        state.add(RecordedEvent::new(seq, event.clone(), event.at.unwrap_or(Timestamp::MAX)));
    }
    consulted
}
