//! What a Redis says of itself. Hosts and access lists may forbid each question, so every answer is optional.

use std::collections::{BTreeMap, HashMap};

use deadpool_redis::redis::cluster_routing::Slot;
use deadpool_redis::redis::{FromRedisValue, RedisError, Value, cmd};

use super::connection::RedisConnection;
use crate::ports::LedgerError;

/// A Redis in its own words: one server, or the primaries of a Cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisFacts {
    /// Each node that takes writes.
    pub nodes: Vec<NodeFacts>,
    /// In which words writes are refused now, wherever they are: by the one server, or by a shard of a Cluster.
    pub refusals: Vec<String>,
}

/// A node in its own words; `None` is what this user may not see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Which it is of a Cluster.
    pub address: Option<String>,
    /// Such as `7.0.15`. Of a Valkey, the Redis that it speaks like.
    pub version: Option<String>,
    pub valkey: Option<String>,
    /// `master` or `slave`.
    pub role: Option<String>,
    /// How many replicas are connected.
    pub replicas: Option<u64>,
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

/// A key that there never is: to set it if it is there already changes nothing, and is refused whenever a write is.
const PROBE: &str = "mp:doctor";

/// Asks for all of it.
///
/// # Errors
/// When Redis does not answer.
pub async fn inspect(connection: &RedisConnection) -> Result<RedisFacts, LedgerError> {
    let mut nodes = Vec::new();
    for address in addresses(connection).await? {
        nodes.push(node(connection, address).await?);
    }
    Ok(RedisFacts { nodes, refusals: refusals(connection).await? })
}

async fn node(connection: &RedisConnection, address: Option<String>) -> Result<NodeFacts, LedgerError> {
    let at = address.as_deref();
    let info: Option<String> = ask(connection, at, &["INFO"]).await?;
    let info = |name: &str| info.as_deref().and_then(|info| field(info, name));
    let number = |name: &str| info(name).and_then(|number| number.parse().ok());
    Ok(NodeFacts {
        version: info("redis_version"),
        valkey: info("valkey_version"),
        role: info("role"),
        replicas: number("connected_slaves"),
        policy: policy_at(connection, at).await?,
        append_only: info("aof_enabled").map(|enabled| enabled == "1"),
        snapshots: setting(connection, at, "save").await?,
        used_bytes: number("used_memory"),
        max_bytes: number("maxmemory"),
        address,
    })
}

/// Of each node that takes writes, the `maxmemory-policy`, or `None` if this user may not see it.
pub(super) async fn policies(connection: &RedisConnection) -> Result<Vec<Option<String>>, LedgerError> {
    let mut policies = Vec::new();
    for address in addresses(connection).await? {
        policies.push(policy_at(connection, address.as_deref()).await?);
    }
    Ok(policies)
}

/// Some hosts and access lists forbid `CONFIG`; `INFO` is allowed more often.
pub(super) async fn policy_at(
    connection: &RedisConnection,
    node: Option<&str>,
) -> Result<Option<String>, LedgerError> {
    if let Some(policy) = setting(connection, node, "maxmemory-policy").await? {
        return Ok(Some(policy));
    }
    let info: Option<String> = ask(connection, node, &["INFO", "memory"]).await?;
    Ok(info.and_then(|info| field(&info, "maxmemory_policy")))
}

/// The memory that each node uses, and the most it may use, where this user may see it.
pub(super) async fn memory(
    connection: &RedisConnection,
) -> Result<Vec<(Option<u64>, Option<u64>)>, LedgerError> {
    let mut memory = Vec::new();
    for address in addresses(connection).await? {
        let info: Option<String> = ask(connection, address.as_deref(), &["INFO", "memory"]).await?;
        let bytes = |name: &str| field(info.as_deref()?, name)?.parse().ok();
        memory.push((bytes("used_memory"), bytes("maxmemory")));
    }
    Ok(memory)
}

/// Asks each shard for a write that changes nothing.
async fn refusals(connection: &RedisConnection) -> Result<Vec<String>, LedgerError> {
    let mut refusals = Vec::new();
    for (shard, key) in probes(connection).await? {
        let mut lease = connection.get().await?;
        let mut write = cmd("SET");
        write.arg(key).arg(1).arg("XX").arg("PX").arg(1000);
        let refused = write.query_async::<Value>(&mut lease.connection).await.err();
        refusals.extend(refused.map(|error| format!("{shard}{}", connection.failed(&lease, &error).0)));
    }
    Ok(refusals)
}

/// Each shard, and a key of it. Which they are only a Cluster's user with the right to ask for its slots may see, as it
/// needs to for all else.
async fn probes(connection: &RedisConnection) -> Result<Vec<(String, String)>, LedgerError> {
    let mut lease = connection.get().await?;
    if !lease.connection.is_cluster() {
        return Ok(vec![(String::new(), PROBE.to_owned())]);
    }
    let answer = cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut lease.connection).await;
    let answer = answer.map_err(|error| connection.failed(&lease, &error))?;
    let Value::Array(ranges) = answer else { return Ok(Vec::new()) };
    // One range of each primary will do.
    let shards: BTreeMap<_, _> = ranges.into_iter().filter_map(range).collect();
    let probe = |(from, to)| (format!("slots {from} to {to}: "), key_in(from, to));
    Ok(shards.into_values().map(probe).collect())
}

/// The id of a primary, and slots of it.
fn range(range: Value) -> Option<(String, (u16, u16))> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(from), Value::Int(to), Value::Array(primary), ..] = &range[..] else { return None };
    let id = String::from_redis_value(primary.get(2)?.clone()).ok()?;
    Some((id, (u16::try_from(*from).ok()?, u16::try_from(*to).ok()?)))
}

/// Our key of these slots: the first number that leads there.
fn key_in(from: u16, to: u16) -> String {
    let slots: Vec<_> = (from..=to).filter_map(Slot::new).collect();
    let keys = (0..1_000_000).map(|number| format!("{PROBE}:{number}"));
    let mut fitting = keys.filter(|key| slots.contains(&Slot::for_key(key)));
    fitting.next().unwrap_or_else(|| PROBE.to_owned())
}

async fn addresses(connection: &RedisConnection) -> Result<Vec<Option<String>>, LedgerError> {
    let mut lease = connection.get().await?;
    lease.connection.nodes().await.map_err(|error| connection.failed(&lease, &error))
}

fn field(info: &str, name: &str) -> Option<String> {
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned());
    info.lines().find_map(value)
}

pub(super) async fn setting(
    connection: &RedisConnection,
    node: Option<&str>,
    name: &str,
) -> Result<Option<String>, LedgerError> {
    let setting: Option<HashMap<String, String>> = ask(connection, node, &["CONFIG", "GET", name]).await?;
    Ok(setting.and_then(|mut setting| setting.remove(name)))
}

/// The answer to a command, or `None` if Redis refuses it.
pub(super) async fn ask<T: FromRedisValue>(
    connection: &RedisConnection,
    node: Option<&str>,
    words: &[&str],
) -> Result<Option<T>, LedgerError> {
    let mut lease = connection.get().await?;
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    let answer = lease.connection.ask(node, command).await;
    match answer.and_then(|answer| T::from_redis_value(answer).map_err(RedisError::from)) {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if refused(&error) => Ok(None),
        Err(error) => Err(connection.failed(&lease, &error)),
    }
}

/// Whether Redis said that it will not, rather than not now.
fn refused(error: &RedisError) -> bool {
    error.code().is_some_and(|code| matches!(code, "ERR" | "NOPERM"))
}
