//! Deliverect ("Courier Status Update").
//!
//! It sends neither an event's id nor an event's time: its content, and when it came, are all there is to tell
//! events apart. Coordinates come longitude first, nested as GeoJSON nests them, or flat and by name.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{delivery_digest, journeys, moved, samples};
use crate::domain::answer::{Answer, Rejection, RejectionKind};
use crate::domain::document::{self, Document};
use crate::domain::extra::Extra;
use crate::domain::fingerprint::Fingerprinter;
use crate::domain::identity::Identity;
use crate::domain::journey::{Journey, Personal, Sample};
use crate::domain::provider::{
    AuthScheme, Credentials, Decoded, DecodedUpdate, Headers, Provider, ProviderId, SignedWebhook, Signing,
    check_hmac, check_secret,
};
use crate::domain::status::Status;
use crate::domain::transitions::Transitions;
use crate::domain::update::{Carrier, Courier, DeliveryUpdate, Eta, Position, References};
use crate::domain::verdict::Poison;

/// Hex HMAC-SHA256 of the body.
const SIGNATURE: &str = "x-server-authorization-hmac-sha256";
const AUTHORIZATION: &str = "authorization";
/// 2023-09-25T08:10:00Z: before the first estimate of the samples, which tell one delivery.
const SAMPLES_BEGIN: Timestamp = Timestamp::constant(1_695_629_400, 0);

/// Deliverect.
pub struct Deliverect;

/// Deliverect, for the table of providers.
pub static DELIVERECT: Deliverect = Deliverect;

impl Provider for Deliverect {
    fn id(&self) -> ProviderId {
        ProviderId::new("deliverect")
    }

    fn documented_path(&self) -> Option<&'static str> {
        Some("/channel/courier_update")
    }

    fn auth_schemes(&self) -> &'static [AuthScheme] {
        &[AuthScheme::Hmac, AuthScheme::Bearer]
    }

    /// Its retries are not documented. A courier swapped away and back within a minute is less likely than a
    /// resend.
    fn resend_horizon(&self) -> Duration {
        Duration::from_mins(1)
    }

    /// Its retries are not documented, and a kindred hook of theirs is tried once.
    fn gives_up_after(&self) -> Duration {
        Duration::ZERO
    }

    fn authenticate(
        &self,
        headers: &dyn Headers,
        body: Bytes,
        credentials: &Credentials,
    ) -> Result<Bytes, Rejection> {
        if credentials.scheme == AuthScheme::Bearer {
            check_secret(headers.get(AUTHORIZATION).and_then(bearer_token), credentials)?;
        } else {
            check_hmac(headers.get(SIGNATURE), &body, credentials)?;
        }
        // Its document has an answer for a bad request, so what could never be read is refused, not stored.
        if document::entries(&body).is_none() {
            return Err(Rejection::NotAnObject);
        }
        Ok(body)
    }

    fn answer(&self, _scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
        match outcome {
            Ok(()) => Answer::text(200, "OK"),
            refused => Answer::plain(refused),
        }
    }

    fn decode(&self, body: &[u8]) -> Result<Decoded, Poison> {
        decode(Document::parse(body)?).map(Decoded::from)
    }

    fn transitions(&self) -> &'static Transitions {
        &TRANSITIONS
    }

    fn samples(&self) -> &'static [Sample] {
        samples!("deliverect": "delivery_created", "in_delivery", "en_route_to_pickup", "almost_at_pickup",
            "arrived_at_pickup", "en_route_to_dropoff", "courier_moved", "multiple_drivers",
            "arrived_at_dropoff", "delivered", "delivery_canceled")
    }

    fn journeys(&self) -> &'static [Journey] {
        journeys! {
            "delivered": ["delivery_created", "in_delivery", "en_route_to_pickup", "almost_at_pickup",
                "arrived_at_pickup", "en_route_to_dropoff", "courier_moved", "arrived_at_dropoff", "delivered"],
            "two_couriers": ["delivery_created", "in_delivery", "en_route_to_pickup", "arrived_at_pickup",
                "en_route_to_dropoff", "multiple_drivers", "courier_moved", "arrived_at_dropoff", "delivered"],
            "cancelled": ["delivery_created", "in_delivery", "en_route_to_pickup", "delivery_canceled"],
        }
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        let Some(fields) = sample.as_object_mut() else { return };
        let printer = DateTimePrinter::new().precision(Some(6));
        for name in ["pickupTime", "deliveryTime"] {
            let Some(Value::String(estimate)) = fields.get_mut(name) else { continue };
            if let Some(time) = moved(estimate, SAMPLES_BEGIN, personal.begun) {
                *estimate = printer.timestamp_to_string(&time);
            }
        }
        if let Some(channel_order) = fields.get_mut("channelOrderId") {
            *channel_order = format!("{}-{}", personal.tag, personal.number).into();
        }
        // 24 hex digits, as its order ids are.
        let order_id = hex::encode(&delivery_digest(personal)[..12]);
        fields.insert("orderId".to_owned(), order_id.into());
    }

    fn sign(&self, body: Bytes, signing: &Signing<'_>) -> SignedWebhook {
        let (name, value) = if signing.scheme == AuthScheme::Bearer {
            (AUTHORIZATION, format!("Bearer {}", String::from_utf8_lossy(signing.secret.expose())))
        } else {
            (SIGNATURE, hex::encode(signing.secret.hmac_sha256(&body)))
        };
        SignedWebhook { headers: vec![(name.to_owned(), value)], body }
    }
}

/// No table is published, and skips are normal. A cancellation (115) ends a courier's job and not the delivery, which
/// may be given to another.
static TRANSITIONS: Transitions = Transitions {
    table: &[(Status::Cancelled, &[Status::Created, Status::Assigned, Status::PickupEnRoute])],
    steps: &[
        Status::Created,
        Status::Assigned,
        Status::PickupEnRoute,
        Status::PickupApproaching,
        Status::PickupArrived,
        Status::DropoffEnRoute,
        Status::DropoffApproaching,
        Status::DropoffArrived,
        Status::Delivered,
    ],
    ends: &[Status::Cancelled],
};

/// The token of a `Bearer` header; another scheme presents none.
fn bearer_token(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn status(raw: &str) -> Status {
    match raw {
        "80" => Status::Assigned,
        "81" => Status::Created,
        "83" => Status::PickupEnRoute,
        "84" => Status::PickupApproaching,
        "85" => Status::PickupArrived,
        "87" => Status::DropoffEnRoute,
        // Not in its list; the counterpart of 84.
        "88" => Status::DropoffApproaching,
        "89" => Status::DropoffArrived,
        "90" => Status::Delivered,
        "115" => Status::Cancelled,
        _ => Status::Unknown,
    }
}

fn decode(mut fields: Document<'_>) -> Result<DecodedUpdate, Poison> {
    let [pickup, dropoff] = ["pickupTime", "deliveryTime"].map(|name| fields.peek(name));
    let pickup_at = fields.time("pickupTime", Some(Offset::UTC));
    let dropoff_at = fields.time("deliveryTime", Some(Offset::UTC));
    let fingerprint = Fingerprinter::new()
        .field("orderId", fields.peek("orderId"))
        .field("channelOrderId", fields.peek("channelOrderId"))
        .field("status", fields.peek("status"))
        .time("pickupTime", pickup_at.as_ref(), pickup)
        .time("deliveryTime", dropoff_at.as_ref(), dropoff)
        .field("courierId", fields.peek("courierId"))
        .field("courierName", fields.peek("courierName"))
        .field("coordinates", fields.peek("coordinates"))
        .field("dispatchPartner", fields.peek("dispatchPartner"))
        .field("multipleDrivers", fields.peek("multipleDrivers"))
        .field("trackingURL", fields.peek("trackingURL"))
        .finish();

    let delivery_id = fields.delivery_id("orderId")?.ok_or(Poison::missing("orderId"))?;
    let raw_status = fields.text("status").ok_or(Poison::missing("status"))?;
    let references = References { merchant_order: fields.text("channelOrderId"), ..References::default() };
    let courier =
        Courier { id: fields.text("courierId"), name: fields.text("courierName"), ..Courier::default() };
    let carrier = Carrier { name: fields.text("dispatchPartner"), ..Carrier::default() };
    let tracking_url = fields.text("trackingURL");
    let several_couriers = fields.boolean("multipleDrivers");
    let (position, beside) = fields.read("coordinates", |raw| position("coordinates", raw)).unzip();

    let status = status(&raw_status);
    // Each of several couriers has a course of its own.
    let several = several_couriers == Some(true);
    let leg = courier.id.clone().or_else(|| courier.name.clone()).filter(|_| several);
    let unreadable_fields = fields.unreadable();
    let mut extra = beside.unwrap_or_default();
    fields.into_extra("", &mut extra);
    let update = DeliveryUpdate {
        references: references.known(),
        eta: Eta { pickup_at, dropoff_at }.known(),
        // One of several couriers is done, or this one is replaced: only one who carries it alone ends it.
        terminal: status == Status::Delivered && !several,
        courier: courier.known(),
        several_couriers,
        carrier: carrier.known(),
        position,
        tracking_url,
        extra,
        ..DeliveryUpdate::new(delivery_id, status, raw_status)
    };
    Ok(DecodedUpdate {
        identity: Identity { provider_event_id: None, fingerprint },
        update,
        leg,
        unreadable_fields,
    })
}

/// Reads the value at `path`: `[longitude, latitude]`, an object with such `coordinates`, however often nested, or
/// an object that names both. Returns what else was in it, too. One doubt, and the whole value stays unread.
fn position(path: &str, raw: &RawValue) -> Option<(Position, Extra)> {
    if raw.get().starts_with('[') {
        let [longitude, latitude] = serde_json::from_str::<[&RawValue; 2]>(raw.get()).ok()?;
        let position = Position::new(document::decimal(latitude)?, document::decimal(longitude)?)?;
        return Some((position, Extra::new()));
    }
    let mut fields = Document::parse(raw.get().as_bytes()).ok()?;
    let nested = fields.read("coordinates", |raw| position(&format!("{path}.coordinates"), raw));
    let (position, mut beside) = nested.or_else(|| Some((flat(&mut fields)?, Extra::new())))?;
    if fields.unreadable() > 0 {
        return None;
    }
    fields.into_extra(&format!("{path}."), &mut beside);
    Some((position, beside))
}

fn flat(fields: &mut Document<'_>) -> Option<Position> {
    let mut either = |long: &str, short: &str| fields.decimal(long).or_else(|| fields.decimal(short));
    Position::new(either("latitude", "lat")?, either("longitude", "lng")?)
}
