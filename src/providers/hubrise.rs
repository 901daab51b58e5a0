//! HubRise (API v1, "Deliveries", by its callbacks).
//!
//! A callback wraps the resource: its own `id`, `resource_type` and `event_type`, the ids of the resource and its
//! parents, `new_state` and `previous_state`. The resource alone, as the REST API answers with it, is read too.
//! HubRise takes every answer from 200 to 499 as an acknowledgement and deletes the event, so what is to come
//! again gets 503.

mod callback_events;
mod personal;
mod pull;
mod samples;

use std::time::Duration;

use serde_json::value::RawValue;

use crate::domain::answer::{Answer, RejectionKind};
use crate::domain::authentication::{AuthScheme, Authentication};
use crate::domain::document::{self, Document};
use crate::domain::extra::Extra;
use crate::domain::fingerprint::Fingerprinter;
use crate::domain::identity::Identity;
use crate::domain::order::TimeKind;
use crate::domain::provider::{Decoded, DecodedUpdate, Provider, ProviderId};
use crate::domain::pull::Pull;
use crate::domain::status::Status;
use crate::domain::transitions::Transitions;
use crate::domain::update::{Carrier, Courier, DeliveryUpdate, Eta, Money, Position, References};
use crate::domain::verdict::Poison;

/// Hex HMAC-SHA256 of the body; the key is the client's secret.
const SIGNATURE: &str = "x-hubrise-hmac-sha256";
/// The events of a delivery that have a `new_state`.
const STATE_EVENTS: [&str; 2] = ["create", "update"];
/// The ids of the delivery outside its state; older callbacks have the second.
const ENVELOPE_IDS: [&str; 2] = ["delivery_id", "resource_id"];
/// When it happened to the delivery. HubRise fills them in, and lets them be overridden.
const TIMES: [&str; 4] = ["assigned_at", "pickup_at", "delivered_at", "cancelled_at"];
const COORDINATES: [&str; 2] = ["driver_latitude", "driver_longitude"];
/// When the courier is expected.
const ESTIMATES: [&str; 2] = ["estimated_pickup_at", "estimated_dropoff_at"];

/// HubRise.
pub struct HubRise;

/// HubRise, for the table of providers.
pub static HUBRISE: HubRise = HubRise;

/// No table is published, and steps may be left out: the Uber Eats bridge never says `*_approaching`.
static TRANSITIONS: Transitions = Transitions {
    table: &[],
    steps: &[
        Status::Created,
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

impl Provider for HubRise {
    fn id(&self) -> ProviderId {
        ProviderId::new("hubrise")
    }

    fn authentication(&self) -> &'static [Authentication] {
        &[Authentication::Hmac { header: SIGNATURE }]
    }

    /// Its waits double from 1 minute to 32, and its document leaves open whether that one is still waited: 31 or
    /// 63 minutes in all.
    fn resend_horizon(&self) -> Duration {
        Duration::from_hours(2)
    }

    /// The shorter of the two that its document says.
    fn gives_up_after(&self) -> Duration {
        Duration::from_mins(31)
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
            let sent = serde_json::from_slice(document::without_mark(body)).ok();
            HubriseFields { state: top, sent, prefix: "", envelope: Document::default() }
        } else {
            let [resource, event] = ["resource_type", "event_type"].map(|name| text(&top, name));
            let is_other = |said: &str, ours: &[&str]| !said.is_empty() && !ours.contains(&said);
            if is_other(&resource, &["delivery"]) || is_other(&event, &STATE_EVENTS) {
                return Ok(Decoded::Ignored);
            }
            // The state does not tell: an order, too, has an id and a status.
            if resource.is_empty() {
                return Err(Poison::missing("resource_type"));
            }
            let sent = top.peek("new_state");
            let state = top.object("new_state")?.ok_or(Poison::missing("new_state"))?;
            HubriseFields { state, sent, prefix: "new_state.", envelope: top }
        };
        fields.into_update().map(Decoded::from)
    }

    fn pull(&self) -> Option<&'static dyn Pull> {
        Some(&pull::HubRisePull)
    }

    fn address(&self, update: &DeliveryUpdate) -> Option<String> {
        pull::address(update)
    }

    fn transitions(&self) -> &'static Transitions {
        &TRANSITIONS
    }
}

/// Whether this is the delivery itself, and no callback about it.
fn is_resource(top: &Document<'_>) -> bool {
    ["resource_type", "event_type", "new_state"].iter().all(|name| top.peek(name).is_none())
}

/// A field's text without taking it; empty when there is none.
fn text(fields: &Document<'_>, name: &str) -> String {
    fields.peek(name).and_then(document::text).unwrap_or_default()
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
struct HubriseFields<'a> {
    state: Document<'a>,
    /// The state as it was sent.
    sent: Option<&'a RawValue>,
    /// Where the state is in the body.
    prefix: &'static str,
    envelope: Document<'a>,
}

impl HubriseFields<'_> {
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
        let identity = Identity { provider_event_id, fingerprint };
        Ok(DecodedUpdate { identity, update, time_kind: TimeKind::Change, leg: None, unreadable_fields })
    }

    /// Takes the delivery's id, from its state or else from beside it. The others stay in `extra`, and must not say
    /// another.
    fn delivery_id(&mut self) -> Result<String, Poison> {
        let mut id = self.state.delivery_id("id")?;
        for name in ENVELOPE_IDS {
            if id.is_none() {
                id = self.envelope.delivery_id(name)?;
            }
        }
        let id = id.ok_or(Poison::missing("the delivery's id"))?;
        let others = ENVELOPE_IDS.map(|name| text(&self.envelope, name));
        if others.iter().any(|other| !other.is_empty() && *other != id) {
            return Err(Poison::contradiction("`new_state` and the ids beside it disagree"));
        }
        Ok(id)
    }
}

/// Takes both coordinates or neither: half a position, or one that is not on Earth, stays for `extra`.
fn position(state: &mut Document<'_>) -> Option<Position> {
    let coordinate = |name| state.peek(name).and_then(document::decimal);
    let [latitude, longitude] = COORDINATES.map(coordinate);
    let position =
        latitude.zip(longitude).and_then(|(latitude, longitude)| Position::new(latitude, longitude));
    for name in COORDINATES {
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
