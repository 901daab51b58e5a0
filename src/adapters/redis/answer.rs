//! What `claim.lua` answers.

use std::time::Duration;

use deadpool_redis::redis::Value;

use crate::domain::claim::{Claim, ClaimRequest, EventRef, Grant};
use crate::domain::identity::Origin;
use crate::domain::state::Place;

/// Reads the answer to `request`, whose leg the ledger calls `leg`; `None` when it is none.
pub(super) fn read(answer: &Value, request: &ClaimRequest, leg: String) -> Option<Claim> {
    let Value::BulkString(bytes) = answer else { return None };
    let (word, rest) =
        std::str::from_utf8(bytes).ok().map(|text| text.split_once(',').unwrap_or((text, "")))?;
    let millis = || rest.parse().ok().map(Duration::from_millis);
    match word {
        "D" => Some(Claim::Done),
        "S" => Some(Claim::Stale),
        "B" => millis().map(Claim::Busy),
        "W" => millis().map(Claim::Behind),
        "G" => grant(rest, request, leg).map(|grant| Claim::Granted(Box::new(grant))),
        _ => None,
    }
}

fn grant(text: &str, request: &ClaimRequest, leg: String) -> Option<Grant> {
    let mut parts = text.splitn(9, ',');
    let mut next = || parts.next();
    let (name, first_receipt, sequence) = (next()?, next()?.parse().ok()?, next()?.parse().ok()?);
    let (attempt, crashes) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let (id_reused, overtaken, traceparent, before) = (next()? == "1", next()? == "1", next()?, next()?);
    let event = EventRef {
        delivery: request.delivery.clone(),
        name: name.to_owned(),
        token: request.copy.token,
        first_receipt,
        receipt: request.copy.receipt,
        sequence,
        status: request.moment.status,
        precedence: request.precedence,
        leg,
        address: request.address.clone(),
        ttl: request.ttl,
    };
    Some(Grant {
        event,
        origin: Origin {
            receipt: first_receipt,
            traceparent: (!traceparent.is_empty()).then(|| traceparent.to_owned()),
        },
        attempt,
        crashes,
        id_reused,
        place: Place { sequence, overtaken },
        // One that cannot be read is as good as lost.
        before: before.parse().ok(),
    })
}
