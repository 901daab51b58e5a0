//! What a URL of Redis leads to.
//!
//! The URL says it all, the kind of Redis by its scheme: so one file or variable holds it, and changing that while a role
//! runs leads it from one kind to another.
//!
//! * `redis://user:password@host:6379/0`: one server.
//! * `redis-sentinel://user:password@one:26379,two:26379/0?master=mymaster`: the primary that Sentinels name. The hosts are
//!   the Sentinels', user, password and database the primary's. The Sentinels' own are `sentinel_user` and
//!   `sentinel_password`.
//! * `redis-cluster://user:password@one:6379,two:6379`: a Cluster, some of whose nodes these are.
//!
//! With `rediss` they are reached by TLS; `sentinel_tls=false` leaves it out to the Sentinels.

use std::fmt;

use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};
use thiserror::Error;
use url::Url;

use crate::domain::hosts::each_host;

const SENTINEL_PORT: u16 = 26379;
/// The name that Redis's own example of a Sentinel gives.
const MASTER: &str = "mymaster";

/// Why a URL cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the URL of Redis {0}")]
pub struct BadRedisUrl(pub &'static str);

/// Where Redis is. Displayed as its addresses, without credentials.
#[derive(Debug, Clone)]
pub struct RedisTarget {
    pub(super) kind: RedisKind,
    /// The hosts that the URL names.
    pub(super) hosts: Vec<ConnectionInfo>,
    /// User, password and database of Redis itself.
    pub(super) login: RedisConnectionInfo,
    /// Whether Redis itself is reached by TLS.
    pub(super) tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RedisKind {
    Single,
    /// The primary of this name.
    Sentinel {
        master: String,
    },
    Cluster,
}

/// The parameters of a `redis-sentinel` URL.
struct Parameters {
    master: String,
    user: Option<String>,
    password: Option<String>,
    tls: bool,
}

impl RedisTarget {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, to follow its key's name.
    pub fn parse(text: &str) -> Result<Self, BadRedisUrl> {
        let (scheme, _) = text.split_once("://").unwrap_or_default();
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis").unwrap_or("?")),
        };
        let hosts = || hosts(text, if tls { "rediss" } else { "redis" });
        match kind {
            "" => Self::single(&hosts()?, text, tls),
            "-sentinel" => Self::sentinel(hosts()?, tls),
            "-cluster" => Self::cluster(&hosts()?, tls),
            _ => Err(BadRedisUrl(
                "must be a redis://, redis-sentinel:// or redis-cluster:// URL, or with rediss one of these",
            )),
        }
    }

    fn single(hosts: &[Url], text: &str, tls: bool) -> Result<Self, BadRedisUrl> {
        if hosts.len() > 1 {
            return Err(BadRedisUrl(
                "names several hosts: redis-sentinel:// or redis-cluster:// says what they are",
            ));
        }
        let host = read(text)?;
        let login = host.redis_settings().clone();
        Ok(Self { kind: RedisKind::Single, hosts: vec![host], login, tls })
    }

    fn sentinel(hosts: Vec<Url>, tls: bool) -> Result<Self, BadRedisUrl> {
        let first = hosts.first().ok_or(BadRedisUrl("names no host"))?;
        let parameters = Parameters::of(first)?;
        let mut redis = first.clone();
        redis.set_query(None);
        let login = read(redis.as_str())?.redis_settings().clone();
        let sentinel = |host| read(parameters.sentinel(host, tls)?.as_str());
        let hosts = hosts.into_iter().map(sentinel).collect::<Result<_, _>>()?;
        Ok(Self { kind: RedisKind::Sentinel { master: parameters.master }, hosts, login, tls })
    }

    fn cluster(hosts: &[Url], tls: bool) -> Result<Self, BadRedisUrl> {
        let hosts: Vec<_> = hosts.iter().map(|host| read(host.as_str())).collect::<Result<_, _>>()?;
        let login = hosts.first().ok_or(BadRedisUrl("names no host"))?.redis_settings().clone();
        if login.db() != 0 {
            return Err(BadRedisUrl("names a database: a Cluster has but the one, 0"));
        }
        Ok(Self { kind: RedisKind::Cluster, hosts, login, tls })
    }
}

impl Parameters {
    fn of(url: &Url) -> Result<Self, BadRedisUrl> {
        let mut parameters = Self { master: MASTER.to_owned(), user: None, password: None, tls: true };
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("master", name) if !name.is_empty() => name.clone_into(&mut parameters.master),
                ("sentinel_user", user) => parameters.user = Some(user.to_owned()),
                ("sentinel_password", password) => parameters.password = Some(password.to_owned()),
                ("sentinel_tls", "true") => parameters.tls = true,
                ("sentinel_tls", "false") => parameters.tls = false,
                _ => return Err(BadRedisUrl("has a parameter that is not understood")),
            }
        }
        Ok(parameters)
    }

    fn sentinel(&self, host: Url, tls: bool) -> Result<Url, BadRedisUrl> {
        let mut url = host;
        let port = url.port().unwrap_or(SENTINEL_PORT);
        url.set_query(None);
        url.set_path("");
        url.set_scheme(if tls && self.tls { "rediss" } else { "redis" })
            .and_then(|()| url.set_port(Some(port)))
            .and_then(|()| url.set_username(self.user.as_deref().unwrap_or_default()))
            .and_then(|()| url.set_password(self.password.as_deref()))
            .map_err(|()| BadRedisUrl("names a Sentinel that cannot be used"))?;
        Ok(url)
    }
}

/// The URL with each of its hosts, as if it were that of one server.
fn hosts(text: &str, scheme: &str) -> Result<Vec<Url>, BadRedisUrl> {
    let one = |each: &String| {
        let (_, rest) = each.split_once("://").unwrap_or_default();
        let url = Url::parse(&format!("{scheme}://{rest}")).ok();
        url.filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))
            .ok_or(BadRedisUrl("must be a URL with a host, or with hosts and a comma between them"))
    };
    each_host(text).iter().map(one).collect()
}

/// Read by the library that will use it, so that a bad parameter shows now and not at the first connection.
fn read(url: &str) -> Result<ConnectionInfo, BadRedisUrl> {
    url.into_connection_info()
        .map_err(|_| BadRedisUrl("has a database or a parameter that is not understood"))
}

impl fmt::Display for RedisTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(|host| host.addr().to_string()).collect::<Vec<_>>().join(", ");
        match &self.kind {
            RedisKind::Single => f.write_str(&hosts),
            RedisKind::Sentinel { master } => write!(f, "{master} by the Sentinels at {hosts}"),
            RedisKind::Cluster => write!(f, "the Cluster with {hosts}"),
        }
    }
}
