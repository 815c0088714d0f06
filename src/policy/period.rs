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
