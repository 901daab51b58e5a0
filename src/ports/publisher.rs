//! Where messages go out.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::envelope::Envelope;
use crate::domain::event::UpdateEvent;
use crate::domain::verdict::ParkReason;

/// A message on its way out. Exchanges, routing keys and delay levels are the adapter's business.
#[derive(Debug, Clone)]
pub enum Outbound {
    /// A webhook, to its provider's work queue.
    Raw(Envelope),
    /// An update, to the subscribers.
    Update(UpdateEvent),
    /// A webhook, to its provider's work queue after at least this long (rounded to what the adapter resolves).
    Later(Envelope, Duration),
    /// A webhook, to its provider's parked queue: why, and in what particular: a fixed phrase of ours, or what the system
    /// that a sink writes to says, without what it was sent.
    Parked(Envelope, ParkReason, Cow<'static, str>),
}

/// Why a publish is not known to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The broker answered and refused: a bound queue is full, or could not take it. The message is not stored
    /// everywhere it should be; it may be stored somewhere.
    #[error("the broker refused the message")]
    Refused,
    /// There is no usable connection; nothing was sent.
    #[error("the broker is unavailable")]
    Unavailable,
    /// It was sent, and no answer came: it may or may not be stored.
    #[error("the broker did not confirm")]
    Unconfirmed,
}

impl PublishError {
    /// The metric label, and what a span says of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// Publishes, and tells when the broker has stored it.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Returns `Ok` only after the broker confirmed that the persistent message is stored in every queue it is
    /// routed to (invariant 1). Bounded in time. Cancelling the future leaves it unknown whether it was sent.
    ///
    /// # Errors
    /// See [`PublishError`]; only [`PublishError::Refused`] is the message's own failure, the others are outages.
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError>;

    /// Whether a publish has a chance now: connected, and not blocked by the broker.
    fn ready(&self) -> bool;
}
