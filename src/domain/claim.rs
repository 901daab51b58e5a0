//! The protocol: what a worker may do with a copy of an event, given what the ledger knows of that event.
//!
//! [`decide`] is the table of docs/ARCHITECTURE.md, "The protocol", which has the reasons. `adapters/redis/claim.lua`
//! is the same table on Redis; a property test holds one to the other.

use std::time::Duration;

use jiff::Timestamp;

use super::envelope::Replay;
use super::identity::{DeliveryKey, Identity, Origin, ReceiptId};
use super::order::{Moment, Precedence};
use super::state::{DeliveryState, Place};
use super::status::Status;
use super::verdict::{ParkReason, RetryReason};

/// How many times a claim of one event may run out unfinished before the event is parked as a crash loop.
pub const CRASH_LIMIT: u32 = 5;

/// Names one claim (not one worker): random, and made before the claim is asked for, so that asking again after a lost
/// reply is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(pub u64);

/// How far an event has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Claimed {
        /// Attempts that failed before.
        attempt: u32,
        /// Claims that ran out before.
        crashes: u32,
        token: Token,
        /// When the lease ends; none for a claim that was released.
        deadline: Option<Timestamp>,
    },
    /// A copy waits for its retry.
    Retrying {
        /// The copy's attempt number.
        attempt: u32,
        /// Claims that ran out before.
        crashes: u32,
    },
    /// It waits for an operator.
    Parked {
        /// The receipt of the copy that was parked.
        holder: ReceiptId,
    },
    Done,
}

/// A copy of an event that a worker has in hand.
#[derive(Debug, Clone)]
pub struct CopyInHand {
    pub receipt: ReceiptId,
    /// Attempts that failed before it was made.
    pub attempt: u32,
    /// The crashes it knows of.
    pub crashes: u32,
    /// Whether an operator sent it.
    pub replay: Option<Replay>,
    /// The claim it is asked for with.
    pub token: Token,
    /// How long the claim holds unless it ends before. No lease of the ledger's is believed to be longer: clocks jump.
    pub lease: Duration,
}

/// What may be done with a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is this worker's, with these counts.
    Take {
        /// Of the event's one chain of retries.
        attempt: u32,
        /// Claims of the event that ran out.
        crashes: u32,
    },
    /// Another copy is being processed; its lease has this long to go.
    Busy(Duration),
    Done,
    /// A later copy carries the event's chain on.
    Stale,
}

/// The table: what `copy` may do at `now`, when its event has got as far as `known`.
#[must_use]
pub fn decide(known: Option<Progress>, copy: &CopyInHand, now: Timestamp) -> Decision {
    let replayed = copy.replay.is_some();
    let as_the_copy_says = Decision::Take { attempt: copy.attempt, crashes: copy.crashes };
    // A replay starts a chain of its own; any other copy goes on from the highest counts.
    let go_on = |attempt: u32, crashes: u32, more: u32| {
        let (attempt, crashes) = if replayed { (0, 0) } else { (attempt, crashes) };
        Decision::Take { attempt: copy.attempt.max(attempt), crashes: copy.crashes.max(crashes) + more }
    };
    match known {
        Some(Progress::Done) => Decision::Done,
        Some(Progress::Claimed { attempt, crashes, token, deadline }) => match deadline {
            // The reply to this very claim was lost.
            _ if token == copy.token => go_on(attempt, crashes, 0),
            None => go_on(attempt, crashes, 0),
            Some(deadline) => match left(deadline, copy.lease, now) {
                Some(left) => Decision::Busy(left),
                // Its worker did not finish in time: a crash, for all that is known.
                None => go_on(attempt, crashes, 1),
            },
        },
        Some(Progress::Retrying { attempt, .. }) if !replayed && copy.attempt < attempt => Decision::Stale,
        Some(Progress::Parked { holder }) if !replayed && holder == copy.receipt => Decision::Stale,
        None | Some(Progress::Retrying { .. } | Progress::Parked { .. }) => as_the_copy_says,
    }
}

/// What is left at `now` of a lease that ends at `deadline`. Nothing of one that would be longer than `lease`.
#[must_use]
pub fn left(deadline: Timestamp, lease: Duration, now: Timestamp) -> Option<Duration> {
    let left = Duration::try_from(deadline.duration_since(now)).ok()?;
    (!left.is_zero() && left <= lease).then_some(left)
}

/// What a worker asks before it publishes.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The delivery the event is about.
    pub delivery: DeliveryKey,
    /// What makes it the event it is.
    pub identity: Identity,
    pub copy: CopyInHand,
    /// The copy's trace, if it was traced.
    pub traceparent: Option<String>,
    /// When it happened and what.
    pub moment: Moment,
    /// How its status relates to the others.
    pub precedence: Precedence,
    /// What has a course of its own within the delivery.
    pub leg: Option<String>,
    /// What the provider is asked for the delivery by, where that is not its id.
    pub address: Option<String>,
    /// How close in time equal content without an event id is one event.
    pub horizon: Duration,
    /// How long the delivery is remembered after its last claim.
    pub ttl: Duration,
}

/// Names a claimed event, and has what marking it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRef {
    pub delivery: DeliveryKey,
    /// The event's name within it.
    pub name: String,
    pub token: Token,
    pub first_receipt: ReceiptId,
    /// The receipt of the copy in hand.
    pub receipt: ReceiptId,
    /// Its place in the delivery.
    pub sequence: u64,
    pub status: Status,
    /// How its status relates to the others.
    pub precedence: Precedence,
    /// The leg, by the ledger's name.
    pub leg: String,
    /// What the provider is asked for the delivery by, where that is not its id.
    pub address: Option<String>,
    /// How long the delivery is remembered.
    pub ttl: Duration,
}

/// A claim that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub event: EventRef,
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
    Granted(Box<Grant>),
    /// Another copy of the event is being processed; its lease has this long to go.
    Busy(Duration),
    /// Another event of the delivery is being processed; its lease has this long to go.
    Behind(Duration),
    Done,
    /// A later copy carries the event's chain on.
    Stale,
}

/// What became of a claimed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Its update is published. Wins over everything, also over another holder's claim. The delivery's state is then this, if
    /// that moves it on and nothing further on was published meanwhile.
    Published(Option<DeliveryState>),
    Retrying {
        attempt: u32,
        /// When it is delivered, from now.
        due: Duration,
        /// Why the attempt before it failed.
        reason: RetryReason,
    },
    /// It waits for an operator, for this reason.
    Parked(ParkReason),
    /// The worker gives it up undone: the next copy takes it at once, and it counts as no crash.
    Released,
}
