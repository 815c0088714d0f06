//! The page of choices as it comes back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::consent::limit::{Limit, Rate};
use crate::policy::preferences::{Answer, Asked, Channel, TopicAnswer, longest_pause};
use crate::policy::rules::Policy;
use crate::policy::word::Word;
use crate::web::fields::{Fields, LIMIT_OF};

/// Why a page that came back says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Something is missing or was changed on the way.
    Broken,
    /// The day of the pause is past, too far off, or none.
    Pause,
}

/// Reads all of it or nothing. The form says how many topics it shows, so that one that was cut off is told from one in
/// which everything was switched off.
pub fn answer(fields: &Fields, policy: &Policy, now: Timestamp) -> Result<Answer, Unread> {
    let mut topics = BTreeMap::new();
    let on = fields.all("on");
    for shown in fields.all("shown") {
        let (path, topic) = topic(fields, shown, &on).ok_or(Unread::Broken)?;
        topics.insert(policy.present_name(&path), topic);
    }
    let count = fields.one("count").and_then(|count| count.parse().ok());
    let known = |path: &&str| topics.contains_key(&policy.present_name(path));
    if count != Some(fields.all("shown").len()) || !on.iter().all(known) {
        return Err(Unread::Broken);
    }
    let frequency = Asked { shown: rate(fields.one("shown-limit"))?, chosen: rate(fields.one("limit"))? };
    let paused_until = pause(fields, policy, now)?;
    Ok(Answer { topics, frequency, paused_until, channels: channels(fields).ok_or(Unread::Broken)? })
}

/// `shown` is a path, the mark of what was said of it, and its limit.
fn topic(fields: &Fields, shown: &str, on: &[&str]) -> Option<(String, TopicAnswer)> {
    let parts: Vec<&str> = shown.split(' ').collect();
    let [path, mark, limit] = parts[..] else { return None };
    let chosen = rate(fields.one(&format!("{LIMIT_OF}{path}"))).ok()?;
    let frequency = Asked { shown: rate(Some(limit)).ok()?, chosen };
    Some((path.to_owned(), TopicAnswer { shown: mark.parse().ok()?, on: on.contains(&path), frequency }))
}

fn rate(text: Option<&str>) -> Result<Option<Rate>, Unread> {
    text.and_then(Limit::parse).map(Limit::rate).ok_or(Unread::Broken)
}

fn pause(fields: &Fields, policy: &Policy, now: Timestamp) -> Result<Asked<Option<Date>>, Unread> {
    let day = |name: &str| match fields.one(name) {
        None => Err(Unread::Broken),
        Some("") => Ok(None),
        Some(day) => day.parse::<Date>().map(Some).map_err(|_| Unread::Pause),
    };
    let asked = Asked { shown: day("shown-pause")?, chosen: day("pause")? };
    let today = now.to_zoned(policy.time_zone.clone()).date();
    let fits = |day: Date| day > today && day <= longest_pause(policy, now);
    if asked.is_change() && asked.chosen.is_some_and(|day| !fits(day)) {
        return Err(Unread::Pause);
    }
    Ok(asked)
}

fn channels(fields: &Fields) -> Option<Asked<std::collections::BTreeSet<Channel>>> {
    let shown = fields.one("shown-channels")?.split(' ').filter(|word| !word.is_empty());
    let shown = shown.map(Channel::from_word).collect::<Option<_>>()?;
    let chosen = fields.all("channel").into_iter().map(Channel::from_word).collect::<Option<_>>()?;
    Some(Asked { shown, chosen })
}
