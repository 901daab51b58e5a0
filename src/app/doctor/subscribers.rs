//! Queues of others that take updates. One that is full and refuses makes the publish fail although all the others
//! got the update, and each retry repeats it for them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::{Broker, ManagementFacts};
use super::finding::{Finding, Level};
use crate::adapters::rabbit::compare::ObjectKind;
use crate::adapters::rabbit::management::{Found, FoundQueue};
use crate::adapters::rabbit::subscriptions::is_bounded;
use crate::adapters::rabbit::topology::UPDATES;

const CHECK: &str = "subscribers";
const REMEDY: &str = "its owner declares it anew with x-overflow drop-head, or without a bound";

/// A finding for each queue that would refuse, or one for all.
pub(super) fn findings(broker: &Broker) -> Vec<Finding> {
    // A receiver publishes no updates.
    if !broker.things.iter().any(|thing| thing.kind == ObjectKind::Exchange && thing.name == UPDATES) {
        return Vec::new();
    }
    let ManagementFacts::Found(found) = &broker.management else {
        return vec![Finding::needs_management(CHECK, "subscribers")];
    };
    let subscribed = subscribed(found);
    let refusing = |queue: &&FoundQueue| {
        subscribed.contains(queue.definition.name.as_str()) && refuses(queue) && !is_unbounded_sink(queue)
    };
    let growing = |queue: &&FoundQueue| subscribed.contains(queue.definition.name.as_str()) && grows(queue);
    let mut findings: Vec<_> = found.queues.iter().filter(refusing).map(finding).collect();
    findings.extend(found.queues.iter().filter(growing).map(warning));
    if findings.is_empty() {
        let says = format!("queues that take updates: {}; none refuses them", subscribed.len());
        return vec![Finding::ok(CHECK, "subscribers", says)];
    }
    findings
}

fn finding(queue: &FoundQueue) -> Finding {
    let says = "has x-overflow reject-publish: once full, it refuses updates that all others got";
    Finding::new(Level::Fail, CHECK, format!("queue {}", queue.definition.name), says, REMEDY)
}

fn warning(queue: &FoundQueue) -> Finding {
    let says = "it has no bound and no consumer: it grows until the broker's disk is full";
    let remedy =
        "its owner consumes it, bounds it (`milepost subscribe --max-bytes`, or a policy) or deletes it";
    Finding::new(Level::Warn, CHECK, format!("queue {}", queue.definition.name), says, remedy)
}

/// The queues that updates reach, by way of other exchanges too.
fn subscribed(found: &Found) -> BTreeSet<&str> {
    let (mut exchanges, mut queues, mut next) = (BTreeSet::from([UPDATES]), BTreeSet::new(), vec![UPDATES]);
    while let Some(exchange) = next.pop() {
        for binding in found.definitions.bindings.iter().filter(|binding| binding.source == exchange) {
            let destination = binding.destination.as_str();
            if binding.destination_type == "queue" {
                queues.insert(destination);
            } else if exchanges.insert(destination) {
                next.push(destination);
            }
        }
    }
    queues
}

/// A sink's queue has `reject-publish` for its dead letters' sake, and refuses nothing while it has no bound.
fn is_unbounded_sink(queue: &FoundQueue) -> bool {
    let bounds = ["max-length", "max-length-bytes"];
    let bounded = |bound: &&str| {
        queue.by_policy(bound).is_some() || queue.definition.arguments.contains_key(&format!("x-{bound}"))
    };
    queue.definition.name.starts_with("milepost.sink.") && !bounds.iter().any(bounded)
}

/// A policy wins over the argument for quorum queues, the argument over a policy for classic ones.
fn refuses(queue: &FoundQueue) -> bool {
    let (argument, policy) = (queue.definition.arguments.get("x-overflow"), queue.by_policy("overflow"));
    let overflow = if queue.kind == "quorum" { policy.or(argument) } else { argument.or(policy) };
    overflow.and_then(Value::as_str).is_some_and(|overflow| overflow.starts_with("reject-publish"))
}

/// Milepost's own are bounded where they have to be.
fn grows(queue: &FoundQueue) -> bool {
    let arguments = Value::Object(queue.definition.arguments.clone());
    let policy = queue.effective_policy_definition.clone().unwrap_or_default();
    queue.consumers == Some(0)
        && queue.kind != "stream"
        && !queue.definition.name.starts_with("milepost.")
        && !is_bounded(&arguments, &policy)
}
