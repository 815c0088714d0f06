//! How long a permission lasts: calendar days in the zone of the policy.

use jiff::civil::Date;
use jiff::{Span, Timestamp};

use super::rules::Policy;

/// How far an act may seem to lie ahead because two clocks differ.
const CLOCK_TOLERANCE_SECONDS: i64 = 300;

/// The calendar day of a moment.
pub fn day(policy: &Policy, at: Timestamp) -> Date {
    at.to_zoned(policy.time_zone.clone()).date()
}

/// The last day of a permission that began or was renewed at `anchor`: its anniversary, inclusive, less the margin.
/// 29 February has its anniversary on the last day of February.
pub fn last_day(policy: &Policy, anchor: Timestamp) -> Date {
    let years = Span::new().years(i64::from(policy.knobs.retention_years));
    let margin = Span::new().days(i64::from(policy.knobs.expiry_margin_days));
    let start = day(policy, anchor);
    // A date no calendar reaches grants nothing: the day it began on is then the last one.
    start.checked_add(years).and_then(|end| end.checked_sub(margin)).unwrap_or(start)
}

/// Whether `answer` came within the confirmation window of `request`; the last moment is in time.
pub fn within_window(policy: &Policy, request: Timestamp, answer: Timestamp) -> bool {
    let deadline = request.to_zoned(policy.time_zone.clone()).checked_add(policy.knobs.doi_window);
    deadline.is_ok_and(|deadline| answer <= deadline.timestamp())
}

/// Whether an act lies so far ahead that it has not happened yet.
pub fn is_ahead(act: Timestamp, now: Timestamp) -> bool {
    act.as_second().saturating_sub(now.as_second()) > CLOCK_TOLERANCE_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_policy;

    fn policy(knobs: &str) -> Policy {
        parse_policy("policy.toml", knobs, &[]).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_ends_with_its_anniversary_in_the_zone_of_the_policy() {
        let table = [
            ("", "2023-05-15T12:00:00+02:00", "2026-05-15"),
            ("", "2023-05-14T22:00:00Z", "2026-05-15"),
            ("", "2023-05-14T21:59:59Z", "2026-05-14"),
            // A leap day ends with February, and nothing is lengthened to a leap day.
            ("", "2024-02-29T12:00:00+01:00", "2027-02-28"),
            ("", "2021-02-28T12:00:00+01:00", "2024-02-28"),
            ("retention_years = 1", "2024-02-29T12:00:00+01:00", "2025-02-28"),
            ("", "2024-02-29T23:30:00Z", "2027-03-01"),
            // Nights that lose or gain an hour are days like others.
            ("", "2023-03-26T00:30:00Z", "2026-03-26"),
            ("", "2022-10-30T00:30:00Z", "2025-10-30"),
            ("", "2022-12-31T23:30:00Z", "2026-01-01"),
            ("retention_years = 2", "2023-05-15T12:00:00+02:00", "2025-05-15"),
            ("expiry_margin_days = 1", "2023-05-15T12:00:00+02:00", "2026-05-14"),
            ("expiry_margin_days = 30", "2021-03-30T12:00:00+02:00", "2024-02-29"),
            ("retention_years = 1\nexpiry_margin_days = 365", "2023-05-15T12:00:00+02:00", "2023-05-16"),
            ("time_zone = \"Pacific/Auckland\"", "2023-05-14T12:30:00Z", "2026-05-15"),
        ];
        for (knobs, anchor, expected) in table {
            assert_eq!(last_day(&policy(knobs), moment(anchor)).to_string(), expected, "{knobs} {anchor}");
        }
    }

    #[test]
    fn a_confirmation_is_in_time_until_the_window_closes_to_the_second() {
        let table = [
            ("", "2026-05-08T12:00:00+02:00", true),
            ("", "2026-05-08T12:00:01+02:00", false),
            ("doi_window = \"36 hours\"", "2026-05-03T00:00:00+02:00", true),
            ("doi_window = \"36 hours\"", "2026-05-03T00:00:01+02:00", false),
        ];
        for (knobs, answer, expected) in table {
            let request = moment("2026-05-01T12:00:00+02:00");
            assert_eq!(within_window(&policy(knobs), request, moment(answer)), expected, "{knobs} {answer}");
        }
    }
}
