//! How full Redis is: at its limit it refuses, and workers pause.

use std::time::Duration;

use metrics::gauge;
use tokio::time::sleep;

use super::connection::RedisConnection;
use super::inspect::memory;
use crate::telemetry::metrics::{REDIS_MEMORY_LIMIT, REDIS_MEMORY_USED};

/// Between two questions: it fills in hours.
const PAUSE: Duration = Duration::from_secs(15);

/// Shows it for ever. What Redis does not say is 0, as it is while Redis does not answer.
pub(super) async fn watch(connection: &RedisConnection) {
    loop {
        let (used, limit) = memory(connection).await.unwrap_or_default();
        #[allow(clippy::cast_precision_loss)] // No Redis has 2^53 bytes.
        for (name, bytes) in [(REDIS_MEMORY_USED, used), (REDIS_MEMORY_LIMIT, limit)] {
            gauge!(name).set(bytes.unwrap_or_default() as f64);
        }
        sleep(PAUSE).await;
    }
}
