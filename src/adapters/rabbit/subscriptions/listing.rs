//! Who subscribes to updates, as RabbitMQ's management API tells it: bindings cannot be listed over AMQP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{QueueName, is_reserved};
use crate::adapters::rabbit::management::{Management, ManagementError};
use crate::adapters::rabbit::topology::UPDATES;

/// What keeps a queue from growing for ever, as arguments; as policies they are called the same without the `x-`.
const BOUNDS: [&str; 4] = ["x-max-length", "x-max-length-bytes", "x-message-ttl", "x-expires"];

/// A queue that is bound to updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoundQueue {
    pub queue: String,
    /// What it is bound by, in order.
    pub patterns: Vec<String>,
    /// Messages in it, ready or with a consumer. The broker counts every few seconds, so a new queue has none yet.
    pub messages: Option<u64>,
    pub consumers: Option<u64>,
    pub bounded: bool,
    /// The queue that keeps what its service rejects.
    pub parked_queue: Option<String>,
    pub parked: Option<u64>,
}

impl BoundQueue {
    /// Whether it grows until the broker's disk is full: it has no bound, and no consumer is seen.
    #[must_use]
    pub fn grows(&self) -> bool {
        !self.bounded && self.consumers == Some(0)
    }
}

#[derive(Deserialize)]
struct ListedBinding {
    destination: String,
    destination_type: String,
    routing_key: String,
}

#[derive(Deserialize)]
struct ListedQueue {
    name: String,
    messages: Option<u64>,
    consumers: Option<u64>,
    #[serde(default)]
    arguments: Value,
    #[serde(default)]
    effective_policy_definition: Value,
}

/// Whether an argument or a policy bounds a queue.
#[must_use]
pub fn is_bounded(arguments: &Value, policy: &Value) -> bool {
    BOUNDS.iter().any(|bound| {
        arguments.get(bound).is_some()
            || bound.strip_prefix("x-").is_some_and(|bound| policy.get(bound).is_some())
    })
}

/// The queues that are bound to updates, but for Milepost's own.
///
/// # Errors
/// When the management API gives no answer, or none that can be used.
pub async fn list(management: &Management) -> Result<Vec<BoundQueue>, ManagementError> {
    let bindings: Vec<ListedBinding> = management.bindings_of(UPDATES).await?;
    let queues: Vec<ListedQueue> =
        management.queues("name,messages,consumers,arguments,effective_policy_definition").await?;
    Ok(join(bindings, &queues))
}

/// What a queue is bound to updates by.
///
/// # Errors
/// When the management API gives no answer, or none that can be used.
pub async fn patterns(management: &Management, name: &QueueName) -> Result<Vec<String>, ManagementError> {
    let bindings: Vec<ListedBinding> = management.bindings_of(UPDATES).await?;
    let of_it = bindings.into_iter().filter(|binding| binding.destination == name.0);
    Ok(of_it.map(|binding| binding.routing_key).collect())
}

fn join(bindings: Vec<ListedBinding>, queues: &[ListedQueue]) -> Vec<BoundQueue> {
    let mut patterns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for binding in bindings {
        if binding.destination_type == "queue" && !is_reserved(&binding.destination) {
            patterns.entry(binding.destination).or_default().push(binding.routing_key);
        }
    }
    let queues: BTreeMap<&str, &ListedQueue> =
        queues.iter().map(|queue| (queue.name.as_str(), queue)).collect();
    let subscription = |(queue, mut patterns): (String, Vec<String>)| {
        patterns.sort();
        let found = queues.get(queue.as_str());
        let parked = found.and_then(|found| queues.get(parked_queue(found)?));
        BoundQueue {
            messages: found.and_then(|found| found.messages),
            consumers: found.and_then(|found| found.consumers),
            bounded: found
                .is_some_and(|found| is_bounded(&found.arguments, &found.effective_policy_definition)),
            parked_queue: parked.map(|parked| parked.name.clone()),
            parked: parked.and_then(|parked| parked.messages),
            queue,
            patterns,
        }
    };
    patterns.into_iter().map(subscription).collect()
}

/// Where what is rejected goes, if that is one queue: the default exchange routes to a queue by its name.
fn parked_queue(queue: &ListedQueue) -> Option<&str> {
    let argument = |name: &str| queue.arguments.get(name).and_then(Value::as_str);
    argument("x-dead-letter-exchange").filter(|exchange| exchange.is_empty())?;
    argument("x-dead-letter-routing-key")
}
