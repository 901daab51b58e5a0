//! For how long the stream of updates keeps an update. It takes updates out by whole segments, and never the one that is
//! written to: `max-age` is the least time, and how long a segment takes to fill comes on top.

use serde_json::Value;

use super::facts::{Broker, ManagementFacts};
use super::finding::{Finding, Level};
use crate::adapters::rabbit::management::FoundQueue;
use crate::adapters::rabbit::topology::UPDATES_LOG;

/// A segment that is larger takes a small fleet weeks to fill.
const LARGE_SEGMENT: u64 = 64 * 1024 * 1024;

/// What the stream's arguments and policies say together; nothing of a stream that is not there.
pub(super) fn finding(broker: &Broker) -> Option<Finding> {
    let (check, subject) = ("updates_kept", UPDATES_LOG);
    let ManagementFacts::Found(found) = &broker.management else { return None };
    let stream = found.queues.iter().find(|queue| queue.definition.name == UPDATES_LOG)?;
    let age = effective(stream, "max-age").and_then(Value::as_str)?;
    let segment = effective(stream, "stream-max-segment-size-bytes").and_then(Value::as_u64)?;
    let says = format!(
        "keeps an update for {age}, and for as long again as {} KiB of updates take to come",
        segment >> 10
    );
    if segment <= LARGE_SEGMENT {
        return Some(Finding::ok(check, subject, says));
    }
    let remedy = "take stream-max-segment-size-bytes out of the policy, or lower it: personal data is kept for longer than it says";
    Some(Finding::new(Level::Warn, check, subject, says, remedy))
}

/// A policy wins over a stream's argument.
fn effective<'a>(stream: &'a FoundQueue, name: &str) -> Option<&'a Value> {
    stream.by_policy(name).or_else(|| stream.definition.arguments.get(&format!("x-{name}")))
}
