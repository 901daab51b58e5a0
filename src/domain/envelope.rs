//! The raw webhook as it travels through the broker: the provider's bytes untouched, and what we know of them.

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::identity::{Account, Origin, ReceiptId};
use super::provider::ProviderId;

/// W3C trace context, carried as AMQP headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// `traceparent`.
    pub traceparent: Option<String>,
    /// `tracestate`.
    pub tracestate: Option<String>,
}

/// An operator's wish to process a parked message once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Unless its event is already done.
    Normal,
    /// Even if its event is already done. The id tells one such wish from another.
    Force(Uuid),
}

/// One webhook on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The receiver's id of the request (`message_id`).
    pub receipt: ReceiptId,
    /// Whose webhook (`mp-provider`).
    pub provider: ProviderId,
    /// For which account (`mp-account`).
    pub account: Account,
    /// When it was received, to the millisecond (`mp-received-at`).
    pub received_at: Timestamp,
    /// The sender's `Content-Type`.
    pub content_type: Option<String>,
    /// Attempts that failed before this one (`mp-attempt`): 0 the first time.
    pub attempt: u32,
    /// Claims of this event that ran out unfinished (`mp-crashes`).
    pub crashes: u32,
    /// Set when an operator replays it (`mp-replay`).
    pub replay: Option<Replay>,
    /// Why the last attempt failed, or why it is parked (`mp-reason`).
    pub reason: Option<String>,
    /// The trace it belongs to.
    pub trace: TraceContext,
    /// The provider's bytes; 247Express's `ApiKey` value alone is blanked.
    pub body: Bytes,
}

impl Envelope {
    /// What a publication of this webhook's event says about its receipt.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            receipt: self.receipt,
            received_at: self.received_at,
            traceparent: self.trace.traceparent.clone(),
        }
    }
}
