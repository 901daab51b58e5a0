//! Times as an operator types and reads them: of the clock, in UTC, as the logs are.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::adapters::clock::SystemClock;
use crate::ports::Clock as _;

/// What else is typed is answered with this.
const HINT: &str = "expected a time such as 10:30, 2026-01-02 10:30 or 2026-01-02T03:04:05Z, in UTC where it does not say \
                    otherwise, or a time span such as 2h: so long ago";

/// Reads a time; see [`read`].
///
/// # Errors
/// What it should have been.
pub fn when(text: &str) -> Result<Timestamp, String> {
    read(text, SystemClock.now())
}

/// Reads a time of the clock (`10:30` is the last time that it was so), a day with or without a time, a full time with its
/// zone, or a span: so long before `now`.
///
/// # Errors
/// What it should have been.
pub fn read(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let utc = |time: DateTime| {
        time.to_zoned(TimeZone::UTC).map(|time| time.timestamp()).map_err(|_| HINT.to_owned())
    };
    // Before the time alone, which of a day and a time takes the time.
    if let Ok(time) = text.parse::<DateTime>() {
        return utc(time);
    }
    if text.contains(':')
        && let Ok(time) = text.parse::<Time>()
    {
        let today = utc(now.to_zoned(TimeZone::UTC).date().to_datetime(time))?;
        let day = SignedDuration::from_hours(24);
        return if today > now { today.checked_sub(day).map_err(|_| HINT.to_owned()) } else { Ok(today) };
    }
    let span = duration(text).map_err(|_| HINT.to_owned())?;
    now.checked_sub(span).map_err(|_| "that is too long ago".to_owned())
}

/// A time of the clock, with its day unless that is today's.
#[must_use]
pub fn clock(time: Timestamp, now: Timestamp) -> String {
    let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    let format = if day(time) == day(now) { "%H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%SZ" };
    time.strftime(format).to_string()
}

/// Reads a time span such as `90s`, `1h30m` or `2d`, a day being 24 hours.
///
/// # Errors
/// What it should have been.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let hint = |_| "expected a time span such as 500ms, 90s, 1h30m or 2d".to_owned();
    let span: jiff::Span = text.parse().map_err(hint)?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(hint)?;
    span.try_into().map_err(hint)
}
