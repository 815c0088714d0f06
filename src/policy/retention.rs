//! When what is known of a person is over, and what is then due: the one notice, and the end (consent-rules, section 6).

use jiff::civil::Date;
use jiff::{Span, Timestamp};

use super::concern::concern;
use super::decide::DELETION_NOTICE;
use super::horizon::{Horizon, horizon};
use super::period;
use super::rules::Policy;
use super::sign_up::unconfirmed_until;
use super::verdict::Basis;
use super::word::words;
use crate::consent::state::{Consulted, ContactState};
use crate::smtp::address::EmailAddress;

words! {
    /// What is due for one person at one controller.
    pub enum Due {
        Nothing = "nothing",
        /// To be asked, once and neutrally, whether they want to stay.
        Notice = "notice",
        /// To be forgotten.
        Purge = "purge",
    }
}

/// How it stands between one controller and one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The last day on which the controller may keep the person's data for prospecting, inclusive.
    pub last_day: Date,
    /// The ground that lasts longest; `None`: the person never was more than a prospect.
    pub ground: Option<Basis>,
    pub due: Due,
}

impl Retention {
    /// For lists: `customer`, `opt_in`, `prospect`.
    pub fn reason(&self) -> &'static str {
        self.ground.map_or("prospect", Basis::as_str)
    }
}

/// `None` when the controller has nothing of its own on record.
///
/// Whoever got the notice has `retention_notice` to answer it, also beyond the last day; whoever got none is kept for
/// that long after it. An answer is an act of the person, which moves the last day itself. Who never confirmed a form
/// that was sent in with their address is asked nothing more.
pub fn retention(
    policy: &Policy,
    controller: &str,
    person: &EmailAddress,
    consulted: &Consulted,
    now: Timestamp,
) -> Option<Retention> {
    let known = consulted.exact.as_ref()?;
    if let Some(last_day) = unconfirmed_until(policy, controller, known) {
        let due = if last_day < period::day(policy, now) { Due::Purge } else { Due::Nothing };
        return Some(Retention { last_day, ground: None, due });
    }
    let horizon = horizon(policy, controller, person, consulted, now);
    let (last_day, ground) = end(policy, controller, known, &horizon)?;
    let today = horizon.today;
    let noticed = noticed_at(consulted).map(|at| period::day(policy, at));
    // A notice that an answer followed was about an earlier end.
    let began = last_day.checked_sub(Span::new().years(i64::from(policy.knobs.retention_years))).unwrap_or(Date::MIN);
    let waited = match noticed.filter(|day| *day >= began) {
        Some(notice) => today >= later(policy, notice),
        None => today > later(policy, last_day),
    };
    let is_near = last_day <= later(policy, today);
    let due = if last_day < today && waited {
        Due::Purge
    } else if noticed.is_none() && is_near && may_be_asked(policy, controller, person, consulted, now) {
        Due::Notice
    } else {
        Due::Nothing
    };
    Some(Retention { last_day, ground, due })
}

fn later(policy: &Policy, day: Date) -> Date {
    day.checked_add(policy.knobs.retention_notice).unwrap_or(Date::MAX)
}

/// The latest of all ends. Of somebody of whom only other things are known, such as an objection, the newest of them
/// takes the place of the collection.
fn end(policy: &Policy, controller: &str, known: &ContactState, horizon: &Horizon) -> Option<(Date, Option<Basis>)> {
    let own = known.events.iter().filter(|recorded| recorded.event.controller == controller);
    let newest = own.map(|recorded| recorded.happened_by()).max()?;
    let ground = horizon.grounds.iter().max_by_key(|ground| ground.last_day);
    let of_ground = ground.map(|ground| (ground.last_day, Some(ground.basis)));
    let of_record = horizon.kept_until.map(|day| (day, None));
    let otherwise = || (period::last_day(policy, newest), None);
    Some(match (of_ground, of_record) {
        (Some(ground), Some(record)) => (ground.0.max(record.0), ground.1),
        (found, None) | (None, found) => found.unwrap_or_else(otherwise),
    })
}

fn noticed_at(consulted: &Consulted) -> Option<Timestamp> {
    let notices = consulted.sent.iter().filter(|sent| sent.is_of_kind(DELETION_NOTICE));
    notices.map(|sent| sent.at).max()
}

/// Not who has left for good: they have given their answer.
fn may_be_asked(
    policy: &Policy,
    controller: &str,
    person: &EmailAddress,
    consulted: &Consulted,
    now: Timestamp,
) -> bool {
    !concern(policy, controller, person, consulted, now).left && consulted.suppressed.is_none()
}

#[cfg(test)]
mod tests;
