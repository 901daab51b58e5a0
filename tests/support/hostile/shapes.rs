//! What the hostile bodies of a provider are made of: its least update, and where in it things are.

use milepost::domain::samples::SampleSource;
use milepost::providers::{DASH, DELIVERECT, EXPRESS_247, HUBRISE, TELYPORT};
use serde_json::{Value, json};

/// One provider's bodies. Places in them are JSON pointers.
pub struct Shape {
    pub provider: &'static dyn SampleSource,
    /// The least body that is an update.
    pub least: &'static str,
    /// The update that it is.
    pub update: fn() -> Value,
    /// The delivery's id, and what is said of a body without it.
    pub id: (&'static str, &'static str),
    pub status: &'static str,
    /// The event's id, where the provider gives any.
    pub event_id: Option<&'static str>,
    /// Whether a body that is no JSON object is refused at the door, or parked.
    pub refuses_what_is_no_object: bool,
    /// An optional text, and where in the update it goes.
    pub text: (&'static str, &'static str),
    /// Optional fields of all kinds, each with a value of a type that cannot be read.
    pub unreadable: fn() -> Vec<(&'static str, Value)>,
    /// Optional fields that may be `null`.
    pub optional: &'static [&'static str],
    /// A time, where in the update it goes, and the hours east of UTC of one without an offset.
    pub time: (&'static str, &'static str, Option<i8>),
    /// A latitude and a longitude in the body, and where in the update the position goes.
    pub place: Option<(Place, &'static str)>,
}

/// How a position is written.
#[derive(Clone, Copy)]
pub enum Place {
    /// `[longitude, latitude]`
    LongitudeFirst(&'static str),
    /// Latitude and longitude apart.
    Apart([&'static str; 2]),
}

pub static SHAPES: [Shape; 5] = [
    Shape {
        provider: &TELYPORT,
        least: r#"{"event":"ORDER.STATUS_UPDATED","data":{"orderID":"@","status":"STARTED"}}"#,
        update: || {
            json!({"delivery_id": "@", "status": "assigned", "phase": "pickup", "raw_status": "STARTED", "terminal": false,
                "extra": {"event": "ORDER.STATUS_UPDATED"}})
        },
        id: ("/data/orderID", "orderID"),
        status: "/data/status",
        event_id: Some("/webhookEventID"),
        refuses_what_is_no_object: false,
        text: ("/data/businessOrderID", "/references/merchant_order"),
        unreadable: || {
            vec![
                ("/data/updatedAt", json!(true)),
                ("/data/temporaryOrderID", json!(["T1"])),
                ("/data/additionalProperties", json!("none")),
                ("/webhookEventID", json!({"id": 1})),
                ("/timestamp", json!("yesterday")),
            ]
        },
        optional: &[
            "/data/updatedAt",
            "/data/businessOrderID",
            "/data/temporaryOrderID",
            "/data/additionalProperties",
            "/webhookEventID",
            "/timestamp",
        ],
        time: ("/data/updatedAt", "/event_time", None),
        place: None,
    },
    Shape {
        provider: &EXPRESS_247,
        least: r#"{"OrderCode":"@","Status":"25"}"#,
        update: || json!({"delivery_id": "@", "status": "dropoff_en_route", "phase": "dropoff", "raw_status": "25", "terminal": false}),
        id: ("/OrderCode", "OrderCode"),
        status: "/Status",
        event_id: Some("/TransactionId"),
        refuses_what_is_no_object: true,
        text: ("/Mailman", "/courier/name"),
        unreadable: || {
            vec![
                ("/Time", json!("noon")),
                ("/DeliveryDate", json!(0)),
                ("/Mailman", json!(["A"])),
                ("/TransactionId", json!(true)),
                ("/DelayCode", json!({"code": 7})),
                ("/ReceiverName", json!(false)),
            ]
        },
        optional: &[
            "/Time",
            "/DeliveryDate",
            "/Mailman",
            "/TransactionId",
            "/DelayCode",
            "/DelayNotes",
            "/ExternalCode",
            "/ReferenceCode",
            "/ReceiverName",
        ],
        time: ("/Time", "/event_time", Some(7)),
        place: None,
    },
    Shape {
        provider: &DELIVERECT,
        least: r#"{"orderId":"@","status":83}"#,
        update: || json!({"delivery_id": "@", "status": "pickup_en_route", "phase": "pickup", "raw_status": "83", "terminal": false}),
        id: ("/orderId", "orderId"),
        status: "/status",
        event_id: None,
        refuses_what_is_no_object: true,
        text: ("/courierName", "/courier/name"),
        unreadable: || {
            vec![
                ("/pickupTime", json!("soon")),
                ("/deliveryTime", json!([2023])),
                ("/courierId", json!(true)),
                ("/coordinates", json!("here")),
                ("/channelOrderId", json!({})),
                ("/trackingURL", json!(false)),
            ]
        },
        optional: &[
            "/pickupTime",
            "/deliveryTime",
            "/courierId",
            "/courierName",
            "/coordinates",
            "/channelOrderId",
            "/dispatchPartner",
            "/trackingURL",
        ],
        time: ("/deliveryTime", "/eta/dropoff_at", Some(0)),
        place: Some((Place::LongitudeFirst("/coordinates/coordinates"), "/position")),
    },
    Shape {
        provider: &DASH,
        least: r#"{"deliveryID":"@","status":"IN_DELIVERY"}"#,
        update: || {
            json!({"delivery_id": "@", "status": "dropoff_en_route", "phase": "dropoff",
                "raw_status": "IN_DELIVERY", "terminal": false, "service": "logistic"})
        },
        id: ("/deliveryID", "deliveryID"),
        status: "/status",
        event_id: None,
        refuses_what_is_no_object: false,
        text: ("/courier/name", "/courier/name"),
        unreadable: || {
            vec![
                ("/updatedAt", json!("soon")),
                ("/failedCount", json!("two")),
                ("/courier", json!("Agus")),
                ("/packages", json!({"name": "Helm"})),
                ("/media", json!(7)),
                ("/weight", json!(true)),
                ("/quote/amount", json!("free")),
                ("/origin/coordinates", json!([1, 2])),
            ]
        },
        optional: &[
            "/updatedAt",
            "/failedCount",
            "/courier",
            "/packages",
            "/media",
            "/weight",
            "/quote",
            "/origin",
            "/destination",
            "/sender",
            "/recipient",
            "/trackingURL",
            "/providerOrderID",
            "/failedReason",
            "/pickupAt",
        ],
        time: ("/updatedAt", "/event_time", None),
        place: Some((
            Place::Apart(["/origin/coordinates/latitude", "/origin/coordinates/longitude"]),
            "/origin/position",
        )),
    },
    Shape {
        provider: &HUBRISE,
        least: r#"{"resource_type":"delivery","event_type":"update","new_state":{"id":"@","status":"delivered"}}"#,
        update: || {
            json!({"delivery_id": "@", "status": "delivered", "phase": "closed", "raw_status": "delivered", "terminal": true,
                "extra": {"resource_type": "delivery", "event_type": "update"}})
        },
        id: ("/new_state/id", "the delivery's id"),
        status: "/new_state/status",
        event_id: Some("/id"),
        refuses_what_is_no_object: false,
        text: ("/new_state/driver_name", "/courier/name"),
        unreadable: || {
            vec![
                ("/created_at", json!("noon")),
                ("/new_state/fee", json!("free")),
                ("/new_state/assigned_at", json!(true)),
                ("/new_state/estimated_pickup_at", json!({})),
                ("/new_state/driver_name", json!(["John"])),
                ("/new_state/driver_latitude", json!("north")),
                ("/new_state/carrier", json!(false)),
            ]
        },
        optional: &[
            "/created_at",
            "/new_state/fee",
            "/new_state/assigned_at",
            "/new_state/estimated_pickup_at",
            "/new_state/driver_name",
            "/new_state/driver_phone",
            "/new_state/driver_latitude",
            "/new_state/driver_longitude",
            "/new_state/carrier",
            "/new_state/ref",
            "/new_state/tracking_url",
            "/new_state/order_id",
        ],
        time: ("/new_state/assigned_at", "/times/assigned_at", None),
        place: Some((
            Place::Apart(["/new_state/driver_latitude", "/new_state/driver_longitude"]),
            "/position",
        )),
    },
];
