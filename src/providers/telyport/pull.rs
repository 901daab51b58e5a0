//! Asking Telyport ("Get Order Data"). Its document has neither the path nor the fields of the answer's `data`, so the
//! fields of its webhook are looked for there; all else stays where it is, as an order has addresses and names that no
//! webhook has.
//!
//! What is now is missing in its timeline (`timeline.rs`), as are `PICKUPREACHED` and `DROPREACHED`: that is asked beside it.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::timeline::TelyportTimeline;
use crate::domain::pull::{NoAnswer, Pull, PullAnswer, PullRequest, Timeline, is_key, usual};
use crate::domain::secret::Secret;

/// The fields of an order that its webhooks have.
const FIELDS: [&str; 5] =
    ["businessOrderID", "temporaryOrderID", "status", "updatedAt", "additionalProperties"];

pub(super) struct TelyportPull;

impl Pull for TelyportPull {
    fn base_url(&self) -> &'static str {
        "https://api.telyport.com/v2"
    }

    fn path(&self) -> &'static str {
        "order"
    }

    fn check_credential(&self, credential: &[u8]) -> Result<(), &'static str> {
        is_key(credential)
    }

    fn ask(&self, path: &str, delivery_id: &str, with: &Secret) -> PullRequest {
        ask(path, delivery_id, with)
    }

    fn read(&self, delivery_id: &str, answer: &PullAnswer) -> Result<Bytes, NoAnswer> {
        let Value::Object(mut order) = data(answer)? else { return Err(NoAnswer::Odd) };
        if order.get("orderID").is_some_and(|id| id.as_str() != Some(delivery_id)) {
            return Err(NoAnswer::Odd);
        }
        if !order.get("status").is_some_and(Value::is_string) {
            return Err(NoAnswer::Odd);
        }
        let mut data = Map::from_iter([("orderID".to_owned(), json!(delivery_id))]);
        data.extend(FIELDS.iter().filter_map(|name| order.remove_entry(*name)));
        Ok(json!({ "event": "ORDER.STATUS_UPDATED", "data": data }).to_string().into())
    }

    fn timeline(&self) -> Option<&'static dyn Timeline> {
        Some(&TelyportTimeline)
    }
}

/// A request about an order.
pub(super) fn ask(path: &str, delivery_id: &str, with: &Secret) -> PullRequest {
    let query = Secret::new(delivery_id.as_bytes()).map(|id| ("orderID", id)).into_iter().collect();
    PullRequest {
        query,
        headers: vec![("x-api-key", with.clone())],
        ..PullRequest::get(path, &[delivery_id])
    }
}

/// What is in an answer of success.
pub(super) fn data(answer: &PullAnswer) -> Result<Value, NoAnswer> {
    // "This order does not belong to your business": about the order, and not about the key.
    if answer.code == 403 {
        return Err(NoAnswer::Unknown);
    }
    let mut top: Map<String, Value> = usual(answer)?;
    if top.get("status").and_then(Value::as_str) != Some("success") {
        return Err(NoAnswer::Odd);
    }
    top.remove("data").ok_or(NoAnswer::Odd)
}
