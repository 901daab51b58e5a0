//! The published event: CloudEvents 1.0, JSON format, one for each update.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::identity::{DeliveryKey, EventId, Origin};
use super::state::Course;
use super::update::DeliveryUpdate;

/// `content_type` of every published event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// CloudEvents `type` of every published event. A change that old readers cannot read gets another.
pub const EVENT_TYPE: &str = "com.milepost.delivery.updated.v1";
/// CloudEvents `dataschema`: names the shape of `data`.
const DATA_SCHEMA: &str = "urn:milepost:schema:delivery-update:v1";

/// An update, ready to be published: the same bytes whenever the same event is published again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateEvent {
    /// CloudEvents `id`, for subscribers to be idempotent by.
    pub id: EventId,
    /// `<provider>.<account>.<phase>.<status>`.
    pub routing_key: String,
    /// CloudEvents `time`: the provider's event time, or else the receipt.
    pub time: Timestamp,
    /// The JSON.
    pub body: Bytes,
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: &'static str,
    subject: &'a str,
    time: Timestamp,
    datacontenttype: &'static str,
    dataschema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: Data<'a>,
}

/// The update, with what its delivery's course and its receipt add to it.
#[derive(Serialize)]
struct Data<'a> {
    provider: &'static str,
    account: &'a str,
    #[serde(flatten)]
    update: &'a DeliveryUpdate,
    #[serde(flatten)]
    course: &'a Course,
    receipt_id: String,
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
        let time = update.event_time.as_ref().map_or(origin.received_at, |time| time.utc);
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
                received_at: origin.received_at,
            },
        };
        // Unwrap safety: every map key is a string and nothing in it can fail to serialize.
        let body = serde_json::to_vec(&event).expect("an event is plain JSON").into();
        Self { routing_key: format!("{provider}.{account}.{phase}.{status}"), id, time, body }
    }
}
