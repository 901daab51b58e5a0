//! A consumer to which its queue delivers nothing any more, with every connection sound. RabbitMQ 4.0 leaves some like that
//! after a partition under `cluster_partition_handling = ignore`: they never end by themselves.

use std::time::Duration;

use lapin::Connection;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::counts::counts;

/// Between two looks at the queue, while nothing is delivered.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// Looks in a row that find messages, with no delivery between them. What one finds may just have come.
const LOOKS: u32 = 2;

/// Finds out whether a consumer with nothing in hand is passed over.
pub(super) struct Stall {
    queue: String,
    looks: Interval,
    delivered: bool,
    found: u32,
}

impl Stall {
    pub(super) fn new(queue: String) -> Self {
        let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { queue, looks, delivered: false, found: 0 }
    }

    /// A message was delivered.
    pub(super) const fn delivered(&mut self) {
        self.delivered = true;
        self.found = 0;
    }

    /// Returns once the queue has had messages at several looks and delivered none. Cancel safe: a look that is given up is
    /// made again at the next.
    pub(super) async fn found(&mut self, connection: &Connection) {
        while self.found < LOOKS {
            self.looks.tick().await;
            if std::mem::take(&mut self.delivered) {
                continue;
            }
            let waiting = timeout(LOOK_LIMIT, waiting(connection, &self.queue)).await;
            self.found = if matches!(waiting, Ok(Ok(1..))) { self.found + 1 } else { 0 };
        }
    }
}

/// How many messages the queue could deliver.
async fn waiting(connection: &Connection, queue: &str) -> lapin::Result<u32> {
    let channel = connection.create_channel().await?;
    let waiting = counts(&channel, queue).await?.ready;
    channel.close(200, "OK".into()).await?;
    Ok(waiting)
}
