//! The delay levels: any delay at one resolution, without a plugin and without one message holding up another.
//!
//! Level k is a queue whose messages expire after 2^k units and are dead-lettered to level k-1. The routing key is
//! the delay in binary, one digit a word, most significant first, then the provider: each level's exchange looks at
//! its own digit and sends the message either through its queue or straight on. A message enters at its highest set
//! digit, so within a queue all messages wait equally long.

use std::time::Duration;

use crate::domain::provider::ProviderId;

/// The resolution of the delay levels in production: part of the queues' arguments, so the same for every role there ever is.
pub const DELAY_UNIT: Duration = Duration::from_secs(1);
/// How many levels there are: delays of up to 2^12 - 1 units.
pub const LEVELS: usize = 12;
/// Where a delayed message ends: work queues are bound to it by `#.<provider>`.
pub(super) const DELIVERY_EXCHANGE: &str = "milepost.delay.v1.delivery";
/// Longer delays are cut to this many significant binary digits: fewer hops, and at most 1/16 early.
const SIGNIFICANT_DIGITS: u32 = 5;

/// The levels, at some resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayLevels {
    unit: Duration,
}

impl DelayLevels {
    /// Levels that resolve `unit`: one second in production, milliseconds in tests.
    #[must_use]
    pub const fn new(unit: Duration) -> Self {
        Self { unit }
    }

    /// How long level `level`'s queue holds a message, in milliseconds.
    #[must_use]
    pub fn ttl_millis(&self, level: usize) -> u64 {
        u64::try_from(self.unit.as_millis()).unwrap_or(u64::MAX) << level
    }

    /// The exchange a message enters by, and its routing key.
    #[must_use]
    pub fn route(&self, delay: Duration, provider: ProviderId) -> (String, String) {
        let units = self.units(delay);
        let key = routing_key(units, provider);
        let entry = units
            .checked_ilog2()
            .map_or_else(|| DELIVERY_EXCHANGE.to_owned(), |highest| level_name(highest as usize));
        (entry, key)
    }

    /// The delay in units: at least one, rounded up, then cut to its significant digits, and never more than the
    /// levels hold.
    fn units(&self, delay: Duration) -> u32 {
        let units = delay.as_nanos().div_ceil(self.unit.as_nanos().max(1));
        let most = (1_u32 << LEVELS) - 1;
        let units = u32::try_from(units).unwrap_or(most).clamp(1, most);
        let surplus = (u32::BITS - units.leading_zeros()).saturating_sub(SIGNIFICANT_DIGITS);
        units >> surplus << surplus
    }
}

/// The delay in binary, one digit a word, then the provider.
fn routing_key(units: u32, provider: ProviderId) -> String {
    let mut key = String::with_capacity(2 * LEVELS + provider.as_str().len());
    for level in (0..LEVELS).rev() {
        key.push(if units >> level & 1 == 1 { '1' } else { '0' });
        key.push('.');
    }
    key + provider.as_str()
}

/// The name of a level's exchange and of its queue.
#[must_use]
pub(super) fn level_name(level: usize) -> String {
    format!("milepost.delay.v1.{level:02}")
}

/// Where a message goes after `level`.
#[must_use]
pub(super) fn next_exchange(level: usize) -> String {
    level.checked_sub(1).map_or_else(|| DELIVERY_EXCHANGE.to_owned(), level_name)
}

/// The pattern of the keys whose digit for `level` is `digit`.
#[must_use]
pub(super) fn digit_pattern(level: usize, digit: char) -> String {
    format!("{}{digit}.#", "*.".repeat(LEVELS - 1 - level))
}
