//! Policies on Milepost's own queues. For a quorum queue the policy's `overflow` wins over the argument, and of two
//! limits the lower one counts.

use serde_json::Value;

use super::facts::{Broker, ManagementFacts};
use super::finding::{Finding, Level};
use crate::adapters::rabbit::compare::{Compared, ObjectKind};
use crate::adapters::rabbit::management::FoundQueue;
use crate::adapters::rabbit::topology::UPDATES_LOG;

const CHECK: &str = "policies";
const REMEDY: &str = "take it out of the policy, or narrow the policy's pattern";
/// The broker drops a delivery that waits longer than this for its acknowledgement; workers hold one for up to 25 min.
const LEAST_CONSUMER_TIMEOUT_MS: u64 = 30 * 60 * 1000;

/// A finding for each setting of a policy that costs messages, and one for each queue with policies that cost none.
pub(super) fn findings(broker: &Broker) -> Vec<Finding> {
    let ManagementFacts::Found(found) = &broker.management else {
        return vec![Finding::needs_management(CHECK, "policies")];
    };
    let ours = |queue: &&FoundQueue| broker.things.iter().any(|thing| is(thing, &queue.definition.name));
    let ours: Vec<_> = found.queues.iter().filter(ours).collect();
    let unknown = ours.iter().filter(|queue| queue.effective_policy_definition.is_none()).count();
    let mut findings: Vec<_> = ours.into_iter().flat_map(of).collect();
    if unknown > 0 {
        let says = format!("not known of {unknown} queues: the broker has no statistics of them");
        let remedy = "wait some seconds if they are new; otherwise rabbitmqctl list_policies";
        findings.push(Finding::new(Level::Skipped, CHECK, "policies", says, remedy));
    } else if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "policies", "none on Milepost's queues"));
    }
    findings
}

fn is(thing: &Compared, queue: &str) -> bool {
    thing.kind == ObjectKind::Queue && thing.name == queue
}

fn of(queue: &FoundQueue) -> Vec<Finding> {
    let definition = queue.effective_policy_definition.as_ref().and_then(Value::as_object);
    let Some(definition) = definition.filter(|definition| !definition.is_empty()) else {
        return Vec::new();
    };
    let names: Vec<_> = [&queue.policy, &queue.operator_policy].into_iter().flatten().cloned().collect();
    let (name, subject) = (names.join(" and "), format!("queue {}", queue.definition.name));
    let harms = harms(queue);
    if harms.is_empty() {
        let settings: Vec<_> = definition.iter().map(|(key, value)| format!("{key} {value}")).collect();
        return vec![Finding::ok(CHECK, subject, format!("policy {name}: {}", settings.join(", ")))];
    }
    let finding = |harm| Finding::new(Level::Fail, CHECK, &subject, format!("policy {name}: {harm}"), REMEDY);
    harms.into_iter().map(finding).collect()
}

/// What the queue's policies do that costs messages.
fn harms(queue: &FoundQueue) -> Vec<String> {
    let name = &queue.definition.name;
    let mut harms = Vec::new();
    if queue.by_policy("expires").is_some() {
        harms.push("expires deletes the queue, and what it holds, once it is unused for a while".to_owned());
    }
    if name == UPDATES_LOG {
        return harms; // The bounds of a stream are its retention.
    }
    if queue.by_policy("message-ttl").is_some() {
        harms.push("message-ttl takes messages out before they are worked on".to_owned());
    }
    let overflow = queue.by_policy("overflow").or_else(|| queue.definition.arguments.get("x-overflow"));
    let bounded = ["max-length", "max-length-bytes"].iter().any(|bound| queue.by_policy(bound).is_some());
    if queue.by_policy("overflow").is_some() && overflow.and_then(Value::as_str) != Some("reject-publish") {
        harms.push("overflow is not reject-publish: beyond its bound the queue drops messages".to_owned());
    } else if bounded && overflow.is_none() {
        harms.push("a bound without overflow reject-publish drops the oldest messages".to_owned());
    }
    let limits = [queue.by_policy("delivery-limit"), queue.definition.arguments.get("x-delivery-limit")];
    if let [Some(policy), argument] = limits.map(|limit| limit.and_then(Value::as_i64))
        && argument.is_none_or(|argument| policy < argument)
    {
        harms.push("delivery-limit takes a message out too soon, to nowhere if it was parked".to_owned());
    }
    let timeout = queue.by_policy("consumer-timeout").and_then(Value::as_u64);
    if timeout.is_some_and(|timeout| timeout < LEAST_CONSUMER_TIMEOUT_MS) {
        harms.push(format!("consumer-timeout is below {LEAST_CONSUMER_TIMEOUT_MS}, which workers count on"));
    }
    harms
}
