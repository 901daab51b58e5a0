//! What became of a whole run.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::delivered::{Delivered, SendOutcome};

/// Counts webhooks by what became of them.
#[derive(Debug)]
pub struct SendTally {
    begun: Instant,
    accepted: u64,
    refused: u64,
    gave_up: u64,
    /// Not sent, because one before them was not accepted.
    unsent: usize,
    /// Webhooks that were sent more than once.
    resent: u64,
    /// Of the accepting tries, in microseconds.
    latencies: Vec<u32>,
    /// The first one not accepted: where many fail, they mostly fail alike.
    first_failure: Option<String>,
}

impl SendTally {
    #[must_use]
    pub const fn new(begun: Instant) -> Self {
        let (accepted, refused, gave_up, unsent, resent) = (0, 0, 0, 0, 0);
        Self { begun, accepted, refused, gave_up, unsent, resent, latencies: Vec::new(), first_failure: None }
    }

    pub fn add(&mut self, delivered: &Delivered) {
        match delivered.outcome {
            SendOutcome::Accepted => {
                self.accepted += 1;
                self.latencies.push(u32::try_from(delivered.last_try.as_micros()).unwrap_or(u32::MAX));
            }
            SendOutcome::Refused => self.refused += 1,
            SendOutcome::GaveUp => self.gave_up += 1,
        }
        self.resent += u64::from(delivered.tries > 1);
        if delivered.outcome != SendOutcome::Accepted && self.first_failure.is_none() {
            self.first_failure = Some(delivered.to_string());
        }
    }

    /// Counts what was left of deliveries that ended early.
    pub const fn leave_out(&mut self, unsent: usize) {
        self.unsent += unsent;
    }

    #[must_use]
    pub const fn all_accepted(&self) -> bool {
        self.refused == 0 && self.gave_up == 0
    }

    /// All of it, now that it is over.
    #[must_use]
    pub fn summary(mut self) -> Summary {
        self.latencies.sort_unstable();
        Summary { elapsed: self.begun.elapsed(), tally: self }
    }
}

impl fmt::Display for SendTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, resent, refused, gave_up, .. } = self;
        write!(f, "{accepted} accepted, {resent} resent, {refused} refused, {gave_up} gave up")?;
        if self.unsent == 0 { Ok(()) } else { write!(f, ", {} not sent", self.unsent) }
    }
}

/// What became of a run that is over.
#[derive(Debug)]
pub struct Summary {
    elapsed: Duration,
    tally: SendTally,
}

impl Summary {
    /// The time within which so many percent of the accepting tries were answered.
    fn latency_ms(&self, percent: usize) -> Option<f64> {
        let latencies = &self.tally.latencies;
        let rank = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
        latencies.get(rank).map(|micros| f64::from(*micros) / 1000.0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:.1} s", self.tally, self.elapsed.as_secs_f64())?;
        if let (Some(p50), Some(p99)) = (self.latency_ms(50), self.latency_ms(99)) {
            write!(f, ", accepted within {p50:.1} ms (p50), {p99:.1} ms (p99)")?;
        }
        match &self.tally.first_failure {
            Some(first) => write!(f, "; the first not accepted: {first}"),
            None => Ok(()),
        }
    }
}
