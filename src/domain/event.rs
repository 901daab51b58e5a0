//! The published event: CloudEvents 1.0, JSON format, one for each update.

use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::identity::{DeliveryKey, EventId, Origin};
use super::order::is_believed;
use super::state::Course;
use super::update::DeliveryUpdate;

/// `content_type` of every published event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// CloudEvents `type` of every published event. A change that old readers cannot read gets another.
pub const EVENT_TYPE: &str = "com.milepost.delivery.updated.v1";
/// CloudEvents `dataschema`: names the shape of `data`.
pub const DATA_SCHEMA: &str = "urn:milepost:schema:delivery-update:v1";

/// What most events fit in.
const USUAL_BYTES: usize = 2048;

/// An update, ready to be published: the same bytes whenever the same event is published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateEvent {
    /// CloudEvents `id`, for subscribers to be idempotent by.
    pub id: EventId,
    /// `<provider>.<account>.<phase>.<status>`.
    pub routing_key: String,
    /// CloudEvents `time`: the provider's event time if it can be right, or else the receipt.
    pub time: Timestamp,
    /// The JSON.
    pub body: Bytes,
}

/// The JSON of one event.
#[derive(Serialize, JsonSchema)]
pub struct CloudEvent<'a> {
    /// The version of CloudEvents.
    #[schemars(extend("const" = "1.0"))]
    specversion: &'static str,
    /// What to be idempotent by: the same whenever the same event is published again. Opaque.
    id: &'a str,
    /// Whose delivery: `/milepost/<provider>/<account>`.
    source: String,
    /// The contract's version: another one is another contract.
    #[schemars(extend("const" = EVENT_TYPE))]
    r#type: &'static str,
    /// The provider's id of the delivery, as in `data`.
    subject: &'a str,
    /// The provider's event time if it said one that can be right, else the receipt.
    time: Timestamp,
    /// What `data` is.
    #[schemars(extend("const" = "application/json"))]
    datacontenttype: &'static str,
    /// Names the shape of `data`.
    #[schemars(extend("const" = DATA_SCHEMA))]
    dataschema: &'static str,
    /// W3C trace context of the webhook's receipt, if that was traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    /// The update.
    data: Data<'a>,
}

/// A delivery update, with what its delivery's course and its receipt add to it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeliveryUpdate")]
pub struct Data<'a> {
    /// The provider's short name.
    provider: &'static str,
    /// The merchant's account with the provider, as configured; `default` if none is named.
    account: &'a str,
    #[serde(flatten)]
    update: &'a DeliveryUpdate,
    #[serde(flatten)]
    course: &'a Course,
    /// Names the webhook in Milepost's logs. A UUID of version 7 if the provider sent it, of version 8 if
    /// Milepost asked the provider for the delivery's state.
    #[schemars(extend("format" = "uuid"))]
    receipt_id: String,
    /// When the webhook was first received.
    received_at: Timestamp,
}

impl UpdateEvent {
    /// Encodes `update` as the event `id` of `delivery`, first received as `origin`.
    #[must_use]
    pub fn new(
        delivery: &DeliveryKey,
        id: EventId,
        origin: &Origin,
        update: &DeliveryUpdate,
        course: &Course,
    ) -> Self {
        let (provider, account) = (delivery.provider.as_str(), delivery.account.as_str());
        let (phase, status) = (update.phase.as_str(), update.status.as_str());
        let received_at = origin.receipt.received_at();
        let time = update
            .event_time
            .as_ref()
            .filter(|time| is_believed(time.utc, received_at))
            .map_or(received_at, |time| time.utc);
        let event = CloudEvent {
            specversion: "1.0",
            id: id.as_str(),
            source: format!("/milepost/{provider}/{account}"),
            r#type: EVENT_TYPE,
            subject: &update.delivery_id,
            time,
            datacontenttype: "application/json",
            dataschema: DATA_SCHEMA,
            traceparent: origin.traceparent.as_deref(),
            data: Data {
                provider,
                account,
                update,
                course,
                receipt_id: origin.receipt.to_string(),
                received_at,
            },
        };
        let mut body = Vec::with_capacity(USUAL_BYTES);
        // Unwrap safety: every map key is a string and nothing in it can fail to serialize.
        serde_json::to_writer(&mut body, &event).expect("an event is plain JSON");
        let routing_key = format!("{provider}.{account}.{phase}.{status}");
        Self { routing_key, id, time, body: body.into() }
    }
}
