//! One long-lived multiplexed connection, replaced when it fails.
//!
//! A pool's checkout costs a PING round trip, and a multiplexed connection does not heal itself. So one connection
//! is checked out once and cloned for each request; requests in flight share it as a pipeline. The first error
//! gives it back to the pool, whose PING then throws it away unless it is sound.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{AsyncConnectionConfig, ErrorKind, IntoConnectionInfo, RedisError};
use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime, Timeouts};
use tokio::sync::Semaphore;

use crate::adapters::live_url::LiveUrl;
use crate::domain::retry::reconnect_delay;
use crate::ports::LedgerError;

/// How to reach Redis.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://` or `rediss://`, credentials included.
    pub url: LiveUrl,
    /// How long one command, or connecting, may take.
    pub response_timeout: Duration,
}

/// The connection in use, if there is one, and how many there were before it.
struct Current {
    generation: u64,
    url: Arc<str>,
    pool: Pool,
    connection: Option<Connection>,
}

/// A clone of the connection, and which one it is.
pub struct Lease {
    generation: u64,
    /// For sending commands.
    pub connection: MultiplexedConnection,
}

/// The connection.
pub struct RedisConnection {
    settings: RedisSettings,
    current: Mutex<Current>,
    /// One task connects, the others wait for it.
    connecting: Semaphore,
}

impl RedisConnection {
    /// Prepares; connects when first used.
    ///
    /// # Errors
    /// When the URL is not one of Redis's.
    pub fn new(settings: &RedisSettings) -> Result<Self, RedisError> {
        let url = settings.url.now();
        let pool = pool(&url, settings.response_timeout)?;
        let current = Mutex::new(Current { generation: 0, url, pool, connection: None });
        Ok(Self { settings: settings.clone(), current, connecting: Semaphore::new(1) })
    }

    /// Follows the URL for ever: when it changes, makes a connection with the new one and then uses that. Commands under
    /// way end on the one they began on.
    pub async fn follow(&self) {
        let mut tries = 0;
        loop {
            let used = Arc::clone(&self.lock().url);
            self.settings.url.other_than(&used).await;
            match self.switch().await {
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
        let pool = pool(&url, self.settings.response_timeout).map_err(unavailable)?;
        let connection = Some(pool.get().await.map_err(|error| unreachable(&url, error))?);
        let _turn = self.connecting.acquire().await.map_err(unavailable)?;
        let mut current = self.lock();
        let generation = current.generation + 1;
        *current = Current { generation, url, pool, connection };
        Ok(())
    }

    /// The connection, made if there is none.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn get(&self) -> Result<Lease, LedgerError> {
        if let Some(lease) = self.existing() {
            return Ok(lease);
        }
        // Boxed: connecting is rare, and its future is so big that each claim and each settlement would carry 7 KB.
        Box::pin(self.connect()).await
    }

    /// Gives up the leased connection after `error`, if the error says that it may be broken and it was not given up before.
    pub fn failed(&self, lease: &Lease, error: &RedisError) -> LedgerError {
        let mut current = self.lock();
        if current.generation == lease.generation {
            match error.code() {
                // The pool's PING tells whether it can still be used.
                None => current.connection = None,
                // A primary that was demoted keeps its connections and answers PING, so the pool would give this
                // one out again: a new one leads to the present primary.
                Some("READONLY" | "MASTERDOWN") => drop(current.connection.take().map(Connection::take)),
                // Any other refusal (out of memory, loading) is Redis answering on a sound connection.
                Some(_) => {}
            }
        }
        unavailable(error)
    }

    /// Makes the connection, unless another task did so meanwhile.
    async fn connect(&self) -> Result<Lease, LedgerError> {
        let _turn = self.connecting.acquire().await.map_err(unavailable)?;
        if let Some(lease) = self.existing() {
            return Ok(lease);
        }
        let (url, pool) = {
            let current = self.lock();
            (Arc::clone(&current.url), current.pool.clone())
        };
        let connection = pool.get().await.map_err(|error| unreachable(&url, error))?;
        let clone = MultiplexedConnection::clone(&connection);
        let mut current = self.lock();
        current.generation += 1;
        current.connection = Some(connection);
        Ok(Lease { generation: current.generation, connection: clone })
    }

    fn existing(&self) -> Option<Lease> {
        let current = self.lock();
        let connection = MultiplexedConnection::clone(current.connection.as_ref()?);
        Some(Lease { generation: current.generation, connection })
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // A panic elsewhere cannot leave it half-written.
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A pool of one connection.
fn pool(url: &str, timeout: Duration) -> Result<Pool, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout));
    // A script call is one small write; left to wait for the last one's acknowledgement it may wait 40 ms.
    let no_delay = TcpSettings::default().set_nodelay(true);
    let info = url.into_connection_info()?.set_tcp_settings(no_delay);
    // Our user need not have the right to name its library: Redis would note a denial for each connection.
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let info = info.set_redis_settings(settings);
    let manager = Manager::new_with_config(info, config)?;
    let timeouts = Timeouts { wait: Some(timeout), create: Some(timeout), recycle: Some(timeout) };
    let pool = Pool::builder(manager).max_size(1).timeouts(timeouts).runtime(Runtime::Tokio1).build();
    // Unwrap safety: building fails only when timeouts are set without a runtime.
    Ok(pool.expect("a runtime is given"))
}

/// Why no connection could be made, with the address and without the password.
fn unreachable(url: &str, error: PoolError) -> LedgerError {
    let address =
        url.into_connection_info().map_or_else(|_| "its URL".to_owned(), |info| info.addr().to_string());
    LedgerError(match error {
        PoolError::Backend(error) if error.kind() == ErrorKind::AuthenticationFailed => {
            format!("Redis at {address} refuses the user or the password")
        }
        PoolError::Backend(error) => format!("cannot reach Redis at {address}: {error}"),
        error => format!("cannot reach Redis at {address}: {error}"),
    })
}

fn unavailable(error: impl std::fmt::Display) -> LedgerError {
    LedgerError(error.to_string())
}
