//! How often: `weekly`, `monthly`, `2/week`, or `none` for no limit.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// What may be written where a limit is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    None,
    AtMost(Rate),
}

/// So many messages in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub window: Window,
}

/// A stretch of time that slides along, not one of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    Day,
    Week,
    Month,
}

impl Limit {
    pub fn parse(text: &str) -> Option<Limit> {
        let once = |window| Some(Limit::AtMost(Rate { count: 1, window }));
        match text {
            "none" => return Some(Limit::None),
            "weekly" => return once(Window::Week),
            "monthly" => return once(Window::Month),
            _ => {}
        }
        let (count, unit) = text.split_once('/')?;
        let window = match unit {
            "day" => Window::Day,
            "week" => Window::Week,
            "month" => Window::Month,
            _ => return None,
        };
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|count| digits && *count > 0)?;
        Some(Limit::AtMost(Rate { count, window }))
    }

    pub fn rate(self) -> Option<Rate> {
        match self {
            Limit::None => None,
            Limit::AtMost(rate) => Some(rate),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.window {
            Window::Day => "day",
            Window::Week => "week",
            Window::Month => "month",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl Window {
    /// The first moment at which what was sent at `at` counts no longer. Days and weeks are so many hours; a month ends
    /// at the same time on the clock one calendar month later, on the last day of a month that is too short.
    pub fn end(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let end = match self {
            Window::Day => at.checked_add(SignedDuration::from_hours(24)),
            Window::Week => at.checked_add(SignedDuration::from_hours(7 * 24)),
            Window::Month => at.to_zoned(zone.clone()).checked_add(Span::new().months(1)).map(|end| end.timestamp()),
        };
        end.unwrap_or(Timestamp::MAX)
    }

    /// No window is longer than this, in whatever zone and month.
    pub const LONGEST: SignedDuration = SignedDuration::from_hours(32 * 24);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_read_as_written_and_nothing_else_is_one() {
        let rate = |count, window| Some(Limit::AtMost(Rate { count, window }));
        let table = [
            ("none", Some(Limit::None)),
            ("weekly", rate(1, Window::Week)),
            ("monthly", rate(1, Window::Month)),
            ("1/day", rate(1, Window::Day)),
            ("2/week", rate(2, Window::Week)),
            ("31/month", rate(31, Window::Month)),
        ];
        for (text, limit) in table {
            assert_eq!(Limit::parse(text), limit, "{text}");
        }
        for text in [
            "",
            "daily",
            "0/week",
            "-1/week",
            "+1/week",
            "/week",
            "1/",
            "1/year",
            "2 /week",
            "1/week/",
            "4294967296/day",
        ] {
            assert_eq!(Limit::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_window_ends_to_the_second_and_a_month_by_the_clock() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let table = [
            (Window::Day, "2026-03-28T10:00:00+01:00", "2026-03-29T11:00:00+02:00"),
            (Window::Week, "2026-03-25T10:00:00+01:00", "2026-04-01T11:00:00+02:00"),
            (Window::Week, "2026-05-08T10:00:00+02:00", "2026-05-15T10:00:00+02:00"),
            (Window::Month, "2026-01-31T10:00:00+01:00", "2026-02-28T10:00:00+01:00"),
            (Window::Month, "2028-01-31T10:00:00+01:00", "2028-02-29T10:00:00+01:00"),
            (Window::Month, "2026-03-28T10:00:00+01:00", "2026-04-28T10:00:00+02:00"),
            (Window::Month, "2026-12-15T00:30:00+01:00", "2027-01-15T00:30:00+01:00"),
            // There is no half past two on 29 March 2026: the clock shows half past three then.
            (Window::Month, "2026-02-28T02:30:00+01:00", "2026-03-28T02:30:00+01:00"),
            (Window::Month, "2025-03-01T02:30:00+01:00", "2025-04-01T02:30:00+02:00"),
            (Window::Month, "2027-02-28T02:30:00+01:00", "2027-03-28T03:30:00+02:00"),
        ];
        for (window, at, end) in table {
            assert_eq!(window.end(at.parse().unwrap(), &paris), end.parse().unwrap(), "{window:?} from {at}");
        }
    }

    proptest! {
        #[test]
        fn no_window_outlasts_the_longest(
            at in 0i64..4_000_000_000,
            zone in proptest::sample::select(vec!["Europe/Paris", "Australia/Lord_Howe", "America/St_Johns", "UTC"]),
        ) {
            let (zone, at) = (TimeZone::get(zone).unwrap(), Timestamp::from_second(at).unwrap());
            for window in [Window::Day, Window::Week, Window::Month] {
                let end = window.end(at, &zone);
                prop_assert!(end > at && end.duration_since(at) <= Window::LONGEST);
            }
        }
    }
}
