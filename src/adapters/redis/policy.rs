//! What Redis does when its memory is full.
//!
//! Under any policy but `noeviction` it makes room by forgetting keys, and each event it forgets may be published
//! again. Redis is still of use then, so nobody is stopped; but it is said loudly.

use std::collections::HashMap;

use deadpool_redis::redis::{FromRedisValue, RedisError, cmd};

use super::connection::RedisConnection;
use crate::domain::retry::reconnect_delay;
use crate::ports::LedgerError;

/// The configuration's name for it.
const SETTING: &str = "maxmemory-policy";
/// The only policy that forgets nothing.
const KEEPS_ALL: &str = "noeviction";

/// Waits until Redis answers, reads its policy once and logs what is wrong with it.
pub(super) async fn check(connection: &RedisConnection) {
    let mut tries = 0;
    loop {
        match read(connection).await {
            Ok(policy) => return report(policy.as_deref()),
            // An outage is reported by those who have work to do.
            Err(_) => tokio::time::sleep(reconnect_delay(tries, rand::random())).await,
        }
        tries += 1;
    }
}

fn report(policy: Option<&str>) {
    match policy {
        Some(KEEPS_ALL) => tracing::debug!("redis: its maxmemory-policy is noeviction"),
        Some(policy) => tracing::error!(
            policy,
            "redis: its maxmemory-policy lets it forget events, which are then published again: \
             set maxmemory-policy to noeviction, or give Milepost a Redis of its own"
        ),
        None => tracing::info!(
            "redis: its maxmemory-policy cannot be read, neither by CONFIG GET nor by INFO: \
             make sure that it is noeviction"
        ),
    }
}

/// The policy, or `None` if this user may not see it. Some hosts and access lists forbid `CONFIG`; `INFO` is
/// allowed more often.
async fn read(connection: &RedisConnection) -> Result<Option<String>, LedgerError> {
    let setting: Option<HashMap<String, String>> = ask(connection, &["CONFIG", "GET", SETTING]).await?;
    if let Some(policy) = setting.and_then(|mut setting| setting.remove(SETTING)) {
        return Ok(Some(policy));
    }
    let info: Option<String> = ask(connection, &["INFO", "memory"]).await?;
    Ok(info.and_then(|info| {
        info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:").map(str::to_owned))
    }))
}

/// The answer to a command, or `None` if Redis refuses it.
async fn ask<T: FromRedisValue>(
    connection: &RedisConnection,
    words: &[&str],
) -> Result<Option<T>, LedgerError> {
    let mut lease = connection.get().await?;
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    match command.query_async(&mut lease.connection).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if refused(&error) => Ok(None),
        Err(error) => Err(connection.failed(&lease, &error)),
    }
}

/// Whether Redis said that it will not, rather than not now.
fn refused(error: &RedisError) -> bool {
    error.code().is_some_and(|code| matches!(code, "ERR" | "NOPERM"))
}
