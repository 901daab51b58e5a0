//! Whether what Redis takes outlives it, and what proves that.
//!
//! With `appendfsync everysec` an answer says nothing: a second of writes may go with the machine. `WAITAOF` (Redis 7.2, Valkey)
//! waits for the fsync of one's own writes. Without it only `appendfsync always` makes an answer a proof, and
//! `CONFIG GET` has to be allowed for that to be known: `INFO` does not say it.

use super::connection::RedisConnection;
use super::inspect::{ask, policy_at, setting};
use crate::ports::{DurabilityProof, LedgerError};

/// What proves a write on this Redis, or why nothing does. It waits for nothing that was written before.
///
/// # Errors
/// When Redis does not answer.
pub async fn prove(
    connection: &RedisConnection,
) -> Result<Result<DurabilityProof, &'static str>, LedgerError> {
    if connection.get().await?.connection.is_cluster() {
        return Ok(Err(
            "it is a Cluster, where a proof is of all nodes and not of the spool's: give receivers one server",
        ));
    }
    match policy_at(connection, None).await? {
        None => return Ok(Err("this user may not see its maxmemory-policy: allow INFO")),
        // The spool's keys have no expiry, so the policies for keys that have one leave them alone.
        Some(policy) if policy.starts_with("allkeys") => {
            return Ok(Err("its maxmemory-policy lets it forget any key: set noeviction"));
        }
        Some(_) => {}
    }
    let waited: Option<Vec<i64>> = ask(connection, None, &["WAITAOF", "1", "0", "1"]).await?;
    if waited.is_some() {
        return Ok(Ok(DurabilityProof::EachWrite));
    }
    let settings =
        (setting(connection, None, "appendonly").await?, setting(connection, None, "appendfsync").await?);
    Ok(match (settings.0.as_deref(), settings.1.as_deref()) {
        (Some("yes"), Some("always")) => Ok(DurabilityProof::EveryAnswer),
        (Some("yes"), Some(_)) => Err(
            "it has no WAITAOF (Redis 7.2 and later, Valkey; allowed to this user), nor appendfsync always",
        ),
        (Some(_), _) => Err("it keeps no append-only file: set appendonly yes"),
        (None, _) => Err("this user may use neither WAITAOF nor CONFIG GET"),
    })
}
