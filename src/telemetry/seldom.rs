//! A line of the log for what may happen a thousand times a second: the first time, and then now and again with how often.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When such a line may be written.
#[derive(Debug)]
pub struct Seldom {
    pause: Duration,
    state: Mutex<LastSaid>,
}

#[derive(Debug)]
struct LastSaid {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// At most once in each `pause`.
    #[must_use]
    pub const fn every(pause: Duration) -> Self {
        Self { pause, state: Mutex::new(LastSaid { said: None, unsaid: 0 }) }
    }

    /// It happened. How often since a line was written, this time included, if another is due.
    pub fn happened(&self, now: Instant) -> Option<u64> {
        // A panic elsewhere cannot leave it half-written.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsaid += 1;
        if state.said.is_some_and(|said| now.saturating_duration_since(said) < self.pause) {
            return None;
        }
        state.said = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}
