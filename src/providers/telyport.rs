//! Telyport (API v2, "Webhooks").
//!
//! Its document contradicts itself, so this file takes either side: the order's fields are inside `data` (its
//! examples) or beside it (its schema), and times are milliseconds, seconds or ISO text.

mod pull;
mod samples;
mod timeline;

use std::time::Duration;

use serde_json::value::RawValue;

use crate::domain::authentication::Authentication;
use crate::domain::document::{self, Document};
use crate::domain::extra::Extra;
use crate::domain::fingerprint::Fingerprinter;
use crate::domain::identity::Identity;
use crate::domain::order::TimeKind;
use crate::domain::provider::{Decoded, DecodedUpdate, Provider, ProviderId};
use crate::domain::pull::Pull;
use crate::domain::status::Status;
use crate::domain::transitions::Transitions;
use crate::domain::update::{Courier, DeliveryUpdate, Reason, References};
use crate::domain::verdict::Poison;

/// Hex HMAC-SHA256 of the body, as Telyport's document has it.
const SIGNATURE: &str = "x-telyport-signature";
/// The events that say a delivery's status. "More events will be added in the future."
const STATUS_EVENTS: [&str; 2] = ["ORDER.CREATED", "ORDER.STATUS_UPDATED"];

pub struct Telyport;

/// Telyport, for the table of providers.
pub static TELYPORT: Telyport = Telyport;

impl Provider for Telyport {
    fn id(&self) -> ProviderId {
        ProviderId::new("telyport")
    }

    fn authentication(&self) -> &'static [Authentication] {
        &[Authentication::Hmac { header: SIGNATURE }]
    }

    /// Its waits grow "exponentially until" 35 minutes. Doubled from a second they add up to less than this.
    fn resend_horizon(&self) -> Duration {
        Duration::from_hours(2)
    }

    /// Its waits grow "exponentially until" 35 minutes; from what, and how steeply, is not documented. Doubled from a
    /// second: 1 + 2 + … + 2048 s. After that an operator has to send it again from its console.
    fn gives_up_after(&self) -> Duration {
        Duration::from_secs(4095)
    }

    fn decode(&self, body: &[u8]) -> Result<Decoded, Poison> {
        let mut top = Document::parse(body)?;
        if !may_say_a_status(&top) {
            return Ok(Decoded::Ignored);
        }
        let data = top.object("data")?.unwrap_or_default();
        TelyportFields { data, top }.into_update().map(Decoded::from)
    }

    fn pull(&self) -> Option<&'static dyn Pull> {
        Some(&pull::TelyportPull)
    }

    fn transitions(&self) -> &'static Transitions {
        &TRANSITIONS
    }
}

/// Its order table and its webhook table differ: this is both. Beside them: a delivery that is refused at the door
/// returns or goes to a warehouse, which its reasons for a return and its timeline imply.
static TRANSITIONS: Transitions = Transitions {
    table: &[
        (Status::Created, &[Status::Assigned, Status::Cancelled]),
        // Back to created: the courier is unassigned.
        (Status::Assigned, &[Status::PickupArrived, Status::PickedUp, Status::Cancelled, Status::Created]),
        (Status::PickupArrived, &[Status::PickedUp, Status::Cancelled]),
        (Status::PickedUp, &[Status::HubArrived, Status::DropoffArrived, Status::Delivered]),
        (Status::PickedUp, BACK),
        (Status::HubArrived, &[Status::HubDeparted]),
        (Status::HubArrived, BACK),
        (Status::HubDeparted, &[Status::DropoffArrived, Status::Delivered]),
        (Status::HubDeparted, BACK),
        (Status::DropoffArrived, &[Status::Delivered, Status::ReturnInitiated, Status::HubArrived]),
        (Status::ReturnInitiated, &[Status::Returned]),
    ],
    steps: &[],
    ends: &[],
};
const BACK: &[Status] = &[Status::ReturnInitiated, Status::Returned];

/// Whether the event is one of [`STATUS_EVENTS`]. Where it is missing or no text, the fields decide: an order's id
/// and status are an update all the same.
fn may_say_a_status(top: &Document<'_>) -> bool {
    let event = top.peek("event").and_then(document::text).unwrap_or_default();
    event.is_empty() || STATUS_EVENTS.contains(&event.as_str())
}

fn status(raw: &str) -> Status {
    match raw {
        "NEW" => Status::Created,
        "STARTED" => Status::Assigned,
        "PICKUPREACHED" => Status::PickupArrived,
        "PICKUPCOMPLETED" => Status::PickedUp,
        "WH_DROP" => Status::HubArrived,
        "WH_PICK" => Status::HubDeparted,
        "DROPREACHED" => Status::DropoffArrived,
        "DROPCOMPLETED" => Status::Delivered,
        "RETURN_INITIATED" => Status::ReturnInitiated,
        "RETURNED" => Status::Returned,
        "CANCELLED" => Status::Cancelled,
        _ => Status::Unknown,
    }
}

/// The order's fields, in `data` or else beside it.
struct TelyportFields<'a> {
    data: Document<'a>,
    top: Document<'a>,
}

impl<'a> TelyportFields<'a> {
    fn into_update(mut self) -> Result<DecodedUpdate, Poison> {
        // What is sent is what identifies the event, so it is looked at before anything is taken.
        let event = self.top.peek("event");
        let [order, state, updated, properties] =
            ["orderID", "status", "updatedAt", "additionalProperties"].map(|name| self.peek(name));

        let delivery_id = self.required("orderID", Document::delivery_id)?;
        let raw_status = self.required("status", |fields, name| Ok(fields.text(name)))?;
        let updated_at = self.either(|fields| fields.time("updatedAt", None));
        // The envelope's `timestamp` is not part of it: it may well be the time of the sending.
        let fingerprint = Fingerprinter::new()
            .field("event", event)
            .field("orderID", order)
            .field("status", state)
            .time("updatedAt", updated_at.as_ref(), updated)
            .field("additionalProperties", properties)
            .finish();
        let provider_event_id = self.top.id("webhookEventID");
        let timestamp = self.top.time("timestamp", None);
        let (event_time, other_time, time_kind) = match updated_at {
            Some(_) => (updated_at, timestamp, TimeKind::Change),
            None => (timestamp, None, TimeKind::Substitute),
        };
        let references = References {
            merchant_order: self.either(|fields| fields.text("businessOrderID")),
            merchant_reference: None,
            temporary: self.either(|fields| fields.text("temporaryOrderID")),
            ..References::default()
        };
        let mut more =
            self.either(|fields| fields.object("additionalProperties").ok().flatten()).unwrap_or_default();
        let courier =
            Courier { name: more.text("agentName"), phone: more.text("agentPhone"), ..Courier::default() }
                .known();
        let reason = Reason {
            code: more.text("reasonCode"),
            text: more.text("reason"),
            comments: more.text("comments"),
        }
        .known();

        let status = status(&raw_status);
        let unreadable_fields = self.top.unreadable() + self.data.unreadable() + more.unreadable();
        let mut extra = Extra::new();
        self.top.into_extra("", &mut extra);
        self.data.into_extra("data.", &mut extra);
        more.into_extra("additionalProperties.", &mut extra);
        let update = DeliveryUpdate {
            references: references.known(),
            event_time,
            times: other_time.map(|time| ("timestamp", time)).into_iter().collect(),
            courier,
            reason,
            provider_event_id: provider_event_id.clone(),
            extra,
            ..DeliveryUpdate::new(delivery_id, status, raw_status)
        };
        let identity = Identity { provider_event_id, fingerprint };
        Ok(DecodedUpdate { identity, update, time_kind, leg: None, unreadable_fields })
    }

    /// A field as it was sent, `data` first; a `null` in `data` gives way to a value beside it.
    fn peek(&self, name: &str) -> Option<&'a RawValue> {
        let inside = self.data.peek(name);
        inside.filter(|raw| raw.get() != "null").or_else(|| self.top.peek(name)).or(inside)
    }

    /// Takes an optional field from `data`, or else from beside it. With both there, the second stays in `extra`.
    fn either<T>(&mut self, read: impl Fn(&mut Document<'a>) -> Option<T>) -> Option<T> {
        read(&mut self.data).or_else(|| read(&mut self.top))
    }

    /// Takes a field that must be there, and must not say two things.
    fn required(
        &mut self,
        name: &'static str,
        read: fn(&mut Document<'a>, &str) -> Result<Option<String>, Poison>,
    ) -> Result<String, Poison> {
        match (read(&mut self.data, name)?, read(&mut self.top, name)?) {
            (Some(inside), Some(beside)) if inside != beside => {
                Err(Poison::contradiction("`data` and the fields beside it disagree"))
            }
            (Some(value), _) | (None, Some(value)) => Ok(value),
            (None, None) => Err(Poison::missing(name)),
        }
    }
}
