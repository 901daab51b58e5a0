//! Dash Electric ("Event payload reference").
//!
//! One envelope for every event (`dash/envelope.rs`), without an event id, and without a word on the service it is
//! of: EXPRESS or LOGISTIC. What it is signed with is no signature but the secret itself, in a header whose name is
//! the account's to choose.

mod content;
mod envelope;
mod personal;
mod pull;
mod samples;

use std::borrow::Cow;
use std::time::Duration;

use crate::domain::authentication::Authentication;
use crate::domain::document::Document;
use crate::domain::provider::{Decoded, Provider, ProviderId};
use crate::domain::pull::Pull;
use crate::domain::status::Status;
use crate::domain::transitions::Transitions;
use crate::domain::verdict::Poison;

/// The header's name in Dash's examples, for accounts that chose none.
const SECRET_HEADER: &str = "x-dash-signature";

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

    fn authentication(&self) -> &'static [Authentication] {
        &[Authentication::Header { name: Cow::Borrowed(SECRET_HEADER) }]
    }

    /// Three attempts, 60 s apart, and a minute for the last one to arrive.
    fn resend_horizon(&self) -> Duration {
        Duration::from_mins(3)
    }

    /// Three attempts, 60 s apart.
    fn gives_up_after(&self) -> Duration {
        Duration::from_mins(2)
    }

    fn decode(&self, body: &[u8]) -> Result<Decoded, Poison> {
        envelope::decode(Document::parse(body)?).map(Decoded::from)
    }

    fn pull(&self) -> Option<&'static dyn Pull> {
        Some(&pull::DashPull)
    }

    fn transitions(&self) -> &'static Transitions {
        &TRANSITIONS
    }
}
