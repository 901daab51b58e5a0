//! One long-lived connection, replaced when it fails.
//!
//! A pool's checkout costs a PING round trip, and a multiplexed connection does not heal itself. So one connection
//! is checked out once and cloned for each request; requests in flight share it as a pipeline. The first error
//! gives it back to the pool, whose PING then throws it away unless it is sound. A new one is to the primary of that moment
//! then, or has the Cluster's nodes as they are then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use deadpool_redis::PoolError;
use deadpool_redis::redis::{ErrorKind, RedisError};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::kind;
use super::link::RedisLink;
use super::pool::{Pool, Pooled};
use super::target::{BadRedisUrl, RedisTarget};
use crate::adapters::live_url::LiveUrl;
use crate::domain::retry::reconnect_delay;
use crate::ports::LedgerError;
use crate::telemetry::metrics as m;

#[derive(Clone)]
pub struct RedisSettings {
    /// As [`RedisTarget`] reads it, credentials included.
    pub url: LiveUrl,
    /// How long one command, or connecting to a server, may take.
    pub response_timeout: Duration,
}

/// A Cluster connection reconnects by itself unless a node hangs: it is not replaced before this time.
const CLUSTER_RECONNECTS: Duration = Duration::from_secs(2);

/// Why there can be no connection.
#[derive(Debug, Error)]
pub enum RedisUnusable {
    /// The URL is none of Redis's.
    #[error(transparent)]
    Url(#[from] BadRedisUrl),
    /// The library does not take it.
    #[error("the URL of Redis cannot be used: {0}")]
    Refused(#[from] RedisError),
}

/// The connection in use, if there is one, and how many there were before it.
struct Current {
    generation: u64,
    made: Instant,
    url: Arc<str>,
    target: Arc<RedisTarget>,
    pool: Pool,
    connection: Option<Pooled>,
}

/// A clone of the connection, and which one it is.
pub struct Checkout {
    generation: u64,
    pub connection: RedisLink,
}

pub struct RedisConnection {
    settings: RedisSettings,
    current: Mutex<Current>,
    /// One task connects, the others wait for it.
    connecting: Semaphore,
    /// Whether it was said that the URL leads to Redis of another kind.
    told: AtomicBool,
}

impl RedisConnection {
    /// Prepares; connects when first used.
    ///
    /// # Errors
    /// When the URL is not one of Redis's.
    pub fn new(settings: &RedisSettings) -> Result<Self, RedisUnusable> {
        let url = settings.url.now();
        let target = Arc::new(RedisTarget::parse(&url)?);
        let pool = Pool::new(&target, settings.response_timeout)?;
        let current =
            Mutex::new(Current { generation: 0, made: Instant::now(), url, target, pool, connection: None });
        let (settings, connecting) = (settings.clone(), Semaphore::new(1));
        Ok(Self { settings, current, connecting, told: AtomicBool::new(false) })
    }

    /// Follows the URL for ever: when it changes, makes a connection with the new one and then uses that. Commands under
    /// way end on the one they began on.
    pub async fn follow(&self) {
        let mut tries = 0;
        loop {
            let used = Arc::clone(&self.lock().url);
            self.settings.url.other_than(&used).await;
            // Boxed for its size, as in `get`.
            match Box::pin(self.switch()).await {
                Ok(()) => {
                    tries = 0;
                    tracing::info!("redis: the URL changed");
                }
                Err(error) => {
                    tracing::warn!(%error, "redis: cannot connect with the new URL yet: the old connection stays");
                    tokio::time::sleep(reconnect_delay(tries, rand::random())).await;
                    tries += 1;
                }
            }
        }
    }

    async fn switch(&self) -> Result<(), LedgerError> {
        let url = self.settings.url.now();
        let target = Arc::new(RedisTarget::parse(&url).map_err(unavailable)?);
        let pool = Pool::new(&target, self.settings.response_timeout).map_err(unavailable)?;
        let connection = Some(self.make(&pool, &target).await?);
        let _turn = self.connecting.acquire().await.map_err(unavailable)?;
        let mut current = self.lock();
        let generation = current.generation + 1;
        *current = Current { generation, made: Instant::now(), url, target, pool, connection };
        Ok(())
    }

    /// The connection, made if there is none.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn get(&self) -> Result<Checkout, LedgerError> {
        if let Some(lease) = self.existing() {
            return Ok(lease);
        }
        // Boxed: connecting is rare, and its future is so big that each claim and each settlement would carry 7 KB.
        Box::pin(self.connect()).await
    }

    /// Gives up the leased connection after `error`, if the error says that it may be broken and it was not given up before.
    pub fn failed(&self, lease: &Checkout, error: &RedisError) -> LedgerError {
        if let Some(code) = error.code() {
            metrics::counter!(m::REDIS_REFUSALS, "code" => known(code)).increment(1);
        }
        let mut current = self.lock();
        if current.generation == lease.generation {
            match error.code() {
                None if lease.connection.is_cluster() && current.made.elapsed() < CLUSTER_RECONNECTS => {}
                // The pool's PING tells whether it can still be used.
                None => current.connection = None,
                // A primary that was demoted keeps its connections and answers PING, so the pool would give this
                // one out again: a new one leads to the present primary.
                Some("READONLY" | "MASTERDOWN") => drop(current.connection.take().map(Pooled::close)),
                // Any other refusal (out of memory, loading) is Redis answering on a sound connection.
                Some(_) => {}
            }
        }
        unavailable(error)
    }

    /// Makes the connection, unless another task did so meanwhile.
    async fn connect(&self) -> Result<Checkout, LedgerError> {
        let _turn = self.connecting.acquire().await.map_err(unavailable)?;
        if let Some(lease) = self.existing() {
            return Ok(lease);
        }
        let (target, pool) = {
            let current = self.lock();
            (Arc::clone(&current.target), current.pool.clone())
        };
        let pooled = self.make(&pool, &target).await?;
        let connection = pooled.link(self.settings.response_timeout);
        let mut current = self.lock();
        current.generation += 1;
        current.made = Instant::now();
        current.connection = Some(pooled);
        Ok(Checkout { generation: current.generation, connection })
    }

    /// A connection to Redis of the kind that the URL says.
    async fn make(&self, pool: &Pool, target: &RedisTarget) -> Result<Pooled, LedgerError> {
        let made = async {
            let pooled = pool.get().await.map_err(|error| unreachable(target, error))?;
            kind::check(&mut pooled.link(self.settings.response_timeout), target).await?;
            Ok(pooled)
        };
        let made: Result<_, NotMade> = made.await;
        let mistaken = matches!(made, Err(NotMade::OtherKind(_)));
        if self.told.swap(mistaken, Ordering::Relaxed) != mistaken
            && let Err(NotMade::OtherKind(error)) = &made
        {
            tracing::error!("redis: {error}");
        }
        made.map_err(|(NotMade::OtherKind(error) | NotMade::Unreachable(error))| LedgerError(error))
    }

    fn existing(&self) -> Option<Checkout> {
        let current = self.lock();
        let connection = current.connection.as_ref()?.link(self.settings.response_timeout);
        Some(Checkout { generation: current.generation, connection })
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // A panic elsewhere cannot leave it half-written.
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Why no connection was made.
pub(super) enum NotMade {
    /// Redis of another kind than the URL says answers there: waiting does not help.
    OtherKind(String),
    /// Nothing answers, or not as it should.
    Unreachable(String),
}

/// Why no connection could be made, with the addresses and without the password.
fn unreachable(target: &RedisTarget, error: PoolError) -> NotMade {
    NotMade::Unreachable(match error {
        PoolError::Backend(error) if error.kind() == ErrorKind::AuthenticationFailed => {
            format!("Redis at {target} refuses the user or the password")
        }
        PoolError::Backend(error) => return kind::of_error(target, &error),
        error => format!("cannot reach Redis at {target}: {error}"),
    })
}

fn known(code: &str) -> &'static str {
    m::REDIS_REFUSAL_CODES.into_iter().find(|known| *known == code).unwrap_or("other")
}

fn unavailable(error: impl std::fmt::Display) -> LedgerError {
    LedgerError(error.to_string())
}
