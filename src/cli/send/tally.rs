//! What became of a whole run.

use std::fmt;

use tokio::time::Instant;

use super::delivered::{Delivered, Outcome};

/// Counts webhooks by what became of them.
#[derive(Debug)]
pub struct Tally {
    begun: Instant,
    accepted: u64,
    refused: u64,
    gave_up: u64,
    /// Webhooks that were sent more than once.
    resent: u64,
    /// Of the accepting tries, in microseconds.
    latencies: Vec<u32>,
    /// The first one not accepted: where many fail, they mostly fail alike.
    first_failure: Option<String>,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub const fn new(begun: Instant) -> Self {
        let (accepted, refused, gave_up, resent) = (0, 0, 0, 0);
        Self { begun, accepted, refused, gave_up, resent, latencies: Vec::new(), first_failure: None }
    }

    /// Counts one.
    pub fn add(&mut self, delivered: &Delivered) {
        match delivered.outcome {
            Outcome::Accepted => {
                self.accepted += 1;
                self.latencies.push(u32::try_from(delivered.last_try.as_micros()).unwrap_or(u32::MAX));
            }
            Outcome::Refused => self.refused += 1,
            Outcome::GaveUp => self.gave_up += 1,
        }
        self.resent += u64::from(delivered.tries > 1);
        if delivered.outcome != Outcome::Accepted && self.first_failure.is_none() {
            self.first_failure = Some(delivered.to_string());
        }
    }

    /// Whether nothing failed.
    #[must_use]
    pub const fn all_accepted(&self) -> bool {
        self.refused == 0 && self.gave_up == 0
    }

    /// All of it, once it is over.
    #[must_use]
    pub fn summary(mut self) -> String {
        self.latencies.sort_unstable();
        let (p50, p99) = (self.latency_ms(50), self.latency_ms(99));
        let elapsed = self.begun.elapsed().as_secs_f64();
        let failure = self.first_failure.as_ref().map(|first| format!("; the first not accepted: {first}"));
        format!(
            "{self} in {elapsed:.1} s, answered within {p50:.1} ms (p50), {p99:.1} ms (p99){}",
            failure.unwrap_or_default()
        )
    }

    /// The time within which so many percent of the accepting tries were answered.
    fn latency_ms(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(rank).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, resent, refused, gave_up, .. } = self;
        write!(f, "{accepted} accepted, {resent} resent, {refused} refused, {gave_up} gave up")
    }
}
