//! Who subscribes to updates, as RabbitMQ's management API tells it: bindings cannot be listed over AMQP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_reserved;
use crate::adapters::rabbit::management::{Management, ManagementError};
use crate::adapters::rabbit::topology::UPDATES;

/// A queue that is bound to updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// Its name.
    pub queue: String,
    /// What it is bound by, in order.
    pub patterns: Vec<String>,
    /// Messages in it, ready or with a consumer. The broker counts every few seconds, so a new queue has none yet.
    pub messages: Option<u64>,
    /// Its consumers, counted likewise.
    pub consumers: Option<u64>,
}

#[derive(Deserialize)]
struct Binding {
    destination: String,
    destination_type: String,
    routing_key: String,
}

#[derive(Deserialize)]
struct Queue {
    name: String,
    messages: Option<u64>,
    consumers: Option<u64>,
}

/// The queues that are bound to updates, but for Milepost's own.
///
/// # Errors
/// When the management API gives no answer, or none that can be used.
pub async fn list(management: &Management) -> Result<Vec<Subscription>, ManagementError> {
    let bindings: Vec<Binding> = management.bindings_of(UPDATES).await?;
    let queues: Vec<Queue> = management.queues("name,messages,consumers").await?;
    Ok(join(bindings, queues))
}

fn join(bindings: Vec<Binding>, queues: Vec<Queue>) -> Vec<Subscription> {
    let mut patterns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for binding in bindings {
        if binding.destination_type == "queue" && !is_reserved(&binding.destination) {
            patterns.entry(binding.destination).or_default().push(binding.routing_key);
        }
    }
    let mut counts: BTreeMap<_, _> =
        queues.into_iter().map(|queue| (queue.name, (queue.messages, queue.consumers))).collect();
    let subscription = |(queue, mut patterns): (String, Vec<String>)| {
        patterns.sort();
        let (messages, consumers) = counts.remove(&queue).unwrap_or_default();
        Subscription { queue, patterns, messages, consumers }
    };
    patterns.into_iter().map(subscription).collect()
}
