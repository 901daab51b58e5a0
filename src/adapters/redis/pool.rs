//! A pool of one connection, of each kind of Redis: deadpool-redis has one for each.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{AsyncConnectionConfig, RedisResult};
use deadpool_redis::sentinel::{SentinelNodeConnectionInfo, SentinelServerType, TlsMode};
use deadpool_redis::{PoolError, Runtime, Timeouts, cluster, sentinel};

use super::link::RedisLink;
use super::target::{RedisKind, RedisTarget};

/// To find the primary, or all nodes of a Cluster, takes several connections, each of which may hang for a second.
const LONGEST_SEARCH: Duration = Duration::from_secs(4);

#[derive(Clone)]
pub(super) enum Pool {
    Single(deadpool_redis::Pool),
    Sentinel(sentinel::Pool),
    Cluster(cluster::Pool),
}

/// A connection that a pool made. Dropped, it is given back, and a PING decides whether it is used again.
pub(super) enum Pooled {
    Single(deadpool_redis::Connection),
    Sentinel(sentinel::Connection),
    Cluster(cluster::Connection),
}

impl Pool {
    /// Prepares; connects when first used.
    pub(super) fn new(target: &RedisTarget, timeout: Duration) -> RedisResult<Self> {
        // Unwrap safety, of each: building fails only when timeouts are set without a runtime.
        const RUNTIME: &str = "a runtime is given";
        let search = timeout.max(LONGEST_SEARCH);
        let timeouts =
            |create| Timeouts { wait: Some(timeout), create: Some(create), recycle: Some(timeout) };
        Ok(match &target.kind {
            RedisKind::Single => {
                let pool = deadpool_redis::Pool::builder(single(target, timeout)?).max_size(1);
                Self::Single(
                    pool.timeouts(timeouts(timeout)).runtime(Runtime::Tokio1).build().expect(RUNTIME),
                )
            }
            RedisKind::Sentinel { master } => {
                let primary = SentinelNodeConnectionInfo {
                    tls_mode: target.tls.then_some(TlsMode::Secure),
                    redis_connection_info: Some(target.login.clone().into()),
                };
                let manager = sentinel::Manager::new(
                    target.hosts.clone(),
                    master.clone(),
                    Some(primary),
                    SentinelServerType::Master,
                )?;
                let pool = sentinel::Pool::builder(manager).max_size(1).timeouts(timeouts(search));
                Self::Sentinel(pool.runtime(Runtime::Tokio1).build().expect(RUNTIME))
            }
            RedisKind::Cluster => {
                let manager = cluster::Manager::new(target.hosts.clone(), false)?;
                let pool = cluster::Pool::builder(manager).max_size(1).timeouts(timeouts(search));
                Self::Cluster(pool.runtime(Runtime::Tokio1).build().expect(RUNTIME))
            }
        })
    }

    pub(super) async fn get(&self) -> Result<Pooled, PoolError> {
        Ok(match self {
            Self::Single(pool) => Pooled::Single(pool.get().await?),
            Self::Sentinel(pool) => Pooled::Sentinel(pool.get().await?),
            Self::Cluster(pool) => Pooled::Cluster(pool.get().await?),
        })
    }
}

fn single(target: &RedisTarget, timeout: Duration) -> RedisResult<deadpool_redis::Manager> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout));
    // A script call is one small write. With Nagle's algorithm it waits up to 40 ms, until the last write is
    // acknowledged.
    let no_delay = TcpSettings::default().set_nodelay(true);
    // Unwrap safety: a target of this kind has its one host.
    let host = target.hosts.first().expect("a host").clone().set_tcp_settings(no_delay);
    // To name our library is a command more for each connection.
    let settings = host.redis_settings().clone().set_skip_set_lib_name();
    deadpool_redis::Manager::new_with_config(host.set_redis_settings(settings), config)
}

impl Pooled {
    /// For sending commands; an answer may take as long as `timeout`.
    pub(super) fn link(&self, timeout: Duration) -> RedisLink {
        match self {
            Self::Single(connection) => RedisLink::Server(MultiplexedConnection::clone(connection)),
            Self::Sentinel(connection) => {
                let mut connection = MultiplexedConnection::clone(connection);
                connection.set_response_timeout(timeout);
                RedisLink::Server(connection)
            }
            Self::Cluster(connection) => {
                RedisLink::Cluster { connection: (**connection).clone(), limit: timeout }
            }
        }
    }

    /// Closes it, even if a PING would succeed.
    pub(super) fn close(self) {
        match self {
            Self::Single(connection) => drop(deadpool_redis::Connection::take(connection)),
            Self::Sentinel(connection) => drop(sentinel::Connection::take(connection)),
            Self::Cluster(connection) => drop(cluster::Connection::take(connection)),
        }
    }
}
