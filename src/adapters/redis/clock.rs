//! One clock for all receivers and workers: Redis's.
//!
//! Whether equal content is one event or two is decided by how far apart it was received, by whichever receivers. Two whose
//! clocks differ by more than a provider's resend horizon would take each resend for an event of its own. So each process
//! asks Redis for the time now and then, and corrects its own clock by the difference. Without Redis it goes on with the
//! last one known, at first with none: a receiver takes webhooks without Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use deadpool_redis::redis::{Value, pipe};
use jiff::{SignedDuration, Timestamp};

use super::connection::RedisConnection;
use crate::ports::{Clock, LedgerError};
use crate::telemetry::metrics as m;

const ASK_EVERY: Duration = Duration::from_secs(10);
/// An answer that took longer says too little.
const LONGEST_ANSWER: Duration = Duration::from_millis(250);
/// A key, so that it is always the same node of a Cluster that is asked. There is none such.
const KEY: &str = "mp:clock";
/// A clock that is off by more is said to be.
const NOTABLE: SignedDuration = SignedDuration::from_secs(2);

/// The system's clock, corrected to Redis's.
pub struct RedisClock {
    own: Arc<dyn Clock>,
    /// What is added to `own`, in µs.
    correction: AtomicI64,
}

impl RedisClock {
    /// Corrects `own` once [`Self::follow`] runs.
    #[must_use]
    pub fn new(own: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { own, correction: AtomicI64::new(0) })
    }

    /// Follows Redis's clock for ever.
    pub async fn follow(&self, connection: RedisConnection) {
        let mut said = false;
        loop {
            if let Ok(Some(correction)) = self.difference(&connection).await {
                self.correction
                    .store(i64::try_from(correction.as_micros()).unwrap_or_default(), Ordering::Relaxed);
                metrics::gauge!(m::CLOCK_SKEW).set(-correction.as_secs_f64());
                let notable = correction.abs() > NOTABLE;
                if notable && !said {
                    let seconds = -correction.as_secs_f64();
                    tracing::warn!(seconds, "this machine's clock is off, against Redis's: corrected");
                }
                said = notable;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// How far Redis's clock is ahead of our own; `None` if the answer took too long.
    async fn difference(&self, connection: &RedisConnection) -> Result<Option<SignedDuration>, LedgerError> {
        let mut lease = connection.get().await?;
        let (began, asked) = (self.own.now(), Instant::now());
        let mut both = pipe();
        both.cmd("TIME").get(KEY);
        let reply = both.query_async(&mut lease.connection).await;
        let took = asked.elapsed();
        let ((seconds, micros), _): ((i64, i64), Value) =
            reply.map_err(|error| connection.failed(&lease, &error))?;
        let theirs = Timestamp::from_microsecond(seconds.saturating_mul(1_000_000).saturating_add(micros));
        let meanwhile = SignedDuration::try_from(took / 2).unwrap_or_default();
        let difference = theirs.ok().map(|theirs| theirs.duration_since(began) - meanwhile);
        Ok(difference.filter(|_| took <= LONGEST_ANSWER))
    }
}

impl Clock for RedisClock {
    fn now(&self) -> Timestamp {
        let correction = SignedDuration::from_micros(self.correction.load(Ordering::Relaxed));
        let own = self.own.now();
        own.checked_add(correction).unwrap_or(own)
    }
}
