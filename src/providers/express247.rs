//! 247Express ("Update status").
//!
//! Its credential is a field of the body, and it reads a refusal from the answer's body,
//! not from its code. Times without an offset are Vietnam's.

mod pull;
mod samples;

use std::time::Duration;

use jiff::tz::Offset;

use crate::domain::answer::{Answer, RejectionKind};
use crate::domain::authentication::{AuthScheme, Authentication};
use crate::domain::document::Document;
use crate::domain::extra::Extra;
use crate::domain::fingerprint::Fingerprinter;
use crate::domain::identity::Identity;
use crate::domain::order::TimeKind;
use crate::domain::provider::{Decoded, DecodedUpdate, Provider, ProviderId};
use crate::domain::pull::Pull;
use crate::domain::silence::UsualSilence;
use crate::domain::status::Status;
use crate::domain::transitions::Transitions;
use crate::domain::update::{Courier, DeliveryUpdate, Reason, References};
use crate::domain::verdict::Poison;

const VIETNAM: Offset = Offset::constant(7);

/// The field of the body that holds the credential.
const API_KEY: &str = "ApiKey";

/// 247Express.
pub struct Express247;

/// 247Express, for the table of providers.
pub static EXPRESS_247: Express247 = Express247;

impl Provider for Express247 {
    fn id(&self) -> ProviderId {
        ProviderId::new("247express")
    }

    /// The misspelling is theirs.
    fn documented_path(&self) -> Option<&'static str> {
        Some("/IntergrationAPI")
    }

    fn authentication(&self) -> &'static [Authentication] {
        &[Authentication::BodyKey { field: API_KEY }, Authentication::Basic]
    }

    /// Its retries are not documented: a day.
    fn resend_horizon(&self) -> Duration {
        Duration::from_hours(24)
    }

    /// Its retries are not documented, so none can be counted on.
    fn gives_up_after(&self) -> Duration {
        Duration::ZERO
    }

    fn usual_silence(&self) -> UsualSilence {
        UsualSilence::OF_PARCELS
    }

    fn answer(&self, scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
        let (code, message) = match outcome {
            Ok(()) => return Answer::json(200, r#"{"IsError":false,"ErrorMessage":""}"#.into()),
            Err(RejectionKind::NotAuthentic) if scheme == Some(AuthScheme::Basic) => (401, "not authentic"),
            Err(RejectionKind::NotAuthentic) => (200, "not authentic"),
            Err(RejectionKind::NotDecodable) => (200, "the body is not one JSON object"),
            Err(RejectionKind::TooLarge) => (413, "the body is too large"),
            Err(RejectionKind::TooSlow) => (408, "the body did not arrive in time"),
            Err(RejectionKind::BadRequest) => (400, "the body's length is said in two ways"),
            Err(RejectionKind::UnsupportedEncoding) => (415, "send the body uncompressed"),
            Err(RejectionKind::WrongMethod) => (405, "POST only"),
            Err(RejectionKind::Unknown) => (404, "no such webhook"),
            Err(RejectionKind::Unavailable) => (503, "cannot store it now, send it again"),
        };
        Answer::json(code, format!(r#"{{"IsError":true,"ErrorMessage":"{message}"}}"#).into())
    }

    fn decode(&self, body: &[u8]) -> Result<Decoded, Poison> {
        decode(Document::parse(body)?).map(Decoded::from)
    }

    fn pull(&self) -> Option<&'static dyn Pull> {
        Some(&pull::ExpressPull)
    }

    fn transitions(&self) -> &'static Transitions {
        &TRANSITIONS
    }
}

/// Its document lists the statuses and no order. This is the flow chart of its other documents, and what is seen of
/// it: delivered straight from picked up, on hold straight to a return, and delivered after it was cancelled.
static TRANSITIONS: Transitions = Transitions {
    table: &[
        (Status::Created, &[Status::PickedUp]),
        (Status::PickedUp, &[Status::InTransit, Status::DropoffEnRoute, Status::Delivered]),
        (Status::InTransit, &[Status::DropoffEnRoute]),
        (
            Status::DropoffEnRoute,
            &[Status::Delivered, Status::OnHold, Status::ReturnInitiated, Status::InTransit],
        ),
        (Status::OnHold, &[Status::DropoffEnRoute, Status::ReturnInitiated]),
        (Status::ReturnInitiated, &[Status::Returned]),
        (Status::Cancelled, &[Status::Delivered]),
    ],
    steps: &[],
    ends: &[Status::Cancelled, Status::Lost, Status::Confiscated],
};

fn status(raw: &str) -> Status {
    match raw {
        "16" => Status::OnHold,
        "18" => Status::Cancelled,
        "19" => Status::Lost,
        "21" => Status::Created,
        "23" => Status::PickedUp,
        "24" => Status::InTransit,
        "25" => Status::DropoffEnRoute,
        "27" => Status::ReturnInitiated,
        "28" => Status::Returned,
        "30" => Status::Delivered,
        "32" => Status::Confiscated,
        _ => Status::Unknown,
    }
}

fn decode(mut fields: Document<'_>) -> Result<DecodedUpdate, Poison> {
    let [time, date] = ["Time", "DeliveryDate"].map(|name| fields.peek(name));
    let event_time = fields.time("Time", Some(VIETNAM));
    let delivery_date = fields.time("DeliveryDate", Some(VIETNAM));
    let fingerprint = Fingerprinter::new()
        .field("OrderCode", fields.peek("OrderCode"))
        .field("Status", fields.peek("Status"))
        .time("Time", event_time.as_ref(), time)
        .field("DelayCode", fields.peek("DelayCode"))
        .field("DelayNotes", fields.peek("DelayNotes"))
        .field("DeliveryNotes", fields.peek("DeliveryNotes"))
        .field("RequestFeedbackCount", fields.peek("RequestFeedbackCount"))
        .field("Mailman", fields.peek("Mailman"))
        .time("DeliveryDate", delivery_date.as_ref(), date)
        .field("ReceiverName", fields.peek("ReceiverName"))
        .finish();

    let delivery_id = fields.delivery_id("OrderCode")?.ok_or(Poison::missing("OrderCode"))?;
    let raw_status = fields.text("Status").ok_or(Poison::missing("Status"))?;
    let provider_event_id = fields.id("TransactionId");
    let references = References {
        merchant_order: fields.text("ExternalCode"),
        merchant_reference: fields.text("ReferenceCode"),
        temporary: None,
        ..References::default()
    };
    let courier = Courier { name: fields.text("Mailman"), ..Courier::default() }.known();
    // `DeliveryNotes` are no reason: a delivery that went well has them too. They stay in `extra`.
    let reason =
        Reason { code: fields.text("DelayCode"), text: fields.text("DelayNotes"), comments: None }.known();
    let recipient_name = fields.text("ReceiverName");
    // Blank since the receiver, and a credential wherever it comes from.
    fields.take(API_KEY);

    let status = status(&raw_status);
    let unreadable_fields = fields.unreadable();
    let mut extra = Extra::new();
    fields.into_extra("", &mut extra);
    let update = DeliveryUpdate {
        references: references.known(),
        event_time,
        times: delivery_date.map(|time| ("DeliveryDate", time)).into_iter().collect(),
        courier,
        reason,
        recipient_name,
        provider_event_id: provider_event_id.clone(),
        extra,
        ..DeliveryUpdate::new(delivery_id, status, raw_status)
    };
    let identity = Identity { provider_event_id, fingerprint };
    Ok(DecodedUpdate { identity, update, time_kind: TimeKind::Change, leg: None, unreadable_fields })
}
