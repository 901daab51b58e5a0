//! Whether Redis is of the kind that its URL says.
//!
//! A node of a Cluster answers a client of one server, and refuses it most keys: it would look like an outage that never
//! ends.

use std::collections::HashMap;

use deadpool_redis::redis::{ErrorKind, FromRedisValue as _, RedisError, Value, cmd};

use super::connection::NotMade;
use super::link::RedisLink;
use super::target::{RedisKind, RedisTarget};

/// Asks a server that was just connected to. A user needs no right for that, and what does not know the question, such as
/// a proxy, is taken as it is.
pub(super) async fn check(link: &mut RedisLink, target: &RedisTarget) -> Result<(), NotMade> {
    if target.kind != RedisKind::Single {
        return Ok(());
    }
    let answer = cmd("HELLO").query_async::<Value>(link).await;
    let Some(mode) = answer.ok().and_then(mode) else { return Ok(()) };
    let tls = if target.tls { "rediss" } else { "redis" };
    match &*mode {
        "cluster" => Err(NotMade::OtherKind(format!(
            "{target} is a node of a Redis Cluster, and redis.url says that it is one server: begin it with {tls}-cluster://"
        ))),
        "sentinel" => Err(NotMade::OtherKind(format!(
            "{target} is a Sentinel, and redis.url says that it is Redis itself: begin it with {tls}-sentinel://"
        ))),
        _ => Ok(()),
    }
}

fn mode(answer: Value) -> Option<String> {
    let mut answer = HashMap::<String, Value>::from_redis_value(answer).ok()?;
    String::from_redis_value(answer.remove("mode")?).ok()
}

/// What an error of connecting says.
pub(super) fn of_error(target: &RedisTarget, error: &RedisError) -> NotMade {
    let text = error.to_string();
    match target.kind {
        RedisKind::Sentinel { .. } if error.kind() == ErrorKind::InvalidClientConfig => {
            NotMade::OtherKind(format!(
                "redis.url says that Sentinels name the primary, and not all of its hosts are Sentinels ({target}): give it theirs, \
             or begin it with redis:// or redis-cluster://"
            ))
        }
        RedisKind::Cluster if text.contains("cluster support disabled") => NotMade::OtherKind(format!(
            "redis.url says that there is a Cluster, and that is none ({target}): begin it with redis:// or redis-sentinel://"
        )),
        _ => NotMade::Unreachable(format!("cannot reach Redis at {target}: {text}")),
    }
}
