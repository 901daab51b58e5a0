//! Asking Telyport ("Get Order Data"). Its document has neither the path nor the fields of the answer's `data`, so the
//! fields of its webhook are looked for there; all else stays where it is, as an order has addresses and names that no
//! webhook has.
//!
//! Its timeline is not asked: it has no `PICKUPREACHED` and no `DROPREACHED`, its fields are not documented either, and what
//! is now is missing.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::domain::pull::{NoAnswer, Pull, PullAnswer, PullRequest, is_key, usual};
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
        let query = Secret::new(delivery_id.as_bytes()).map(|id| ("orderID", id)).into_iter().collect();
        PullRequest {
            query,
            headers: vec![("x-api-key", with.clone())],
            ..PullRequest::get(path, &[delivery_id])
        }
    }

    fn read(&self, delivery_id: &str, answer: &PullAnswer) -> Result<Bytes, NoAnswer> {
        // "This order does not belong to your business": about the order, and not about the key.
        if answer.code == 403 {
            return Err(NoAnswer::Unknown);
        }
        let mut top = usual(answer)?;
        if top.get("status").and_then(Value::as_str) != Some("success") {
            return Err(NoAnswer::Odd);
        }
        let Some(Value::Object(mut order)) = top.remove("data") else { return Err(NoAnswer::Odd) };
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
}
