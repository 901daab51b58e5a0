//! What Redis does when its memory is full, and how full it is.
//!
//! Under any policy but `noeviction` it makes room by forgetting keys, and each event it forgets may be published
//! again. Redis is still of use then, so no worker stops; but the log has an error.

use super::connection::RedisConnection;
use super::inspect::policies;
use super::memory;
use crate::domain::retry::reconnect_delay;

/// The only policy that forgets nothing.
pub const KEEPS_ALL: &str = "noeviction";

/// Waits until Redis answers, reads its policy once and logs what is wrong with it; then shows its memory for ever.
pub(super) async fn check(connection: &RedisConnection) {
    let mut tries = 0;
    loop {
        match policies(connection).await {
            Ok(policies) => {
                // Of a Cluster's nodes, one that may forget decides, and then one that does not say.
                let worst = |policy: &&Option<String>| match policy.as_deref() {
                    Some(KEEPS_ALL) => 0,
                    None => 1,
                    Some(_) => 2,
                };
                report(policies.iter().max_by_key(worst).and_then(Option::as_deref));
                return memory::watch(connection).await;
            }
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
