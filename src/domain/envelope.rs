//! The raw webhook as it travels through the broker: the provider's bytes untouched, and what we know of them.

use bytes::Bytes;
use uuid::Uuid;

use super::history::{Failure, History};
use super::identity::{Account, Origin, ReceiptId};
use super::provider::ProviderId;

/// The longest `tracestate` that is kept, as the W3C recommendation asks of everyone. A cut one would be invalid.
const TRACESTATE_MAX_BYTES: usize = 512;

/// W3C trace context, carried as HTTP and AMQP headers: that of the sender, which every copy of the message keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// What the sender sent, as far as it is valid; `tracestate` means nothing without a `traceparent`.
    #[must_use]
    pub fn received(traceparent: Option<&str>, tracestate: Option<&str>) -> Self {
        let Some(traceparent) = traceparent.filter(|value| is_traceparent(value)) else {
            return Self::default();
        };
        let tracestate = tracestate.filter(|value| (1..=TRACESTATE_MAX_BYTES).contains(&value.len()));
        let (traceparent, tracestate) = (Some(traceparent.to_owned()), tracestate.map(str::to_owned));
        Self { traceparent, tracestate }
    }

    /// Whether it names a trace that its sender sampled.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        let flags = self.traceparent.as_deref().and_then(|value| value.rsplit('-').next());
        let flags = flags.and_then(|flags| u8::from_str_radix(flags, 16).ok());
        flags.is_some_and(|flags| flags & 1 == 1)
    }

    /// What is sent along of it: an unsampled trace costs bytes on every message and shows nothing.
    #[must_use]
    pub fn if_sampled(self) -> Self {
        if self.is_sampled() { self } else { Self::default() }
    }
}

/// Whether it is a version 00 `traceparent`: `00-<trace id>-<parent id>-<flags>`, no id of zeros only.
fn is_traceparent(value: &str) -> bool {
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |part: &str, digits: usize| hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    match value.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, parent, flags] => id(trace, 32) && id(parent, 16) && hex(flags, 2),
        _ => false,
    }
}

/// An operator's request to process a parked message once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Unless its event is already done.
    Normal,
    /// Even if its event is already done. The id tells one such replay from another.
    Force(Uuid),
}

/// One webhook on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The receiver's id of the request (`message_id`).
    pub receipt: ReceiptId,
    /// Whose webhook: the queue says.
    pub provider: ProviderId,
    /// For which account (`correlation_id`).
    pub account: Account,
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
    /// Its failed attempts (`mp-history`).
    pub history: History,
    /// The trace it belongs to.
    pub trace: TraceContext,
    /// The provider's bytes; 247Express's `ApiKey` value alone is blanked.
    pub body: Bytes,
}

impl Envelope {
    /// A webhook as it is stored first: nothing has been tried yet.
    #[must_use]
    pub fn new(receipt: ReceiptId, provider: ProviderId, account: Account, body: Bytes) -> Self {
        Self {
            receipt,
            provider,
            account,
            content_type: None,
            attempt: 0,
            crashes: 0,
            replay: None,
            reason: None,
            history: History::default(),
            trace: TraceContext::default(),
            body,
        }
    }

    /// What a publication of this webhook's event says about its receipt.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin { receipt: self.receipt, traceparent: self.trace.traceparent.clone() }
    }

    /// The copy that is tried again, after `failure`.
    #[must_use]
    pub fn retried(&self, failure: Failure, crashes: u32) -> Self {
        Self {
            attempt: failure.attempt + 1,
            crashes,
            reason: Some(failure.reason.clone()),
            // A replay starts a chain of its own, and from here on this is that chain. A forced one stays forced: its
            // event is done under the ordinary name.
            replay: self.replay.filter(|replay| matches!(replay, Replay::Force(_))),
            history: self.history.clone().with(failure),
            ..self.clone()
        }
    }

    /// The copy that is parked, after `failure`.
    #[must_use]
    pub fn parked(&self, failure: Failure, crashes: u32) -> Self {
        Self {
            attempt: failure.attempt,
            crashes,
            history: self.history.clone().with(failure),
            ..self.clone()
        }
    }
}
