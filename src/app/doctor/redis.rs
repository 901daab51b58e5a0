//! Redis, and for how long events are remembered in it. A key it loses can cost a repeat, never an event.

use std::time::Duration;

use super::facts::{Facts, Memory};
use super::finding::{Finding, Level};
use crate::adapters::redis::{KEEPS_ALL, NodeFacts, RedisFacts};

/// The oldest version that is supported.
const OLDEST_MAJOR: u32 = 7;

/// Redis, if it is used, and each provider's memory in it.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut findings = match &facts.redis {
        None => return Vec::new(),
        Some(Err(error)) => {
            let remedy = "look at redis.url (kind, address, user, password), and whether Redis runs there";
            vec![Finding::new(Level::Fail, "redis", "redis", format!("does not answer: {error}"), remedy)]
        }
        Some(Ok(redis)) => of(redis),
    };
    findings.extend(facts.memories.iter().map(memory));
    findings
}

fn of(redis: &RedisFacts) -> Vec<Finding> {
    let primaries = redis.nodes.len();
    let answers = match redis.nodes.first() {
        Some(NodeFacts { address: Some(_), .. }) => format!("answers: a Cluster of {primaries} primaries"),
        _ => "answers".to_owned(),
    };
    let mut findings = vec![Finding::ok("redis", "redis", answers), writes(&redis.refusals)];
    for node in &redis.nodes {
        let about = |what: &str| match &node.address {
            Some(address) => format!("redis {address} {what}"),
            None => format!("redis {what}"),
        };
        findings.extend([
            version(about("version"), node),
            role(about("role"), node.role.as_deref()),
            policy(about("maxmemory-policy"), node.policy.as_deref()),
            persistence(about("persistence"), node),
            room(about("memory"), node),
        ]);
        findings.extend(takeover(about("replicas"), node));
    }
    findings
}

fn unseen(check: &'static str, subject: String) -> Finding {
    let remedy = "allow this user INFO, or ask your provider of Redis";
    Finding::new(Level::Skipped, check, subject, "this user may not see it", remedy)
}

/// Without writes no event can be claimed: every worker is paused.
fn writes(refusals: &[String]) -> Finding {
    let (check, subject) = ("redis_writes", "redis writes");
    if refusals.is_empty() {
        return Finding::ok(check, subject, "taken");
    }
    let says = format!("refused, so that workers are paused: {}", refusals.join("; "));
    let said = |word: &str| refusals.iter().any(|refusal| refusal.contains(word));
    let remedy = if said("NOREPLICAS") {
        "bring replicas back until there are as many as min-replicas-to-write, or lower that"
    } else if said("OOM") {
        "raise maxmemory"
    } else if said("READONLY") {
        "point redis.url at the primary, or at the Sentinels"
    } else {
        "look at Redis's log, and in a Cluster at CLUSTER INFO: a shard may have no primary"
    };
    Finding::new(Level::Fail, check, subject, says, remedy)
}

fn version(subject: String, node: &NodeFacts) -> Finding {
    let check = "redis_version";
    let Some(version) = &node.version else { return unseen(check, subject) };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let says = match &node.valkey {
        Some(valkey) => format!("Valkey {valkey}, like Redis {version}"),
        None => version.clone(),
    };
    if major.is_some_and(|major| major >= OLDEST_MAJOR) {
        Finding::ok(check, subject, says)
    } else {
        Finding::new(Level::Fail, check, subject, says, "use Redis 7.0 or later, or Valkey")
    }
}

fn role(subject: String, role: Option<&str>) -> Finding {
    let check = "redis_role";
    match role {
        None => unseen(check, subject),
        Some("master") => Finding::ok(check, subject, "primary"),
        Some(_) => {
            let remedy = "point redis.url at the primary, or at the Sentinels";
            Finding::new(Level::Fail, check, subject, "a replica: it takes no writes", remedy)
        }
    }
}

/// A shard of a Cluster without a replica is lost with its node.
fn takeover(subject: String, node: &NodeFacts) -> Option<Finding> {
    node.address.as_ref()?;
    let check = "redis_replicas";
    Some(match node.replicas {
        None => unseen(check, subject),
        Some(0) => {
            let says = "none: while this node is away, so are its deliveries, and with it what it remembers";
            Finding::new(Level::Warn, check, subject, says, "give each primary a replica")
        }
        Some(replicas) => Finding::ok(check, subject, replicas.to_string()),
    })
}

fn policy(subject: String, policy: Option<&str>) -> Finding {
    let check = "redis_maxmemory_policy";
    match policy {
        None => unseen(check, subject),
        Some(KEEPS_ALL) => Finding::ok(check, subject, KEEPS_ALL),
        Some(other) => {
            let says =
                format!("{other}: it forgets events when memory is short, which are then published again");
            let remedy = "set maxmemory-policy to noeviction, or give Milepost a Redis of its own";
            Finding::new(Level::Fail, check, subject, says, remedy)
        }
    }
}

fn persistence(subject: String, redis: &NodeFacts) -> Finding {
    let check = "redis_persistence";
    let says = match (redis.append_only, redis.snapshots.as_deref()) {
        (Some(true), _) => return Finding::ok(check, subject, "append-only file"),
        (None, None) => return unseen(check, subject),
        (_, None) => "no append-only file, and whether it takes snapshots is not to be seen",
        (_, Some("")) => "none: a restart forgets every event, and what is sent again is published again",
        (_, Some(_)) => "snapshots only: a crash forgets the events since the last one",
    };
    Finding::new(Level::Warn, check, subject, says, "set appendonly yes")
}

/// What is full takes no claim, so that nothing is published until there is room again.
fn room(subject: String, redis: &NodeFacts) -> Finding {
    let check = "redis_memory";
    let (Some(used), Some(most)) = (redis.used_bytes, redis.max_bytes) else { return unseen(check, subject) };
    let says = format!("{} MiB used of {} MiB", used >> 20, most >> 20);
    let remedy = "raise maxmemory: workers pause while Redis is full, and go on by themselves";
    match (used, most) {
        (_, 0) => Finding::ok(check, subject, "maxmemory is not set: the host's memory is the limit"),
        (used, most) if used >= most => Finding::new(Level::Fail, check, subject, says, remedy),
        (used, most) if used / 4 >= most / 5 => Finding::new(Level::Warn, check, subject, says, remedy),
        _ => Finding::ok(check, subject, says),
    }
}

/// The configuration is refused unless the memory is twice the horizon.
fn memory(memory: &Memory) -> Finding {
    let Memory { provider, resend_horizon, dedup_ttl } = memory;
    let says = format!(
        "sends again for {}; a delivery's events are remembered for {}",
        span(*resend_horizon),
        span(*dedup_ttl)
    );
    Finding::ok("dedup_ttl", format!("memory of {provider}"), says)
}

/// In the largest unit that divides it.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (unit, name) = [(86_400, "d"), (3_600, "h"), (60, "min")]
        .into_iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit))
        .unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}
