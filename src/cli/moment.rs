//! Moments as people write them on a command line.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A moment of the past or future: `2026-05-15T10:00:00+02:00`, a day (its start, UTC), or how long ago (`2h`, `3d`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    At(Timestamp),
    Ago(SignedDuration),
}

impl Moment {
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Moment {
    type Err = UnknownMoment;

    fn from_str(text: &str) -> Result<Moment, UnknownMoment> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Moment::At(at));
        }
        if let Ok(day) = text.parse::<Date>() {
            return day.to_zoned(TimeZone::UTC).map(|start| Moment::At(start.timestamp())).map_err(|_| UnknownMoment);
        }
        ago(text).map(Moment::Ago).ok_or(UnknownMoment)
    }
}

/// `90s`, `15m`, `2h`, `3d`, `2w`.
fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().next_back()?;
    let count: i64 = text.strip_suffix(unit)?.parse().ok().filter(|count| *count >= 0)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    count.checked_mul(seconds).map(SignedDuration::from_secs)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMoment;

impl fmt::Display for UnknownMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "write a time with its offset (2026-05-15T10:00:00+02:00), a day (2026-05-15, UTC), or an age (2h, 3d)",
        )
    }
}

impl std::error::Error for UnknownMoment {}

/// A moment as tables show it: UTC, to the second.
pub fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_a_day_or_an_age() {
        let now: Timestamp = "2026-05-15T10:00:00Z".parse().unwrap();
        let table = [
            ("2026-05-15T10:00:00+02:00", Some("2026-05-15T08:00:00Z")),
            ("2026-05-15", Some("2026-05-15T00:00:00Z")),
            ("90s", Some("2026-05-15T09:58:30Z")),
            ("2h", Some("2026-05-15T08:00:00Z")),
            ("3d", Some("2026-05-12T10:00:00Z")),
            ("99999999999w", Some("-009999-01-02T01:59:59Z")),
            ("-2h", None),
            ("2 o'clock", None),
            ("é", None),
            ("", None),
        ];
        for (text, expected) in table {
            let read = text.parse::<Moment>().ok().map(|moment| moment.resolve(now).to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert_eq!(shown(now), "2026-05-15 10:00:00Z");
    }
}
