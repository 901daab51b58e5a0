//! Instants, and the many ways providers write them.

use jiff::Timestamp;
use jiff::fmt::temporal::{DateTimeParser, PiecesOffset};
use jiff::tz::{Offset, TimeZone};
use schemars::JsonSchema;
use serde::Serialize;

use super::number::Number;

/// A provider's own time: the instant in UTC, and the text it was sent as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProviderTime {
    /// The instant, in UTC.
    pub utc: Timestamp,
    /// What the provider wrote, verbatim (its offset and its precision are part of what it said).
    pub original: String,
}

const BILLION: i128 = 1_000_000_000;
/// Epoch numbers below this are seconds, from it on milliseconds: 10^11 s is the year 5138, 10^11 ms is 1973.
const FIRST_MILLISECOND: i128 = 100_000_000_000 * BILLION;
/// Epoch seconds before this (1973) are not a delivery's time but a default such as `0`.
const FIRST_SECOND: i128 = 100_000_000 * BILLION;
/// Epoch milliseconds from this on (year 5138) are not believed.
const LAST_MILLISECOND: i128 = 100_000_000_000_000 * BILLION;

/// Reads an epoch number in seconds or in milliseconds, told apart by size, with a fraction or without one; `None` when
/// it is neither. What is finer than a nanosecond is left out.
#[must_use]
pub fn from_epoch(number: &Number<'_>) -> Option<Timestamp> {
    let billionths = number.billionths()?;
    let nanoseconds = match billionths {
        FIRST_SECOND..FIRST_MILLISECOND => billionths,
        FIRST_MILLISECOND..LAST_MILLISECOND => billionths / 1_000,
        _ => return None,
    };
    Timestamp::from_nanosecond(nanoseconds).ok()
}

/// Reads ISO 8601 / RFC 3339 text with up to nine fractional digits and any offset. Text without an offset
/// is read at `default_offset` when there is one, else refused.
#[must_use]
pub fn from_text(text: &str, default_offset: Option<Offset>) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let pieces = PARSER.parse_pieces(text.trim()).ok()?;
    let offset = match pieces.offset() {
        Some(PiecesOffset::Numeric(numeric)) => numeric.offset(),
        Some(PiecesOffset::Zulu) => Offset::UTC,
        Some(_) => return None,
        // A zone's name without an offset would need a zone database; the default would be a guess.
        None if pieces.time_zone_annotation().is_some() => return None,
        None => default_offset?,
    };
    let civil = pieces.date().to_datetime(pieces.time()?);
    TimeZone::fixed(offset).to_timestamp(civil).ok()
}
