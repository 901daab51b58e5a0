//! How many webhooks a second begin.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What was missed is made up for at most this far back, so that a stall is not followed by a storm.
const CATCH_UP: Duration = Duration::from_millis(100);

/// Hands out turns at a steady rate, or at once when there is none to keep.
#[derive(Debug)]
pub struct SendPace {
    per_second: Option<f64>,
    turns: f64,
    counted_until: Instant,
}

impl SendPace {
    /// The first turn is at `now`.
    #[must_use]
    pub const fn new(per_second: Option<f64>, now: Instant) -> Self {
        Self { per_second, turns: 1.0, counted_until: now }
    }

    /// Waits for the next turn and takes it. Cancel safe: a turn is taken only by returning.
    pub async fn turn(&mut self) {
        while let Err(wait) = self.turn_at(Instant::now()) {
            sleep(wait).await;
        }
    }

    /// Takes a turn at `now`.
    ///
    /// # Errors
    /// How long to wait for one.
    pub fn turn_at(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(per_second) = self.per_second else { return Ok(()) };
        let passed = now.saturating_duration_since(self.counted_until);
        self.counted_until = now;
        let most = (per_second * CATCH_UP.as_secs_f64()).max(1.0);
        self.turns = (self.turns + per_second * passed.as_secs_f64()).min(most);
        if self.turns < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.turns) / per_second));
        }
        self.turns -= 1.0;
        Ok(())
    }
}
