//! Systems that our updates are written to: the opposite of `providers`.
//!
//! A sink decides what becomes of one message; [`Sink`] is all that the rest of Milepost knows of it. Its queue, retries,
//! parking, draining, metrics and checks are the same for every sink. To add one: its file or directory here, its line
//! in [`ALL`], its binary, its configuration section and its manifests.

pub mod cells;
pub mod hubrise;
pub mod lanes;
pub mod update;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::domain::provider::ProviderId;
use crate::domain::verdict::ParkReason;
use crate::ports::CellsError;

/// The HubRise sink's name where providers' names are: in queues, metrics and commands.
pub const HUBRISE: ProviderId = ProviderId::new("sink-hubrise");
/// Where services say which HubRise order a delivery belongs to.
pub const HUBRISE_LINKS: ProviderId = ProviderId::new("links-hubrise");
/// Every name that has a queue of its own.
pub const ALL: [ProviderId; 2] = [HUBRISE, HUBRISE_LINKS];

/// The sink, or its like, of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<ProviderId> {
    ALL.into_iter().find(|id| id.as_str() == name)
}

/// A message of a sink's queue: an event, and what became of it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkMessage {
    pub body: Bytes,
    pub reason: Option<String>,
    /// Whether an operator sends it once more.
    pub replayed: bool,
    /// Now, in milliseconds: by how long it has been under way it is decided how long it waits.
    pub now_ms: i64,
}

impl SinkMessage {
    /// Whether it waited for this reason.
    #[must_use]
    pub fn waited_for(&self, reason: WaitReason) -> bool {
        self.reason.as_deref() == Some(reason.as_str())
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Done(SinkOutcome),
    /// It is looked at again after this long, and spends no attempt.
    Later {
        delay: Duration,
        why: WaitReason,
    },
    /// It failed in a way that time may change: it spends an attempt.
    Retry(WaitReason),
    Park(ParkReason, String),
}

/// How a message ended well. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkOutcome {
    /// The system shows what it says, or something newer.
    Shown,
    /// It is not for this system.
    Ignored,
    /// It is older than what was published.
    Late,
    /// It was not known in time what it belongs to.
    Unlinked,
    /// It says what a delivery belongs to, and that is kept.
    Linked,
}

impl SinkOutcome {
    /// Every outcome, so that each metric label exists from the start.
    pub const ALL: [Self; 5] = [Self::Shown, Self::Ignored, Self::Late, Self::Unlinked, Self::Linked];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Ignored => "ignored",
            Self::Late => "late",
            Self::Unlinked => "unlinked",
            Self::Linked => "linked",
        }
    }
}

/// Why a message waits. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
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

impl WaitReason {
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

/// Between two calls of [`Sink::report`].
pub const REPORT_PERIOD: Duration = Duration::from_secs(15);

/// A system that updates are written to.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Its name where providers' names are.
    fn id(&self) -> ProviderId;

    /// Writes what a message says, as far as that is still to be written. It may be dropped at any point, and the message
    /// come again: nothing is lost, and nothing is done twice that must not be.
    ///
    /// # Errors
    /// When Redis is away; the message is to be handled again.
    async fn handle(&self, message: &SinkMessage) -> Result<Verdict, CellsError>;

    /// Brings the gauges of what replicas share up to date. Called every [`REPORT_PERIOD`].
    ///
    /// # Errors
    /// When Redis is away.
    async fn report(&self) -> Result<(), CellsError> {
        Ok(())
    }
}
