//! What became of one message. A handler returns a [`Verdict`]; one place (`pipeline/worker.rs`) acts on it,
//! once.

use std::time::Duration;

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its update was confirmed by the broker and marked done.
    Published,
    /// Its event is already done, or another copy carries it on.
    Duplicate,
    /// Authentic, understood, and no delivery update.
    Ignored,
    /// Another copy of the event is being processed: look again after this long, spending no attempt.
    Deferred(Duration),
    /// It failed in a way that time may mend.
    Retry(RetryReason),
    /// A person has to look.
    Park(ParkReason, &'static str),
    /// Nothing was decided (the worker is going away): the broker keeps the message and gives it out again.
    Abandoned,
}

impl Verdict {
    /// Every outcome label of a settled message.
    pub const OUTCOMES: [&'static str; 6] =
        ["published", "duplicate", "ignored", "deferred", "retried", "parked"];

    /// The metric label; `None` when nothing was settled.
    #[must_use]
    pub const fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Published => Some("published"),
            Self::Duplicate => Some("duplicate"),
            Self::Ignored => Some("ignored"),
            Self::Deferred(_) => Some("deferred"),
            Self::Retry(_) => Some("retried"),
            Self::Park(..) => Some("parked"),
            Self::Abandoned => None,
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

/// Why a message waits for a person. A closed set; the broker itself adds dead-lettered messages
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
    /// Its claim ran out unfinished again and again: it seems to kill its worker.
    CrashLoop,
}

impl ParkReason {
    /// Every reason, so that each metric label exists from the start.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::MissingField,
        Self::Contradiction,
        Self::BadEnvelope,
        Self::RetriesExhausted,
        Self::Panic,
        Self::CrashLoop,
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
        }
    }
}

/// A body that no retry can mend, as a value: why, and what in particular. The detail is one of our own
/// fixed phrases, never a piece of the body (invariant 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poison {
    /// The closed reason.
    pub reason: ParkReason,
    /// What in particular, for a person.
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
