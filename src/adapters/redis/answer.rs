//! What `claim.lua` answers.

use std::time::Duration;

use deadpool_redis::redis::Value;
use jiff::Timestamp;

use super::record::fields;
use crate::domain::identity::Origin;
use crate::domain::state::Place;
use crate::ports::{Claim, ClaimRequest, EventRef, Grant, StateRef};

/// Reads the answer to `request`, whose delivery's state is `state`; `None` when it is none.
pub(super) fn read(answer: Value, request: &ClaimRequest, state: StateRef) -> Option<Claim> {
    let Value::Array(parts) = answer else { return None };
    let mut parts = parts.into_iter();
    let word = text(parts.next()?)?;
    match (word.as_str(), parts.next(), parts.next(), parts.next()) {
        ("D", ..) => Some(Claim::Done),
        ("S", ..) => Some(Claim::Stale),
        ("B", Some(Value::Int(left)), ..) => left.try_into().ok().map(Duration::from_millis).map(Claim::Busy),
        ("G", Some(key), Some(Value::Int(id_reused)), Some(record)) => {
            let event = EventRef { key: text(key)?, token: request.token, ttl: request.ttl, state };
            let grant = grant(event, id_reused == 1, &text(record)?)?;
            Some(Claim::Granted(Box::new(grant)))
        }
        _ => None,
    }
}

fn grant(event: EventRef, id_reused: bool, record: &str) -> Option<Grant> {
    let [_, attempt, _, crashes, _, receipt, received_at, traceparent, _, _, sequence, before, _, overtaken] =
        fields(record);
    let origin = Origin {
        receipt: receipt.parse().ok()?,
        received_at: Timestamp::from_millisecond(received_at.parse().ok()?).ok()?,
        traceparent: (!traceparent.is_empty()).then(|| traceparent.to_owned()),
    };
    Some(Grant {
        event,
        origin,
        attempt: attempt.parse().ok()?,
        crashes: crashes.parse().ok()?,
        id_reused,
        place: Place { sequence: sequence.parse().ok()?, overtaken: overtaken == "1" },
        // One that cannot be read (of another version, say) is as good as lost.
        before: before.parse().ok(),
    })
}

fn text(value: Value) -> Option<String> {
    let Value::BulkString(bytes) = value else { return None };
    String::from_utf8(bytes).ok()
}
