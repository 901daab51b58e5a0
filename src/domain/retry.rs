//! The retry schedule: how long a failed message waits, and when a person takes over.
//!
//! Telyport's own rule ("The retry interval will increase exponentially until it reaches 35 minutes. After
//! that, it will be marked as failed"): intervals grow to a cap, one attempt follows the capped interval, and
//! then the message is parked. The attempt and a random sample go in, a delay comes out: nothing sleeps here.
//!
//! The intervals come from the `backoff` crate, used with no randomization (its own jitter is applied *after*
//! its cap and so exceeds it) and no elapsed-time limit (so the clock it reads decides nothing).

use std::time::Duration;

use backoff::SystemClock;
use backoff::backoff::Backoff as _;
use backoff::exponential::ExponentialBackoffBuilder;
use thiserror::Error;

/// What the delay levels can express: 12 binary digits of seconds (docs/ARCHITECTURE.md, "The topology").
const LONGEST_DELAY: Duration = Duration::from_secs(4095);
/// The resolution of the delay levels, and so the shortest wait worth asking for.
const SHORTEST_DELAY: Duration = Duration::from_secs(1);
/// Below this a schedule would hardly grow, and its table would be long.
const LEAST_MULTIPLIER: f64 = 1.1;

/// Numbers that make no schedule.
#[derive(Debug, Error, PartialEq)]
pub enum ScheduleError {
    /// The first interval is shorter than the delay levels resolve, or longer than the cap.
    #[error("the first interval must be at least 1 s and not above the cap")]
    Initial,
    /// The cap is longer than the delay levels can hold.
    #[error("the cap must not be above 4095 s, the longest the delay levels hold")]
    Cap,
    /// The multiplier does not make intervals grow.
    #[error("the multiplier must be from 1.1 to 10")]
    Multiplier,
    /// The jitter is not a share of the interval.
    #[error("the jitter must be from 0 to 0.9")]
    Jitter,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RetrySchedule {
    intervals: Vec<Duration>,
    jitter: f64,
}

impl RetrySchedule {
    /// `initial`, `initial × multiplier`, … up to and including `cap`; each wait is shortened by a random
    /// share of at most `jitter`.
    ///
    /// # Errors
    /// When the numbers make no schedule that the delay levels can hold.
    pub fn try_new(
        initial: Duration,
        multiplier: f64,
        cap: Duration,
        jitter: f64,
    ) -> Result<Self, ScheduleError> {
        if cap > LONGEST_DELAY {
            return Err(ScheduleError::Cap);
        }
        if initial < SHORTEST_DELAY || initial > cap {
            return Err(ScheduleError::Initial);
        }
        if !(LEAST_MULTIPLIER..=10.0).contains(&multiplier) {
            return Err(ScheduleError::Multiplier);
        }
        if !(0.0..=0.9).contains(&jitter) {
            return Err(ScheduleError::Jitter);
        }
        // The crate adds up to one nanosecond of rounding; whole milliseconds take it away again, and so the cap has
        // to be one of them to be reached.
        let cap = whole_millis(cap);
        let mut growth = ExponentialBackoffBuilder::<SystemClock>::new()
            .with_initial_interval(initial)
            .with_multiplier(multiplier)
            .with_max_interval(cap)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        let mut intervals = Vec::new();
        while intervals.last().is_none_or(|last| *last < cap) {
            let interval = growth.next_backoff().map_or(cap, whole_millis);
            intervals.push(interval.min(cap));
        }
        Ok(Self { intervals, jitter })
    }

    /// The wait after the attempt numbered `attempt` (from 0) failed, or `None`: there is no further one.
    /// `sample` is uniform in `0..1` and only ever shortens the wait, to 1 s at the least.
    #[must_use]
    pub fn delay_after(&self, attempt: u32, sample: f64) -> Option<Duration> {
        let interval = self.intervals.get(usize::try_from(attempt).ok()?)?;
        let shortened = interval.mul_f64(1.0 - self.jitter * sample.clamp(0.0, 1.0));
        Some(shortened.max(SHORTEST_DELAY))
    }

    /// How often a message is tried in all, the first time included.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.intervals.len() + 1
    }
}

impl Default for RetrySchedule {
    /// Telyport's: 1 s doubling to 2100 s, shortened by up to a fifth.
    fn default() -> Self {
        // Unwrap safety: the numbers are constants, and a test builds them.
        Self::try_new(SHORTEST_DELAY, 2.0, Duration::from_mins(35), 0.2).expect("valid constants")
    }
}

fn whole_millis(interval: Duration) -> Duration {
    Duration::from_millis(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX))
}

/// How long to wait before the `tries`-th look (from 0) at a dependency that is away: doubling from 100 ms to 5 s,
/// of which `sample` (uniform in `0..1`) takes away up to half, so that a fleet does not come back in step.
#[must_use]
pub fn reconnect_delay(tries: u32, sample: f64) -> Duration {
    let full = Duration::from_millis(100 << tries.min(6)).min(Duration::from_secs(5));
    full.mul_f64(1.0 - sample.clamp(0.0, 1.0) / 2.0)
}
