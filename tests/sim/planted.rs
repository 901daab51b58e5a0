//! Bugs that the simulation has to find. Each is a port that breaks one promise; `src` has none of them.

use std::time::Duration;

use milepost::domain::claim::{Claim, ClaimRequest, Mark, Token};
use milepost::domain::envelope::Replay;
use milepost::domain::identity::ReceiptId;
use uuid::Uuid;

use crate::process::lock;
use crate::world::World;

pub mod cells;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    AnswersBeforeTheConfirm,
    AcknowledgesWhatItTakes,
    AcknowledgesBeforeMarking,
    ClaimsWithoutAToken,
    NearestAnchor,
    ReplayIsAnyCopy,
    LeaseBelowTheDeadline,
    OccurrenceIgnored,
    DoneIsOverwritten,
    DelayedCopyUnconfirmed,
    ParkedCopyUnconfirmed,
    KeepsASilentConnection,
    TwoReceiversClocks,
    NoTurnsWithinADelivery,
    OvertakenIsForgotten,
    RepeatSaysAnother,
    OutageSpendsAttempts,
    ReleaseIsDone,
    ReplayTakesOffFirst,
    SecretIsKept,
    AnswersBeforeTheProof,
    RemovesBeforeTheConfirm,
    PostIsRepeated,
    AnswerIsNotLearned,
    AcknowledgesBeforeItIsTakenIn,
    LeaseIsIgnored,
    LimitsOfOneReplica,
    LateIsShown,
    HubriseOutageSpendsAttempts,
    OldStateIsNews,
    PulledIsSent,
}

impl Planted {
    /// Each with the first seed that finds it, which another tests/sim/plan.rs changes (`make simulate PLANTED=1 FROM=1`).
    pub const ALL: [(Self, u64, &'static str); 31] = [
        (Self::AnswersBeforeTheConfirm, 3, "the receiver answers before the confirm"),
        (Self::AcknowledgesWhatItTakes, 1, "a message is acknowledged when it is taken"),
        (Self::AcknowledgesBeforeMarking, 1, "a message is acknowledged before the mark is known to be made"),
        (Self::ClaimsWithoutAToken, 16, "claims have no token of their own"),
        (Self::NearestAnchor, 3, "a receipt belongs to the nearest anchor, not to the first"),
        (Self::ReplayIsAnyCopy, 2, "a replay is judged as any other copy"),
        (Self::LeaseBelowTheDeadline, 2, "the lease is shorter than a publish may take"),
        (Self::OccurrenceIgnored, 2, "equal content is one event, however far apart"),
        (Self::DoneIsOverwritten, 1060, "a mark that comes late overwrites done"),
        (Self::DelayedCopyUnconfirmed, 2, "the delayed copy is confirmed after the acknowledgement"),
        (Self::ParkedCopyUnconfirmed, 3, "the parked copy is confirmed after the acknowledgement"),
        (Self::KeepsASilentConnection, 353, "a publisher keeps a connection on which nothing is confirmed"),
        (Self::TwoReceiversClocks, 2, "occurrences are judged by two receivers' own clocks"),
        (Self::NoTurnsWithinADelivery, 1, "two workers publish updates of one delivery at once"),
        (Self::OvertakenIsForgotten, 9, "an update does not know that a newer one was claimed before it"),
        (Self::RepeatSaysAnother, 1, "a repeat has a sequence number of its own"),
        (Self::OutageSpendsAttempts, 6, "an outage of the broker counts as a refusal"),
        (Self::ReleaseIsDone, 153, "a released claim counts as done"),
        (
            Self::ReplayTakesOffFirst,
            105,
            "a replay takes the message off the parked queue before the confirm",
        ),
        (Self::SecretIsKept, 8, "a body is stored with its credential"),
        (Self::AnswersBeforeTheProof, 836, "a spooled webhook is accepted before it is on Redis's disk"),
        (Self::RemovesBeforeTheConfirm, 95, "a spooled webhook is removed when it is taken"),
        (Self::PostIsRepeated, 126, "a POST whose answer is lost is repeated without a look"),
        (Self::AnswerIsNotLearned, 11, "a sink does not take in what HubRise answered"),
        (Self::AcknowledgesBeforeItIsTakenIn, 4, "a sink acknowledges an update before it has taken it in"),
        (Self::LeaseIsIgnored, 6, "a second replica ignores the lease of an order"),
        (Self::LimitsOfOneReplica, 49, "each replica counts its own requests"),
        (Self::LateIsShown, 16, "a sink takes a late update for one in order"),
        (Self::HubriseOutageSpendsAttempts, 16, "an outage of HubRise counts as a failure of the update"),
        (Self::PulledIsSent, 12, "what is pulled has a receipt as if it was sent"),
        (Self::OldStateIsNews, 488, "a pulled state is published as news, however old"),
    ];
}

/// A claim, as a ledger with this bug would answer it.
pub fn planted_claim(world: &World, request: &ClaimRequest, planted: Option<Planted>) -> Claim {
    let Some(planted) = planted else { return world.redis.claim(request) };
    let receipt = request.copy.receipt;
    let mut request = request.clone();
    let mut state = lock(&world.redis.planted);
    let content = request.identity.fingerprint.0;
    match planted {
        Planted::ClaimsWithoutAToken => request.copy.token = Token(7),
        Planted::LeaseBelowTheDeadline => request.copy.lease = Duration::from_secs(2),
        Planted::OccurrenceIgnored => request.horizon = Duration::from_secs(10_000_000),
        Planted::ReplayIsAnyCopy => {
            request.copy.replay = request.copy.replay.filter(|replay| *replay != Replay::Normal);
        }
        Planted::NearestAnchor if request.identity.provider_event_id.is_none() => {
            let anchors = state.anchors.entry(content).or_default();
            let receipt = request.copy.receipt;
            let apart = |anchor: &ReceiptId| {
                anchor.received_at().duration_since(receipt.received_at()).unsigned_abs()
            };
            let nearest = anchors.iter().copied().min_by_key(apart);
            if let Some(nearest) = nearest.filter(|nearest| apart(nearest) <= request.horizon) {
                request.copy.receipt = nearest;
            }
        }
        _ => {}
    }
    let delivery = request.delivery.delivery_id.clone();
    let mut claim = world.redis.claim(&request);
    if planted == Planted::NoTurnsWithinADelivery
        && let Claim::Behind(_) = claim
        && let Some(other) = state.in_hand.get(&delivery)
    {
        world.redis.mark(other, Mark::Released);
        claim = world.redis.claim(&request);
    }
    if planted == Planted::DoneIsOverwritten && claim == Claim::Done && !state.undone.is_empty() {
        let again = Replay::Force(Uuid::from_u64_pair(request.copy.token.0, 1));
        let mut forced = request.clone();
        forced.copy.replay = Some(again);
        // Only the event whose mark came late.
        if let Claim::Granted(grant) = world.redis.claim(&forced) {
            let name = grant.event.name.split('!').next().unwrap_or_default().to_owned();
            match state.undone.iter().position(|undone| *undone == name) {
                Some(at) => {
                    state.undone.remove(at);
                    claim = Claim::Granted(grant);
                }
                None => drop(world.redis.mark(&grant.event, Mark::Published(None))),
            }
        }
    }
    if let Claim::Granted(grant) = &mut claim {
        grant.event.receipt = receipt;
        state.in_hand.insert(delivery, grant.event.clone());
        let anchors = state.anchors.entry(content).or_default();
        if !anchors.contains(&grant.origin.receipt) {
            anchors.push(grant.origin.receipt);
        }
        match planted {
            Planted::OvertakenIsForgotten => grant.place.overtaken = false,
            Planted::OldStateIsNews if receipt.is_pulled() => {
                (grant.before, grant.place.overtaken) = (None, false);
            }
            Planted::RepeatSaysAnother => grant.place.sequence += request.copy.token.0 % 1000,
            _ => {}
        }
    }
    claim
}
