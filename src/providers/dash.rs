//! Dash Electric ("Event payload reference").
//!
//! One envelope for every event (`dash/envelope.rs`), without an event id, and without a word on the service it is
//! of: EXPRESS or LOGISTIC. What it is signed with is no signature but the secret itself, in a header whose name is
//! the account's to choose.

mod content;
mod envelope;
mod personal;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{journeys, samples};
use crate::domain::answer::Rejection;
use crate::domain::document::Document;
use crate::domain::journey::{Journey, Personal, Sample};
use crate::domain::provider::{
    AuthScheme, Credentials, Decoded, Headers, Provider, ProviderId, SignedWebhook, Signing, check_secret,
};
use crate::domain::status::Status;
use crate::domain::transitions::Transitions;
use crate::domain::verdict::Poison;

/// The header's name in Dash's examples, for accounts that chose none.
const SECRET_HEADER: &str = "x-dash-signature";

/// Dash Electric.
pub struct Dash;

/// Dash Electric, for the table of providers.
pub static DASH: Dash = Dash;

/// EXPRESS first, which goes back to `PENDING_PICKUP` when the courier is replaced; then LOGISTIC, whose failed
/// deliveries may be sent out again. What differs has statuses of its own, so that one table holds both.
static TRANSITIONS: Transitions = Transitions {
    table: &[
        (Status::Scheduled, &[Status::Allocating]),
        (Status::Allocating, &[Status::Assigned, Status::Cancelled]),
        (Status::Assigned, &[Status::PickupEnRoute, Status::Cancelled]),
        (Status::PickupEnRoute, &[Status::PickedUp, Status::Assigned, Status::Cancelled]),
        (Status::PickedUp, &[Status::DropoffEnRoute, Status::Assigned]),
        (Status::DropoffEnRoute, &[Status::Delivered, Status::Failed, Status::Assigned]),
        (Status::Preparing, &[Status::Verified, Status::OnHold]),
        (Status::OnHold, &[Status::Verified]),
        (Status::Verified, &[Status::StagedForDelivery]),
        (Status::StagedForDelivery, &[Status::DropoffEnRoute]),
        (Status::Failed, &[Status::StagedForDelivery]),
    ],
    steps: &[],
    ends: &[],
};

impl Provider for Dash {
    fn id(&self) -> ProviderId {
        ProviderId::new("dash")
    }

    fn auth_schemes(&self) -> &'static [AuthScheme] {
        &[AuthScheme::Header]
    }

    /// Three attempts, 60 s apart, and a minute for the last one to arrive.
    fn resend_horizon(&self) -> Duration {
        Duration::from_mins(3)
    }

    /// Three attempts, 60 s apart.
    fn gives_up_after(&self) -> Duration {
        Duration::from_mins(2)
    }

    fn authenticate(
        &self,
        headers: &dyn Headers,
        body: Bytes,
        credentials: &Credentials,
    ) -> Result<Bytes, Rejection> {
        let header = credentials.header.as_deref().unwrap_or(SECRET_HEADER);
        check_secret(headers.get(header), credentials)?;
        Ok(body)
    }

    fn decode(&self, body: &[u8]) -> Result<Decoded, Poison> {
        envelope::decode(Document::parse(body)?).map(Decoded::from)
    }

    fn transitions(&self) -> &'static Transitions {
        &TRANSITIONS
    }

    fn samples(&self) -> &'static [Sample] {
        samples!("dash": "express_queueing", "express_allocating", "express_pending_pickup", "express_picking_up",
            "express_pending_delivery", "express_in_delivery", "express_completed", "express_failed",
            "express_cancelled", "logistic_preparing", "logistic_verified", "logistic_not_verified",
            "logistic_pending_delivery", "logistic_in_delivery", "logistic_completed", "logistic_failed")
    }

    /// Its two services never mix: a delivery is of one or of the other.
    fn journeys(&self) -> &'static [Journey] {
        journeys! {
            "express_delivered": ["express_queueing", "express_allocating", "express_pending_pickup",
                "express_picking_up", "express_pending_delivery", "express_in_delivery", "express_completed"],
            "express_failed": ["express_queueing", "express_allocating", "express_pending_pickup",
                "express_picking_up", "express_pending_delivery", "express_in_delivery", "express_failed"],
            "express_cancelled": ["express_queueing", "express_allocating", "express_pending_pickup",
                "express_cancelled"],
            "logistic_delivered": ["logistic_preparing", "logistic_verified", "logistic_pending_delivery",
                "logistic_in_delivery", "logistic_completed"],
            "logistic_failed": ["logistic_preparing", "logistic_not_verified", "logistic_verified",
                "logistic_pending_delivery", "logistic_in_delivery", "logistic_failed"],
        }
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        personal::personalize(sample, personal);
    }

    fn sign(&self, body: Bytes, signing: &Signing<'_>) -> SignedWebhook {
        let header = signing.header.unwrap_or(SECRET_HEADER).to_owned();
        let value = String::from_utf8_lossy(signing.secret.expose()).into_owned();
        SignedWebhook { headers: vec![(header, value)], body }
    }
}
