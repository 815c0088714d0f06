//! The page of choices as it is shown.

use jiff::Span;
use minijinja::{Value, context};
use serde::Serialize;

use super::wording::Wording;
use crate::consent::limit::{Rate, Window};
use crate::consent::scope;
use crate::policy::preferences::{Channel, Preferences, TopicNow, longest_pause};
use crate::web::room::Room;

/// What is offered besides what was chosen before.
const LIMITS: [Option<Rate>; 4] = [
    None,
    Some(Rate { count: 1, window: Window::Day }),
    Some(Rate { count: 1, window: Window::Week }),
    Some(Rate { count: 1, window: Window::Month }),
];
/// A notice in a program of the controller's is offered where it is on record only.
const CHANNELS: [Channel; 3] = [Channel::Sms, Channel::Phone, Channel::Post];

#[derive(Serialize)]
struct TopicShown {
    path: String,
    label: String,
    on: bool,
    /// What the form sends back.
    shown: String,
    limits: Vec<LimitShown>,
    /// Labels of what lies below it.
    includes: Vec<String>,
    /// The ground, where it is none that the person gave.
    ground: Option<&'static str>,
}

#[derive(Serialize)]
struct LimitShown {
    value: String,
    label: String,
    chosen: bool,
}

#[derive(Serialize)]
struct ChannelShown {
    value: &'static str,
    on: bool,
}

/// What the template is told.
pub fn context(room: &Room<'_>, now: &Preferences, wording: &Wording) -> Value {
    let topics: Vec<TopicShown> = now.topics.iter().map(|topic| topic_shown(room, now, topic)).collect();
    let mut offered = CHANNELS.to_vec();
    offered.extend(now.channels.iter().filter(|channel| !CHANNELS.contains(channel)));
    let channel = |channel: &Channel| ChannelShown { value: channel.as_str(), on: now.channels.contains(channel) };
    let channels: Vec<ChannelShown> = offered.iter().map(channel).collect();
    let shown_channels: Vec<&str> = now.channels.iter().map(|channel| channel.as_str()).collect();
    let day = |day: jiff::civil::Date| day.to_string();
    let today = room.now().to_zoned(room.policy.time_zone.clone()).date();
    let tomorrow = today.checked_add(Span::new().days(1)).unwrap_or(today);
    context! {
        count => topics.len(),
        topics,
        limits => limits(room, now.frequency),
        shown_limit => written(now.frequency),
        pause => now.paused_until.map(day).unwrap_or_default(),
        pause_first => day(tomorrow),
        pause_last => day(longest_pause(&room.policy, room.now())),
        channels,
        shown_channels => shown_channels.join(" "),
        left => now.left,
        question => wording.question,
        info => wording.info,
        privacy => wording.privacy,
        privacy_url => wording.privacy_url,
    }
}

fn topic_shown(room: &Room<'_>, now: &Preferences, topic: &TopicNow) -> TopicShown {
    let below = now.topics.iter().filter(|other| other.path != topic.path && scope::reaches(&topic.path, &other.path));
    let ground = topic.basis.map(|basis| basis.as_str()).filter(|basis| *basis != "opt_in");
    TopicShown {
        label: room.label(&topic.path),
        on: topic.is_on(),
        shown: format!("{} {} {}", topic.path, topic.mark, written(topic.frequency)),
        limits: limits(room, topic.frequency),
        includes: below.map(|other| room.label(&other.path)).collect(),
        ground,
        path: topic.path.clone(),
    }
}

fn limits(room: &Room<'_>, chosen: Option<Rate>) -> Vec<LimitShown> {
    let mut offered = LIMITS.to_vec();
    if !offered.contains(&chosen) {
        offered.push(chosen);
    }
    let one =
        |rate: &Option<Rate>| LimitShown { value: written(*rate), label: label(room, *rate), chosen: *rate == chosen };
    offered.iter().map(one).collect()
}

fn label(room: &Room<'_>, rate: Option<Rate>) -> String {
    let words = room.own_words();
    let Some(rate) = rate else { return words.say("own-limit-none", &[]) };
    let count = [("count", rate.count.into())];
    match rate.window {
        Window::Day => words.say("own-limit-day", &count),
        Window::Week => words.say("own-limit-week", &count),
        Window::Month => words.say("own-limit-month", &count),
    }
}

fn written(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "none".to_owned(), |rate| rate.to_string())
}
