//! What a queue holds, as the broker counts it.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCounts {
    pub ready: u32,
    pub consumers: u32,
}

/// Looks at a queue that must be there, and declares nothing. A channel on which it is not is closed.
pub(super) async fn counts(channel: &Channel, queue: &str) -> lapin::Result<QueueCounts> {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
    Ok(QueueCounts { ready: queue.message_count(), consumers: queue.consumer_count() })
}
