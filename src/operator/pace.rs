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

    /// Takes a turn at `now`, or says how long to wait for one.
    fn turn_at(&mut self, now: Instant) -> Result<(), Duration> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::SendPace;

    #[test]
    fn turns_come_at_their_rate_and_a_stall_is_made_up_for_in_part() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut pace = SendPace::new(Some(100.0), start);
        assert_eq!(pace.turn_at(start), Ok(()));
        assert_eq!(pace.turn_at(start), Err(Duration::from_millis(10)));
        assert_eq!(pace.turn_at(after(10)), Ok(()));
        assert_eq!(pace.turn_at(after(20)), Ok(()));
        assert_eq!(pace.turn_at(after(20)), Err(Duration::from_millis(10)));
        // After a minute's stall: what was missed in 100 ms, and not what was missed in a minute.
        let turns = (0..1000).filter(|_| pace.turn_at(after(60_000)).is_ok()).count();
        assert_eq!(turns, 10);
        let mut slow = SendPace::new(Some(0.5), start);
        assert_eq!(slow.turn_at(after(60_000)), Ok(()));
        assert_eq!(slow.turn_at(after(60_000)), Err(Duration::from_secs(2)));
        let mut unpaced = SendPace::new(None, start);
        assert!((0..1000).all(|_| unpaced.turn_at(start).is_ok()));
    }
}
