//! Deliverect ("Courier Status Update").
//!
//! It sends neither an event's id nor an event's time: its content, and when it came, are all there is to tell
//! events apart. Coordinates come longitude first, nested as GeoJSON nests them, or flat and by name.

mod samples;

use std::time::Duration;

use jiff::tz::Offset;
use serde_json::value::RawValue;

use crate::domain::answer::{Answer, RejectionKind};
use crate::domain::authentication::{AuthScheme, Authentication};
use crate::domain::document::{self, Document};
use crate::domain::extra::Extra;
use crate::domain::fingerprint::Fingerprinter;
use crate::domain::identity::Identity;
use crate::domain::order::TimeKind;
use crate::domain::provider::{Decoded, DecodedUpdate, Provider, ProviderId};
use crate::domain::status::Status;
use crate::domain::transitions::Transitions;
use crate::domain::update::{Carrier, Courier, DeliveryUpdate, Eta, Position, References};
use crate::domain::verdict::Poison;

/// Hex HMAC-SHA256 of the body.
const SIGNATURE: &str = "x-server-authorization-hmac-sha256";
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

    fn authentication(&self) -> &'static [Authentication] {
        &[Authentication::Hmac { header: SIGNATURE }, Authentication::Bearer]
    }

    /// Its document has an answer for a bad request.
    fn refuses_other_than_objects(&self) -> bool {
        true
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
        // It says none.
        time_kind: TimeKind::Change,
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
