//! What became of one message, and why it may have failed.

/// What became of a message. Once it has an outcome, its delivery is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its update was confirmed by the broker and marked done.
    Published,
    /// Its event is already done, or another copy carries it on.
    Duplicate,
    /// Authentic, understood, and no delivery update.
    Ignored,
    /// Another copy of the event, or another event of the delivery, is being processed: a copy looks again later, and no
    /// attempt is spent.
    Deferred,
    /// A copy waits for its retry.
    Retried(RetryReason),
    /// A copy waits for an operator.
    Parked(ParkReason),
}

impl Outcome {
    pub const LABELS: [&'static str; 6] =
        ["published", "duplicate", "ignored", "deferred", "retried", "parked"];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Deferred => "deferred",
            Self::Retried(_) => "retried",
            Self::Parked(_) => "parked",
        }
    }

    /// Why it failed, if it did.
    #[must_use]
    pub const fn failure(self) -> Option<&'static str> {
        match self {
            Self::Retried(reason) => Some(reason.as_str()),
            Self::Parked(reason) => Some(reason.as_str()),
            _ => None,
        }
    }
}

/// Why a message is tried again later. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryReason {
    /// The broker refused the update: a subscriber's bounded queue is full and rejects publishes.
    PublishRefused,
}

impl RetryReason {
    /// Every reason, so that each metric label exists from the start.
    pub const ALL: [Self; 1] = [Self::PublishRefused];

    /// The metric label and the value of `mp-reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublishRefused => "publish_refused",
        }
    }
}

/// Why a message waits for an operator. A closed set; the broker itself adds dead-lettered messages
/// (`delivery_limit`), which carry no reason of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParkReason {
    /// The body is not the provider's JSON.
    Malformed,
    /// The delivery's id or its status is missing.
    MissingField,
    /// Two places of the body contradict each other.
    Contradiction,
    /// The message on the queue is not a Milepost envelope.
    BadEnvelope,
    /// The last attempt of the schedule failed.
    RetriesExhausted,
    /// Processing it panicked: a bug of ours.
    Panic,
    /// Its claim ran out unfinished again and again, or its worker died again and again while it had this one message in
    /// hand: it seems to kill its worker.
    CrashLoop,
    /// The system that a sink writes to will never take it.
    SinkRefused,
    /// The order that it belongs to has a delivery that is not ours to change.
    ForeignDelivery,
}

impl ParkReason {
    /// Those of a provider's webhooks, so that each metric label exists from the start.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::MissingField,
        Self::Contradiction,
        Self::BadEnvelope,
        Self::RetriesExhausted,
        Self::Panic,
        Self::CrashLoop,
    ];

    /// Those of a sink's messages.
    pub const OF_SINKS: [Self; 6] = [
        Self::Malformed,
        Self::RetriesExhausted,
        Self::Panic,
        Self::CrashLoop,
        Self::SinkRefused,
        Self::ForeignDelivery,
    ];

    /// The metric label and the value of `mp-reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::MissingField => "missing_field",
            Self::Contradiction => "contradiction",
            Self::BadEnvelope => "bad_envelope",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Panic => "panic",
            Self::CrashLoop => "crash_loop",
            Self::SinkRefused => "sink_refused",
            Self::ForeignDelivery => "foreign_delivery",
        }
    }
}

/// A body that no retry can make readable, as a value: why, and what in particular. The detail is one of our own
/// fixed phrases, never a piece of the body (invariant 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poison {
    pub reason: ParkReason,
    /// What in particular, for an operator.
    pub detail: &'static str,
}

impl Poison {
    /// A body that is not the provider's JSON.
    #[must_use]
    pub const fn malformed(detail: &'static str) -> Self {
        Self { reason: ParkReason::Malformed, detail }
    }

    /// A required field that is not there.
    #[must_use]
    pub const fn missing(detail: &'static str) -> Self {
        Self { reason: ParkReason::MissingField, detail }
    }

    /// Two values that cannot both be true.
    #[must_use]
    pub const fn contradiction(detail: &'static str) -> Self {
        Self { reason: ParkReason::Contradiction, detail }
    }
}
