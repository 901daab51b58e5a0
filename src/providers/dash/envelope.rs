//! Dash's one envelope, field by field.
//!
//! All of it but the delivery's id and its status is optional here, although Dash says "always" of most: a part that
//! cannot be read never costs the update.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::content;
use crate::domain::document::{self, Document};
use crate::domain::extra::Extra;
use crate::domain::identity::Identity;
use crate::domain::order::TimeKind;
use crate::domain::provider::DecodedUpdate;
use crate::domain::status::{Phase, Status};
use crate::domain::update::{
    Contact, Courier, DeliveryUpdate, Money, Package, Place, Position, Proof, Reason, References,
};
use crate::domain::verdict::Poison;

/// The times that tell one event from another, the envelope's own first.
pub(super) const TIMES: [&str; 5] = ["updatedAt", "pickupAt", "completedAt", "failedAt", "cancelledAt"];

const EXPRESS: &str = "express";
const LOGISTIC: &str = "logistic";

pub(super) fn decode(mut fields: Document<'_>) -> Result<DecodedUpdate, Poison> {
    // What is sent is what identifies the event, so it is looked at before anything is taken.
    let sent_times = TIMES.map(|name| fields.peek(name));
    let read_times = TIMES.map(|name| fields.time(name, None));
    let fingerprint = content::fingerprint(&fields, &read_times, &sent_times);

    let delivery_id = fields.delivery_id("deliveryID")?.ok_or(Poison::missing("deliveryID"))?;
    let raw_status = fields.text("status").ok_or(Poison::missing("status"))?;
    let mut rest = Rest::default();
    let tracking_url = fields.text("trackingURL");
    let proof = list(&mut fields, "media", &mut rest, proof);
    let express_signs = is_express(tracking_url.as_deref(), &proof);
    let status = status(&raw_status, express_signs);
    let service = service(status, express_signs);
    let mut times: BTreeMap<_, _> =
        TIMES.into_iter().zip(read_times).filter_map(|(name, time)| Some((name, time?))).collect();
    let (event_time, time_kind) = match times.remove("updatedAt") {
        Some(time) => (Some(time), TimeKind::Change),
        None => (own_time(status).and_then(|name| times.remove(name)), TimeKind::Substitute),
    };
    times.extend(fields.time("createdAt", None).map(|time| ("createdAt", time)));
    let mut courier = object(&mut fields, "courier");
    let mut sender = object(&mut fields, "sender");
    let mut recipient = object(&mut fields, "recipient");
    let mut quote = object(&mut fields, "quote");

    let update = DeliveryUpdate {
        references: References { merchant_order: fields.text("providerOrderID"), ..References::default() }
            .known(),
        // A failed LOGISTIC delivery may be sent out again by their operations.
        terminal: status.phase() == Phase::Closed && !(status == Status::Failed && service == Some(LOGISTIC)),
        service,
        event_time,
        times,
        failed_count: fields.integer("failedCount"),
        courier: Courier { name: courier.text("name"), phone: courier.text("phone"), ..Courier::default() }
            .known(),
        reason: reason(&mut fields, status).known(),
        recipient_name: recipient.text("actualRecipientName"),
        sender: contact(&mut sender).known(),
        recipient: contact(&mut recipient).known(),
        origin: place(&mut fields, "origin", &mut rest).known(),
        destination: place(&mut fields, "destination", &mut rest).known(),
        packages: list(&mut fields, "packages", &mut rest, package),
        weight_kg: fields.decimal("weight"),
        fee: quote.decimal("amount").map(|amount| Money { amount, currency: "IDR".to_owned() }),
        proof,
        tracking_url,
        ..DeliveryUpdate::new(delivery_id, status, raw_status)
    };
    for (prefix, object) in [
        ("courier.", courier),
        ("sender.", sender),
        ("recipient.", recipient),
        ("quote.", quote),
        ("", fields),
    ] {
        rest.add(prefix, object);
    }
    let identity = Identity { provider_event_id: None, fingerprint };
    let update = DeliveryUpdate { extra: rest.extra, ..update };
    Ok(DecodedUpdate { identity, update, time_kind, leg: None, unreadable_fields: rest.unreadable })
}

/// `PENDING_DELIVERY` is two things: EXPRESS has picked the package up, LOGISTIC has it in a warehouse.
fn status(raw: &str, express: bool) -> Status {
    match raw {
        "QUEUEING" => Status::Scheduled,
        "PREPARING" => Status::Preparing,
        "VERIFIED" => Status::Verified,
        "NOT_VERIFIED" => Status::OnHold,
        "ALLOCATING" => Status::Allocating,
        "PENDING_PICKUP" => Status::Assigned,
        "PICKING_UP" => Status::PickupEnRoute,
        "PENDING_DELIVERY" if express => Status::PickedUp,
        "PENDING_DELIVERY" => Status::StagedForDelivery,
        "IN_DELIVERY" => Status::DropoffEnRoute,
        "COMPLETED" => Status::Delivered,
        "FAILED" => Status::Failed,
        "CANCELLED" => Status::Cancelled,
        _ => Status::Unknown,
    }
}

/// No field says which service it is. LOGISTIC has neither of these, ever.
fn is_express(tracking_url: Option<&str>, proof: &[Proof]) -> bool {
    tracking_url.is_some() || proof.iter().any(|proof| proof.kind.as_deref() == Some("PICKUP_PROOF"))
}

/// Which service carries it, told from this payload alone, since no field says: by its status where only one has that,
/// else by what only EXPRESS has.
fn service(status: Status, express_signs: bool) -> Option<&'static str> {
    match status {
        Status::Scheduled
        | Status::Allocating
        | Status::Assigned
        | Status::PickupEnRoute
        | Status::Cancelled => Some(EXPRESS),
        Status::Preparing | Status::Verified | Status::OnHold => Some(LOGISTIC),
        Status::Unknown => None,
        _ if express_signs => Some(EXPRESS),
        _ => Some(LOGISTIC),
    }
}

/// When the status itself came about: Dash leaves `updatedAt` out where there is such a time.
fn own_time(status: Status) -> Option<&'static str> {
    match status {
        Status::PickedUp | Status::StagedForDelivery | Status::DropoffEnRoute => Some("pickupAt"),
        Status::Delivered => Some("completedAt"),
        Status::Failed => Some("failedAt"),
        Status::Cancelled => Some("cancelledAt"),
        _ => None,
    }
}

/// The reason of the status. With both there, the other one stays in `extra`.
fn reason(fields: &mut Document<'_>, status: Status) -> Reason {
    let (own, other) = match status {
        Status::Cancelled => ("cancelledReason", "failedReason"),
        _ => ("failedReason", "cancelledReason"),
    };
    let text = fields.text(own);
    let two = text.is_some() && fields.peek(other).is_some_and(|raw| raw.get() != "null");
    let text = if two { text } else { fields.text(other).or(text) };
    Reason { text, ..Reason::default() }
}

fn contact(fields: &mut Document<'_>) -> Contact {
    Contact {
        first_name: fields.text("firstName"),
        last_name: fields.text("lastName"),
        company: fields.text("companyName"),
        email: fields.text("email"),
        phone: fields.text("phone"),
    }
}

fn place(fields: &mut Document<'_>, name: &str, rest: &mut Rest) -> Place {
    let mut place = object(fields, name);
    let mut coordinates = object(&mut place, "coordinates");
    let position = position(&mut coordinates);
    let address = place.text("address");
    rest.add(&format!("{name}.coordinates."), coordinates);
    rest.add(&format!("{name}."), place);
    Place { address, position }
}

/// Takes both coordinates or, where they are no place on Earth, neither.
fn position(fields: &mut Document<'_>) -> Option<Position> {
    let names = ["latitude", "longitude"];
    let [latitude, longitude] = names.map(|name| fields.peek(name).and_then(document::decimal));
    let position =
        latitude.zip(longitude).and_then(|(latitude, longitude)| Position::new(latitude, longitude));
    for name in names {
        fields.read(name, |_| position.as_ref().map(|_| ()));
    }
    position
}

fn package(fields: &mut Document<'_>) -> Package {
    Package {
        name: fields.text("name"),
        description: fields.text("description"),
        quantity: fields.decimal("quantity"),
        price: fields.decimal("price"),
        weight_kg: fields.decimal("weight"),
        width: fields.decimal("width"),
        length: fields.decimal("length"),
        height: fields.decimal("height"),
    }
}

fn proof(fields: &mut Document<'_>) -> Proof {
    Proof { url: fields.text("url"), kind: fields.text("type"), created_at: fields.time("createdAt", None) }
}

/// What the model has no place for, of the whole envelope.
#[derive(Default)]
struct Rest {
    extra: Extra,
    unreadable: u32,
}

impl Rest {
    fn add(&mut self, prefix: &str, left_over: Document<'_>) {
        self.unreadable += left_over.unreadable();
        left_over.into_extra(prefix, &mut self.extra);
    }
}

/// Takes a nested object; one that is missing or unreadable is empty.
fn object<'a>(fields: &mut Document<'a>, name: &str) -> Document<'a> {
    fields.object(name).ok().flatten().unwrap_or_default()
}

/// Takes a list of objects. Each keeps its place, even one that is no object and so is empty here: `packages.1.colour`
/// in `extra` is about the second package.
fn list<'a, T: Default>(
    fields: &mut Document<'a>,
    name: &str,
    rest: &mut Rest,
    read: fn(&mut Document<'a>) -> T,
) -> Vec<T> {
    let items = fields.read(name, |raw| serde_json::from_str::<Vec<&'a RawValue>>(raw.get()).ok());
    let item = |(at, raw): (usize, &'a RawValue)| {
        let path = format!("{name}.{at}");
        let Ok(mut object) = Document::parse(raw.get().as_bytes()) else {
            if raw.get() != "null" {
                rest.unreadable += 1;
                rest.extra.insert(path, raw);
            }
            return T::default();
        };
        let value = read(&mut object);
        rest.add(&format!("{path}."), object);
        value
    };
    items.unwrap_or_default().into_iter().enumerate().map(item).collect()
}
