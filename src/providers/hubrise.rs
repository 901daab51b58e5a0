//! HubRise (API v1, "Deliveries", by its callbacks).
//!
//! A callback wraps the resource: its own `id`, `resource_type` and `event_type`, the ids of the resource and its
//! parents, `new_state` and `previous_state`. The resource alone, as the REST API answers with it, is read too.
//! HubRise takes every answer from 200 to 499 as an acknowledgement and deletes the event, so whatever is to come
//! again gets 503.

use std::time::Duration;

use bytes::Bytes;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{own_digest, samples};
use crate::domain::answer::{Answer, Rejection, RejectionKind};
use crate::domain::decimal::Decimal;
use crate::domain::document::{self, Document, Extra};
use crate::domain::fingerprint::Fingerprinter;
use crate::domain::identity::Identity;
use crate::domain::instant;
use crate::domain::provider::{
    AuthScheme, Credentials, Decoded, DecodedUpdate, Headers, Provider, ProviderId, Sample, SignedWebhook,
    check_hmac,
};
use crate::domain::secret::Secret;
use crate::domain::status::Status;
use crate::domain::update::{Carrier, Courier, DeliveryUpdate, Eta, Money, Position, References};
use crate::domain::verdict::Poison;

/// Hex HMAC-SHA256 of the body; the key is the client's secret.
const SIGNATURE: &str = "x-hubrise-hmac-sha256";
/// The resource that this is about; an order's callbacks may come to the same address.
const DELIVERY: &str = "delivery";
/// The events of a delivery that have a `new_state`.
const STATE_EVENTS: [&str; 2] = ["create", "update"];
/// The ids of the delivery outside its state; older callbacks have the second.
const ENVELOPE_IDS: [&str; 2] = ["delivery_id", "resource_id"];
/// When it happened to the delivery. HubRise fills them in, and lets them be overridden.
const TIMES: [&str; 4] = ["assigned_at", "pickup_at", "delivered_at", "cancelled_at"];
/// When the courier is expected.
const ESTIMATES: [&str; 2] = ["estimated_pickup_at", "estimated_dropoff_at"];
/// The offset of the samples' location.
const SAMPLES_OFFSET: Offset = Offset::constant(1);

/// HubRise.
pub struct HubRise;

/// HubRise, for the table of providers.
pub static HUBRISE: HubRise = HubRise;

impl Provider for HubRise {
    fn id(&self) -> ProviderId {
        ProviderId::new("hubrise")
    }

    fn auth_schemes(&self) -> &'static [AuthScheme] {
        &[AuthScheme::Hmac]
    }

    /// Its waits double from 1 minute to 32, and its document leaves open whether that one is still waited: 31 or
    /// 63 minutes in all.
    fn resend_horizon(&self) -> Duration {
        Duration::from_hours(2)
    }

    fn authenticate(
        &self,
        headers: &dyn Headers,
        body: Bytes,
        credentials: &Credentials,
    ) -> Result<Bytes, Rejection> {
        check_hmac(headers.get(SIGNATURE), &body, credentials)?;
        Ok(body)
    }

    fn answer(&self, _scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
        match outcome {
            Ok(()) | Err(RejectionKind::NotAuthentic) => Answer::plain(outcome),
            Err(_) => Answer::plain(Err(RejectionKind::Unavailable)),
        }
    }

    fn decode(&self, body: &[u8]) -> Result<Decoded, Poison> {
        let mut top = Document::parse(body)?;
        let fields = if is_resource(&top) {
            let sent = serde_json::from_slice(body).ok();
            Fields { state: top, sent, prefix: "", envelope: Document::default() }
        } else {
            if !may_say_a_status(&top) {
                return Ok(Decoded::Ignored);
            }
            // Other resources have an id and a status as well.
            let resource = top.peek("resource_type").and_then(document::text).unwrap_or_default();
            if resource != DELIVERY {
                return Err(Poison::missing("resource_type"));
            }
            let sent = top.peek("new_state");
            let state = top.object("new_state")?.ok_or(Poison::missing("new_state"))?;
            Fields { state, sent, prefix: "new_state.", envelope: top }
        };
        fields.into_update().map(|update| Decoded::Update(Box::new(update)))
    }

    fn samples(&self) -> &'static [Sample] {
        samples!("hubrise": "pending", "pickup_enroute", "pickup_approaching", "pickup_waiting",
            "dropoff_enroute", "moved", "dropoff_approaching", "dropoff_waiting", "delivered", "cancelled")
    }

    /// Its times keep their distances: all are moved as far as the callback's own.
    fn personalize(&self, sample: &mut Value, tag: &str, number: u64, time: Timestamp) {
        let Some(callback) = sample.as_object_mut() else { return };
        let text = |name| callback.get(name).and_then(Value::as_str);
        let shift = text("created_at").and_then(read_time).map(|created_at| time.duration_since(created_at));
        // The callbacks of one delivery have ids of their own.
        let own = own_digest(&format!("{tag}/{}", text("id").unwrap_or_default()), number);
        callback.insert("id".to_owned(), hex::encode(&own[..8]).into());
        let (delivery_id, order_id) = (format!("dl{tag}-{number}"), format!("or{tag}-{number}"));
        replace(callback, &["delivery_id"], |_| Some(delivery_id.clone()));
        replace(callback, &["order_id"], |_| Some(order_id.clone()));
        replace(callback, &["created_at"], |sent| moved(sent, shift));
        for state in ["new_state", "previous_state"] {
            let Some(state) = callback.get_mut(state).and_then(Value::as_object_mut) else { continue };
            replace(state, &["id"], |_| Some(delivery_id.clone()));
            replace(state, &["order_id"], |_| Some(order_id.clone()));
            replace(state, &TIMES, |sent| moved(sent, shift));
            replace(state, &ESTIMATES, |sent| moved(sent, shift));
        }
    }

    fn sign(&self, body: Bytes, _scheme: AuthScheme, secret: &Secret) -> SignedWebhook {
        SignedWebhook { headers: vec![(SIGNATURE, hex::encode(secret.hmac_sha256(&body)))], body }
    }
}

/// Whether this is the delivery itself, and no callback about it.
fn is_resource(top: &Document<'_>) -> bool {
    ["resource_type", "event_type", "new_state"].iter().all(|name| top.peek(name).is_none())
}

/// Whether the callback is about a delivery, and has its state. What is missing or no text does not say otherwise.
fn may_say_a_status(top: &Document<'_>) -> bool {
    let text = |name| top.peek(name).and_then(document::text).unwrap_or_default();
    let (resource, event) = (text("resource_type"), text("event_type"));
    (resource.is_empty() || resource == DELIVERY)
        && (event.is_empty() || STATE_EVENTS.contains(&event.as_str()))
}

fn status(raw: &str) -> Status {
    match raw {
        "pending" => Status::Created,
        "pickup_enroute" => Status::PickupEnRoute,
        "pickup_approaching" => Status::PickupApproaching,
        "pickup_waiting" => Status::PickupArrived,
        "dropoff_enroute" => Status::DropoffEnRoute,
        "dropoff_approaching" => Status::DropoffApproaching,
        "dropoff_waiting" => Status::DropoffArrived,
        "delivered" => Status::Delivered,
        "cancelled" => Status::Cancelled,
        _ => Status::Unknown,
    }
}

/// A delivery's state, and the callback around it.
struct Fields<'a> {
    state: Document<'a>,
    /// The state as it was sent.
    sent: Option<&'a RawValue>,
    /// Where the state is in the body.
    prefix: &'static str,
    envelope: Document<'a>,
}

impl Fields<'_> {
    fn into_update(mut self) -> Result<DecodedUpdate, Poison> {
        // The delivery's ids too: a state may be without its own.
        let [id, older_id] = ENVELOPE_IDS.map(|name| self.envelope.peek(name));
        let fingerprint = Fingerprinter::new()
            .field("event_type", self.envelope.peek("event_type"))
            .field("delivery_id", id)
            .field("resource_id", older_id)
            .field("new_state", self.sent)
            .finish();
        let delivery_id = self.delivery_id()?;
        let Self { mut state, prefix, mut envelope, .. } = self;
        let raw_status = state.text("status").ok_or(Poison::missing("status"))?;
        let status = status(&raw_status);
        let provider_event_id = envelope.id("id");
        let references = References {
            order: state.text("order_id").or_else(|| envelope.text("order_id")),
            location: state.text("location_id").or_else(|| envelope.text("location_id")),
            ..References::default()
        };
        let courier = Courier {
            id: None,
            name: state.text("driver_name"),
            phone: state.text("driver_phone"),
            phone_access_code: state.text("driver_phone_access_code"),
        };
        let carrier = Carrier {
            name: state.text("carrier"),
            code: state.text("carrier_ref"),
            reference: state.text("ref"),
        };
        let [pickup_at, dropoff_at] = ESTIMATES.map(|name| state.time(name, None));
        let mut update = DeliveryUpdate {
            references: references.known(),
            event_time: envelope.time("created_at", None),
            times: TIMES.iter().filter_map(|name| Some((*name, state.time(name, None)?))).collect(),
            eta: Eta { pickup_at, dropoff_at }.known(),
            courier: courier.known(),
            carrier: carrier.known(),
            position: position(&mut state),
            fee: fee(&mut state),
            tracking_url: state.text("tracking_url"),
            provider_event_id: provider_event_id.clone(),
            ..DeliveryUpdate::new(delivery_id, status, raw_status)
        };
        let unreadable_fields = envelope.unreadable() + state.unreadable();
        let mut extra = Extra::new();
        envelope.into_extra("", &mut extra);
        state.into_extra(prefix, &mut extra);
        update.extra = extra;
        Ok(DecodedUpdate { identity: Identity { provider_event_id, fingerprint }, update, unreadable_fields })
    }

    /// Takes the delivery's id, from its state or else from beside it. The others stay in `extra`, and must not say
    /// another.
    fn delivery_id(&mut self) -> Result<String, Poison> {
        let id = self
            .state
            .id("id")
            .or_else(|| ENVELOPE_IDS.iter().find_map(|name| self.envelope.id(name)))
            .ok_or(Poison::missing("the delivery's id"))?;
        let says_another = |name: &&str| {
            let other = self.envelope.peek(name).and_then(document::text);
            other.is_some_and(|other| !other.is_empty() && other != id)
        };
        if ENVELOPE_IDS.iter().any(says_another) {
            return Err(Poison::contradiction("`new_state` and the ids beside it disagree"));
        }
        Ok(id)
    }
}

/// Takes both coordinates or neither: half a position, or one that is not on Earth, stays for `extra`.
fn position(state: &mut Document<'_>) -> Option<Position> {
    let coordinate =
        |name| state.peek(name).and_then(document::text).and_then(|text| text.parse::<Decimal>().ok());
    let [latitude, longitude] = ["driver_latitude", "driver_longitude"].map(coordinate);
    let position =
        latitude.zip(longitude).and_then(|(latitude, longitude)| Position::new(latitude, longitude));
    for name in ["driver_latitude", "driver_longitude"] {
        state.read(name, |raw| (position.is_some() || raw.get() == "\"\"").then_some(()));
    }
    position
}

/// Takes the fee; an empty text is none.
fn fee(state: &mut Document<'_>) -> Option<Money> {
    let read = |raw| match document::text(raw)?.as_str() {
        "" => Some(None),
        text => money(text).map(Some),
    };
    state.read("fee", read).flatten()
}

/// Reads "4.50 EUR".
fn money(text: &str) -> Option<Money> {
    let (amount, currency) = text.split_once(' ')?;
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    Some(Money { amount: amount.parse().ok()?, currency: currency.to_owned() })
}

fn read_time(text: &str) -> Option<Timestamp> {
    instant::from_text(text, None)
}

/// The same text `shift` later, to the second as HubRise writes it.
fn moved(sent: &str, shift: Option<SignedDuration>) -> Option<String> {
    let time = read_time(sent)?.checked_add(shift?).ok()?;
    Some(DateTimePrinter::new().precision(Some(0)).timestamp_with_offset_to_string(&time, SAMPLES_OFFSET))
}

/// Replaces the texts among the fields `names`; a `null` stays one.
fn replace(fields: &mut Map<String, Value>, names: &[&str], with: impl Fn(&str) -> Option<String>) {
    for name in names {
        let Some(Value::String(text)) = fields.get_mut(*name) else { continue };
        if let Some(new) = with(text) {
            *text = new;
        }
    }
}
