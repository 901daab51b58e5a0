//! What a Redis says of itself. Hosts and access lists may forbid each question, so every answer is optional.

use std::collections::HashMap;

use deadpool_redis::redis::{FromRedisValue, RedisError, cmd};

use super::connection::RedisConnection;
use crate::ports::LedgerError;

/// A Redis in its own words; `None` is what this user may not see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisFacts {
    /// Such as `7.0.15`.
    pub version: Option<String>,
    /// `master` or `slave`.
    pub role: Option<String>,
    /// `maxmemory-policy`.
    pub policy: Option<String>,
    /// Whether it keeps an append-only file.
    pub append_only: Option<bool>,
    /// When it takes snapshots, as its configuration has it; empty is never.
    pub snapshots: Option<String>,
    /// The memory that it uses, in bytes.
    pub used_bytes: Option<u64>,
    /// The memory that it may use, in bytes; 0 is all there is.
    pub max_bytes: Option<u64>,
}

/// Asks for all of it.
///
/// # Errors
/// When Redis does not answer.
pub async fn inspect(connection: &RedisConnection) -> Result<RedisFacts, LedgerError> {
    let info: Option<String> = ask(connection, &["INFO"]).await?;
    let info = |name: &str| info.as_deref().and_then(|info| field(info, name));
    Ok(RedisFacts {
        version: info("redis_version"),
        role: info("role"),
        policy: policy(connection).await?,
        append_only: info("aof_enabled").map(|enabled| enabled == "1"),
        snapshots: setting(connection, "save").await?,
        used_bytes: info("used_memory").and_then(|bytes| bytes.parse().ok()),
        max_bytes: info("maxmemory").and_then(|bytes| bytes.parse().ok()),
    })
}

/// The `maxmemory-policy`, or `None` if this user may not see it. Some hosts and access lists forbid `CONFIG`; `INFO`
/// is allowed more often.
pub(super) async fn policy(connection: &RedisConnection) -> Result<Option<String>, LedgerError> {
    if let Some(policy) = setting(connection, "maxmemory-policy").await? {
        return Ok(Some(policy));
    }
    let info: Option<String> = ask(connection, &["INFO", "memory"]).await?;
    Ok(info.and_then(|info| field(&info, "maxmemory_policy")))
}

/// The memory that it uses, and the most it may use, where this user may see it.
pub(super) async fn memory(connection: &RedisConnection) -> Result<(Option<u64>, Option<u64>), LedgerError> {
    let info: Option<String> = ask(connection, &["INFO", "memory"]).await?;
    let bytes = |name: &str| field(info.as_deref()?, name)?.parse().ok();
    Ok((bytes("used_memory"), bytes("maxmemory")))
}

fn field(info: &str, name: &str) -> Option<String> {
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned());
    info.lines().find_map(value)
}

async fn setting(connection: &RedisConnection, name: &str) -> Result<Option<String>, LedgerError> {
    let setting: Option<HashMap<String, String>> = ask(connection, &["CONFIG", "GET", name]).await?;
    Ok(setting.and_then(|mut setting| setting.remove(name)))
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
