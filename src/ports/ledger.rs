//! Who is working on which event, and what is done: the deduplication protocol of design section 5.
//!
//! Each method is one atomic step and one round trip. Deadlines are on the ledger's own clock, so workers' clocks
//! do not matter. The state of the event's delivery is read and written in the same steps.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

use crate::domain::envelope::Replay;
use crate::domain::identity::{DeliveryKey, Identity, Origin};
use crate::domain::state::{DeliveryState, Place};
use crate::domain::verdict::{ParkReason, RetryReason};

/// How many times a claim of one event may run out unfinished before the event is parked as a crash loop.
pub const CRASH_LIMIT: u32 = 5;

/// Names one claim (not one worker). Made before the claim is asked for, so that asking again after a lost reply is
/// recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(pub Uuid);

impl Token {
    /// A token nobody else has.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::new_v4())
    }
}

/// What a worker asks before it publishes.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The delivery the event is about.
    pub delivery: DeliveryKey,
    /// What makes it the event it is.
    pub identity: Identity,
    /// The copy in hand.
    pub origin: Origin,
    /// The copy's attempt number.
    pub attempt: u32,
    /// The crashes the copy knows of.
    pub crashes: u32,
    /// Whether an operator sent it.
    pub replay: Option<Replay>,
    /// This claim.
    pub token: Token,
    /// How long the claim holds unless it is settled.
    pub lease: Duration,
    /// How long the event is remembered.
    pub ttl: Duration,
    /// How close in time equal content without an event id is one event.
    pub horizon: Duration,
    /// What has a course of its own within the delivery.
    pub leg: Option<String>,
    /// How long the delivery's state is remembered.
    pub state_ttl: Duration,
    /// When it happened, as the provider says; of an [`Age`](crate::domain::age::Age).
    pub event_time: Option<Timestamp>,
}

/// The most legs of one delivery whose states are kept. Beyond, a new one has none, which costs a flag.
pub const MOST_LEGS: usize = 32;

/// Names a claimed event, for settling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRef {
    /// The adapter's key.
    pub key: String,
    /// The claim.
    pub token: Token,
    /// How long the event is remembered.
    pub ttl: Duration,
    /// The state of its delivery.
    pub state: StateRef,
}

/// Names the state of a delivery, or of one leg of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRef {
    /// The adapter's key of the delivery.
    pub key: String,
    /// The adapter's name of the leg.
    pub leg: String,
    /// How long the state is remembered.
    pub ttl: Duration,
}

/// A claim that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// For settling it.
    pub event: EventRef,
    /// The event's first receipt.
    pub origin: Origin,
    /// The attempt number of the event's one chain: at least the copy's.
    pub attempt: u32,
    /// Claims of this event that ran out unfinished.
    pub crashes: u32,
    /// The provider used this event id before, with other content.
    pub id_reused: bool,
    /// The event's place in its delivery: the same for every claim of one event.
    pub place: Place,
    /// Where the delivery stood when the event was first claimed: the same for every claim until the event is done,
    /// so that a repeat says what the first said.
    pub before: Option<DeliveryState>,
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Go ahead.
    Granted(Box<Grant>),
    /// Another copy is being processed; its lease has this long to go.
    Busy(Duration),
    /// Its event is done.
    Done,
    /// A later copy carries the event's chain on.
    Stale,
}

/// What became of a claimed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Its update is published. Wins over everything, whoever holds the claim. The delivery then stands here, if
    /// that moves it on and nothing newer was published meanwhile.
    Done(Option<DeliveryState>),
    /// A copy is scheduled.
    Retrying {
        /// The copy's attempt number.
        attempt: u32,
        /// When it comes back, from now.
        due: Duration,
        /// Why the attempt before it failed.
        reason: RetryReason,
    },
    /// It waits for a person, for this reason.
    Parked(ParkReason),
    /// The worker lets go of it undone: the next copy takes it at once, and it counts as no crash.
    Released,
}

/// The ledger cannot answer now. Always an outage, never the event's own failure.
#[derive(Debug, Clone, Error)]
#[error("the ledger is unavailable: {0}")]
pub struct LedgerError(pub String);

/// Remembers events.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Asks for an event.
    ///
    /// # Errors
    /// When the ledger is away; asking again with the same token is safe.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError>;

    /// Records what became of a claimed event. Returns whether it changed anything: a token that is no longer
    /// current changes nothing, except that [`Settlement::Done`] always counts.
    ///
    /// # Errors
    /// When the ledger is away; saying it again is safe.
    async fn settle(&self, event: &EventRef, settlement: Settlement) -> Result<bool, LedgerError>;

    /// Whether it takes claims now.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<(), LedgerError>;
}
