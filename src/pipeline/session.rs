//! One subscription's life, and how work waits when a dependency is away.
//!
//! An outage of Redis or RabbitMQ spends no attempt (invariant 5): the step that met it waits in place, with
//! growing jittered pauses, and is done again. Because every waiting message holds one of the subscription's
//! prefetch slots, a worker in an outage takes no new work by itself. Waiting ends when the session closes: its
//! subscription is gone, the drain deadline passed, or the outage outlasted its patience (the broker closes a
//! channel whose delivery stays unacknowledged for 30 minutes, so we give back long before).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics::Gauge;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::provider::ProviderId;
use crate::domain::retry::reconnect_delay;
use crate::ports::{Outbound, Publisher, chance};
use crate::telemetry::metrics as m;

/// What a message may have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    Redis,
    RabbitMq,
    /// Room in the parked queue.
    Parked,
}

impl Dependency {
    /// Every dependency, so that each metric label exists from the start.
    pub const ALL: [Self; 3] = [Self::Redis, Self::RabbitMq, Self::Parked];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::RabbitMq => "rabbitmq",
            Self::Parked => "parked",
        }
    }
}

/// The session closed while something waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionClosed;

#[derive(Debug, Clone)]
pub struct Session {
    provider: ProviderId,
    closing: CancellationToken,
    patience: Duration,
    /// How many messages wait for each dependency: the first says so in the log, and the last that it is over.
    waiting: Arc<[AtomicU32; Dependency::ALL.len()]>,
}

impl Session {
    /// A session that gives up on an outage after `patience`.
    #[must_use]
    pub fn new(provider: ProviderId, patience: Duration) -> Self {
        Self { provider, closing: CancellationToken::new(), patience, waiting: Arc::default() }
    }

    /// Ends every wait, now and later.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Whether [`Self::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Resolves when the session closes.
    pub async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// Waits.
    ///
    /// # Errors
    /// When the session closes meanwhile.
    pub async fn pause(&self, pause: Duration) -> Result<(), SessionClosed> {
        tokio::select! {
            biased;
            () = self.closed() => Err(SessionClosed),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Publishes until the broker has confirmed it: the message to acknowledge next has its copy there.
    ///
    /// # Errors
    /// When the session closes between two tries.
    pub async fn confirmed(
        &self,
        publisher: &dyn Publisher,
        outbound: &Outbound,
    ) -> Result<(), SessionClosed> {
        self.until_done(Dependency::RabbitMq, || publisher.publish(outbound.clone())).await
    }

    /// Does `step` until it succeeds. Every error is an outage of `dependency`.
    ///
    /// # Errors
    /// When the session closes between two tries; a try under way is never cut short.
    pub async fn until_done<T, E, F>(
        &self,
        dependency: Dependency,
        mut step: impl FnMut() -> F,
    ) -> Result<T, SessionClosed>
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let mut outage = None;
        loop {
            match step().await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    outage.get_or_insert_with(|| self.outage(dependency)).wait(&error).await?;
                }
            }
        }
    }

    /// An outage that a step met; see [`Outage::wait`].
    #[must_use]
    pub fn outage(&self, dependency: Dependency) -> Outage<'_> {
        let gauge = metrics::gauge!(
            m::PAUSED, "provider" => self.provider.as_str(), "reason" => dependency.as_str()
        );
        gauge.increment(1.0);
        let first = self.waiting[dependency as usize].fetch_add(1, Ordering::Relaxed) == 0;
        Outage { session: self, dependency, gauge, first, tries: 0, since: Instant::now() }
    }
}

/// A message waiting for a dependency to come back. Counted in the `paused` gauge while it lives.
pub struct Outage<'a> {
    session: &'a Session,
    dependency: Dependency,
    gauge: Gauge,
    first: bool,
    tries: u32,
    since: Instant,
}

impl Outage<'_> {
    /// Waits before the next try.
    ///
    /// # Errors
    /// When the session closes, which this does itself once patience is over.
    pub async fn wait(&mut self, error: &impl std::fmt::Display) -> Result<(), SessionClosed> {
        if self.session.is_closed() {
            return Err(SessionClosed);
        }
        if self.since.elapsed() > self.session.patience {
            tracing::warn!(
                provider = %self.session.provider, dependency = self.dependency.as_str(), %error,
                "outage outlasted our patience: giving messages back to the broker"
            );
            self.session.close();
            return Err(SessionClosed);
        }
        if self.tries == 0 && self.first {
            tracing::warn!(
                provider = %self.session.provider, dependency = self.dependency.as_str(), %error,
                "paused until it is back"
            );
        }
        let pause = reconnect_delay(self.tries, chance::random());
        self.tries += 1;
        self.session.pause(pause).await
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
        let last = self.session.waiting[self.dependency as usize].fetch_sub(1, Ordering::Relaxed) == 1;
        if last && !self.session.is_closed() {
            tracing::info!(provider = %self.session.provider, dependency = self.dependency.as_str(), "resumed");
        }
    }
}
