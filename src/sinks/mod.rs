//! Systems that our updates are written to: the opposite of `providers`.
//!
//! A sink decides what becomes of one message; [`Sink`] is all that the rest of Milepost knows of it. Its queue, retries,
//! parking, draining, metrics and checks are the same for every sink. To add one: its file or directory here, its line
//! in [`NAMES`], its binary, its configuration section and its manifests.

pub mod cells;
pub mod hubrise;
pub mod lanes;
pub mod update;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ports::CellsError;

/// Every sink, by its short name: in queue names, metrics and commands.
pub const NAMES: [&str; 1] = ["hubrise"];

/// A message of a sink's queue: an event, and what became of it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The event.
    pub body: Bytes,
    /// Attempts that failed before this one.
    pub attempt: u32,
    /// How often it waited without spending an attempt.
    pub deferred: u32,
    /// How often it waited because the system did not answer.
    pub outages: u32,
    /// When it was first taken, in milliseconds.
    pub first_ms: i64,
    /// Why it waited last.
    pub reason: Option<String>,
}

impl Message {
    /// One that is taken for the first time.
    #[must_use]
    pub const fn new(body: Bytes, first_ms: i64) -> Self {
        Self { body, attempt: 0, deferred: 0, outages: 0, first_ms, reason: None }
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It can go.
    Done(Outcome),
    /// It is looked at again after this long, and spends no attempt.
    Later {
        /// How long.
        delay: Duration,
        /// Why.
        why: Reason,
    },
    /// It failed in a way that time may change: it spends an attempt.
    Retry(Reason),
    /// It needs an operator.
    Park(ParkReason, String),
}

/// How a message ended well. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The system shows what it says, or something newer.
    Shown,
    /// It is not for this system.
    Ignored,
    /// It is older than what was published.
    Late,
    /// It was not known in time what it belongs to.
    Unlinked,
}

impl Outcome {
    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Ignored => "ignored",
            Self::Late => "late",
            Self::Unlinked => "unlinked",
        }
    }
}

/// Why a message waits. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// What it says changes all the time and was sent a moment ago.
    Interval,
    /// Another replica is sending something about the same.
    Busy,
    /// A limit of requests is spent.
    Limited,
    /// The system does not answer.
    Away,
    /// The credentials or the address are wrong.
    Paused,
    /// It is not known yet what it belongs to.
    Unlinked,
    /// The system does not know yet what it belongs to.
    Absent,
    /// What it belongs to is taken up with something else of ours.
    Occupied,
}

impl Reason {
    /// Every reason, so that each metric label exists from the start.
    pub const ALL: [Self; 8] = [
        Self::Interval,
        Self::Busy,
        Self::Limited,
        Self::Away,
        Self::Paused,
        Self::Unlinked,
        Self::Absent,
        Self::Occupied,
    ];

    /// The metric label and the value of `mp-reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Busy => "busy",
            Self::Limited => "limited",
            Self::Away => "away",
            Self::Paused => "paused",
            Self::Unlinked => "unlinked",
            Self::Absent => "absent",
            Self::Occupied => "occupied",
        }
    }
}

/// Why a message needs an operator. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkReason {
    /// It is no event.
    Malformed,
    /// The system will never take it.
    Rejected,
    /// What it belongs to is not ours to change.
    Foreign,
    /// The last attempt of the schedule failed.
    RetriesExhausted,
    /// Processing it panicked: a bug of ours.
    Panic,
}

impl ParkReason {
    /// Every reason, so that each metric label exists from the start.
    pub const ALL: [Self; 5] =
        [Self::Malformed, Self::Rejected, Self::Foreign, Self::RetriesExhausted, Self::Panic];

    /// The metric label and the value of `mp-reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Rejected => "rejected",
            Self::Foreign => "foreign_delivery",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Panic => "panic",
        }
    }
}

/// A system that updates are written to.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Its short name.
    fn name(&self) -> &'static str;

    /// Writes what a message says, as far as that is still to be written. It may be dropped at any point, and the message
    /// come again: nothing is lost, and nothing is done twice that must not be.
    ///
    /// # Errors
    /// When Redis is away; the message is to be handled again.
    async fn handle(&self, message: &Message) -> Result<Verdict, CellsError>;
}
