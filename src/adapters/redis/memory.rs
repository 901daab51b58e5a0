//! How full Redis is: at its limit it refuses, and workers pause.

use std::time::Duration;

use metrics::gauge;
use tokio::time::sleep;

use super::connection::RedisConnection;
use super::inspect::memory;
use crate::telemetry::metrics::{REDIS_MEMORY_LIMIT, REDIS_MEMORY_USED};

/// Between two questions: it fills in hours.
const PAUSE: Duration = Duration::from_secs(15);

/// Shows it for ever, of a Cluster the node that is fullest. What Redis does not say is 0, as it is while Redis does not
/// answer.
pub(super) async fn watch(connection: &RedisConnection) {
    loop {
        let nodes = memory(connection).await.unwrap_or_default();
        let full = |(used, limit): &(Option<u64>, Option<u64>)| match (used.unwrap_or(0), limit.unwrap_or(0))
        {
            // Without a limit nothing is said of how full it is.
            (used, 0) => (0, used),
            (used, limit) => (used.saturating_mul(1000) / limit, used),
        };
        let (used, limit) = nodes.into_iter().max_by_key(full).unwrap_or_default();
        #[allow(clippy::cast_precision_loss)] // No Redis has 2^53 bytes.
        for (name, bytes) in [(REDIS_MEMORY_USED, used), (REDIS_MEMORY_LIMIT, limit)] {
            gauge!(name).set(bytes.unwrap_or_default() as f64);
        }
        sleep(PAUSE).await;
    }
}
