//! Asking HubRise ("Retrieve a Delivery"): a delivery is found by its location and its order, and its present state is what
//! its callbacks have as `new_state`.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::callback_events::CallbackEvents;
use crate::domain::event_list::EventList;
use crate::domain::pull::{NoAnswer, Pull, PullAnswer, PullRequest, is_key, usual};
use crate::domain::secret::Secret;
use crate::domain::update::DeliveryUpdate;

/// Asks HubRise.
pub(super) struct HubRisePull;

/// Where a delivery is found: `location/order`.
pub(super) fn address(update: &DeliveryUpdate) -> Option<String> {
    let references = update.references.as_ref()?;
    let (location, order) = (references.location.as_ref()?, references.order.as_ref()?);
    (is_id(location) && is_id(order)).then(|| format!("{location}/{order}"))
}

/// Whether it may be a segment of a path.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Pull for HubRisePull {
    fn base_url(&self) -> &'static str {
        "https://api.hubrise.com/v1"
    }

    fn path(&self) -> &'static str {
        "locations/{}/orders/{}/delivery"
    }

    /// Its limits are 10,000 a day of a connection, which the sink and others may share.
    fn per_minute(&self) -> u32 {
        5
    }

    fn check_credential(&self, credential: &[u8]) -> Result<(), &'static str> {
        is_key(credential)
    }

    fn ask(&self, path: &str, address: &str, with: &Secret) -> PullRequest {
        get(path, &address.split('/').collect::<Vec<_>>(), with)
    }

    /// As HubRise's answer is: it is read without the envelope of a callback, too.
    fn read(&self, delivery_id: &str, answer: &PullAnswer) -> Result<Bytes, NoAnswer> {
        let delivery: Map<String, Value> = usual(answer)?;
        let text = |name: &str| delivery.get(name).and_then(Value::as_str);
        if text("id") != Some(delivery_id) || text("status").is_none() {
            return Err(NoAnswer::Odd);
        }
        Ok(Value::Object(delivery).to_string().into())
    }

    fn missed_events(&self) -> Option<&'static dyn EventList> {
        Some(&CallbackEvents)
    }
}

/// A GET with an access token.
pub(super) fn get(path: &str, parts: &[&str], token: &Secret) -> PullRequest {
    PullRequest { headers: vec![("x-access-token", token.clone())], ..PullRequest::get(path, parts) }
}
