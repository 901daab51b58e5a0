//! 247Express ("Update status").
//!
//! Its credential is a field of the body (`express247/api_key.rs`), and it reads a refusal from the answer's body,
//! not from its code. Times without an offset are Vietnam's.

mod api_key;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;
use serde_json::Value;
use uuid::Builder;

use super::{delivery_digest, event_digest, journeys, samples};
use crate::domain::answer::{Answer, Rejection, RejectionKind};
use crate::domain::document::Document;
use crate::domain::extra::Extra;
use crate::domain::fingerprint::Fingerprinter;
use crate::domain::identity::Identity;
use crate::domain::journey::{Journey, Personal, Sample};
use crate::domain::provider::{
    AuthScheme, Credentials, Decoded, DecodedUpdate, Headers, Provider, ProviderId, SignedWebhook, Signing,
    check_secret,
};
use crate::domain::status::Status;
use crate::domain::transitions::Transitions;
use crate::domain::update::{Courier, DeliveryUpdate, Reason, References};
use crate::domain::verdict::Poison;

/// Vietnam's offset, all year.
const VIETNAM: Offset = Offset::constant(7);

const AUTHORIZATION: &str = "authorization";

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

    fn auth_schemes(&self) -> &'static [AuthScheme] {
        &[AuthScheme::ApiKey, AuthScheme::Basic]
    }

    /// Its retries are not documented: a day.
    fn resend_horizon(&self) -> Duration {
        Duration::from_hours(24)
    }

    /// Its retries are not documented, so none can be counted on.
    fn gives_up_after(&self) -> Duration {
        Duration::ZERO
    }

    fn authenticate(
        &self,
        headers: &dyn Headers,
        body: Bytes,
        credentials: &Credentials,
    ) -> Result<Bytes, Rejection> {
        if credentials.secrets.is_empty() {
            return Err(Rejection::NoSecret);
        }
        if credentials.scheme == AuthScheme::Basic {
            check_basic(headers.get(AUTHORIZATION), credentials)?;
            api_key::blank(body)
        } else {
            api_key::check_and_blank(&body, credentials)
        }
    }

    fn answer(&self, scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
        let (code, message) = match outcome {
            Ok(()) => return Answer::json(200, r#"{"IsError":false,"ErrorMessage":""}"#.into()),
            Err(RejectionKind::NotAuthentic) if scheme == Some(AuthScheme::Basic) => (401, "not authentic"),
            Err(RejectionKind::NotAuthentic) => (200, "not authentic"),
            Err(RejectionKind::NotDecodable) => (200, "the body is not one JSON object"),
            Err(RejectionKind::TooLarge) => (413, "the body is too large"),
            Err(RejectionKind::TooSlow) => (408, "the body did not arrive in time"),
            Err(RejectionKind::WrongMethod) => (405, "POST only"),
            Err(RejectionKind::Unknown) => (404, "no such webhook"),
            Err(RejectionKind::Unavailable) => (503, "cannot store it now, send it again"),
        };
        Answer::json(code, format!(r#"{{"IsError":true,"ErrorMessage":"{message}"}}"#).into())
    }

    fn decode(&self, body: &[u8]) -> Result<Decoded, Poison> {
        decode(Document::parse(body)?).map(Decoded::from)
    }

    fn transitions(&self) -> &'static Transitions {
        &TRANSITIONS
    }

    fn samples(&self) -> &'static [Sample] {
        samples!("247express": "accepted", "picked_up", "in_transit", "delivering", "pending_for_proceed",
            "delivered", "pending_for_return", "returned", "cancelled", "lost", "confiscated")
    }

    fn journeys(&self) -> &'static [Journey] {
        journeys! {
            "delivered": ["accepted", "picked_up", "in_transit", "delivering", "delivered"],
            "held": ["accepted", "picked_up", "in_transit", "delivering", "pending_for_proceed", "delivering",
                "delivered"],
            "returned": ["accepted", "picked_up", "in_transit", "delivering", "pending_for_proceed",
                "pending_for_return", "returned"],
            "cancelled": ["accepted", "cancelled"],
            "lost": ["accepted", "picked_up", "in_transit", "delivering", "lost"],
            "confiscated": ["accepted", "picked_up", "in_transit", "delivering", "confiscated"],
        }
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        let Some(fields) = sample.as_object_mut() else { return };
        // 20 characters: the most an order code may have.
        let order_code = format!("HD{}", hex::encode(&delivery_digest(personal)[..9]));
        for name in ["ExternalCode", "ReferenceCode"] {
            if let Some(reference @ Value::String(_)) = fields.get_mut(name) {
                *reference = order_code.as_str().into();
            }
        }
        let time = personal.time();
        if let Some(date @ Value::String(_)) = fields.get_mut("DeliveryDate") {
            let printer = DateTimePrinter::new().separator(b' ').precision(Some(0));
            *date = printer.datetime_to_string(&VIETNAM.to_datetime(time)).into();
        }
        let mut id_bytes = [0; 16];
        id_bytes.copy_from_slice(&event_digest(personal, fields.get("TransactionId"))[..16]);
        let transaction = Builder::from_random_bytes(id_bytes).into_uuid().to_string();
        let time = DateTimePrinter::new().precision(Some(7)).timestamp_with_offset_to_string(&time, VIETNAM);
        fields.insert("OrderCode".to_owned(), order_code.into());
        fields.insert("TransactionId".to_owned(), transaction.into());
        fields.insert("Time".to_owned(), time.into());
    }

    fn sign(&self, body: Bytes, signing: &Signing<'_>) -> SignedWebhook {
        if signing.scheme == AuthScheme::Basic {
            let user_and_password = format!("Basic {}", STANDARD.encode(signing.secret.expose()));
            return SignedWebhook { headers: vec![(AUTHORIZATION.to_owned(), user_and_password)], body };
        }
        SignedWebhook { headers: Vec::new(), body: api_key::put(body, signing.secret) }
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

/// Checks HTTP Basic: what was encoded is compared whole with `user:password`.
fn check_basic(authorization: Option<&[u8]>, credentials: &Credentials) -> Result<(), Rejection> {
    let header = authorization.ok_or(Rejection::MissingCredential)?;
    let (scheme, encoded) = header.split_at_checked(6).ok_or(Rejection::WrongCredential)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return Err(Rejection::WrongCredential);
    }
    let presented = STANDARD.decode(encoded.trim_ascii()).map_err(|_| Rejection::WrongCredential)?;
    check_secret(Some(&presented), credentials)
}

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
    fields.take("ApiKey");

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
    Ok(DecodedUpdate { identity, update, leg: None, unreadable_fields })
}
