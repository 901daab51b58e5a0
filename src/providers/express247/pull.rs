//! Asking 247Express ("Order tracking"): the present state of an order, whose fields are those of its webhook in other
//! letters. It says neither when nor which event it was.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::domain::pull::{NoAnswer, Pull, PullAnswer, PullRequest, is_key, usual};
use crate::domain::secret::Secret;

/// The answer's fields, and the webhook's.
const FIELDS: [(&str, &str); 9] = [
    ("orderCode", "OrderCode"),
    ("externalCode", "ExternalCode"),
    ("status", "Status"),
    ("statusName", "StatusName"),
    ("delayCode", "DelayCode"),
    // The singular is theirs.
    ("delayNote", "DelayNotes"),
    ("deliveryNotes", "DeliveryNotes"),
    ("deliveryDate", "DeliveryDate"),
    ("receiverName", "ReceiverName"),
];

/// Asks 247Express.
pub(super) struct ExpressPull;

impl Pull for ExpressPull {
    fn base_url(&self) -> &'static str {
        "https://tracking.247express.vn/api"
    }

    fn path(&self) -> &'static str {
        "Order/v1/Tracking"
    }

    fn check_credential(&self, credential: &[u8]) -> Result<(), &'static str> {
        is_key(credential)
    }

    /// The key has to be in the URL.
    fn ask(&self, path: &str, delivery_id: &str, with: &Secret) -> PullRequest {
        let code = Secret::new(delivery_id.as_bytes()).map(|code| ("ordercode", code));
        let query = code.into_iter().chain([("apikey", with.clone())]).collect();
        PullRequest { query, ..PullRequest::get(path, &[delivery_id]) }
    }

    fn read(&self, delivery_id: &str, answer: &PullAnswer) -> Result<Bytes, NoAnswer> {
        let mut order: Map<String, Value> = usual(answer)?;
        match order.get("errorCode").and_then(Value::as_str).unwrap_or_default() {
            "" => {}
            "MISSING_APIKEY" | "APIKEY_NOT_FOUND" => return Err(NoAnswer::Denied),
            "APIKEY_LIMIT" => return Err(NoAnswer::Limited(None)),
            "ORDERCODE_NOT_FOUND"
            | "ORDERCODE_DOES_NOT_BELONG_TO_YOUR_ACCOUNT"
            | "ORDERCODE_QUERY_EXPIRED" => return Err(NoAnswer::Unknown),
            "EXCEPTION" => return Err(NoAnswer::Unavailable),
            _ => return Err(NoAnswer::Odd),
        }
        if order.get("orderCode").and_then(Value::as_str) != Some(delivery_id) {
            return Err(NoAnswer::Odd);
        }
        if !order.get("status").is_some_and(|status| status.is_string() || status.is_u64()) {
            return Err(NoAnswer::Odd);
        }
        let fields =
            FIELDS.iter().filter_map(|(theirs, ours)| Some(((*ours).to_owned(), order.remove(*theirs)?)));
        Ok(Value::Object(fields.collect::<Map<_, _>>()).to_string().into())
    }
}
