//! The Redis scripts and their Rust twin give the same answers to any history of claims and marks.

use std::sync::Arc;
use std::time::Duration;

use milepost::adapters::clock::SystemClock;
use milepost::adapters::memory::MemoryLedger;
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark, Token};
use milepost::domain::envelope::Replay;
use milepost::domain::fingerprint::Fingerprint;
use milepost::domain::order::{Moment, TimeKind};
use milepost::domain::provider::Provider as _;
use milepost::domain::state::{DeliveryState, Place};
use milepost::domain::status::Status;
use milepost::domain::update::DeliveryUpdate;
use milepost::domain::verdict::ParkReason;
use milepost::ports::Ledger;
use milepost::providers::TELYPORT;
use proptest::prelude::*;
use uuid::Uuid;

use crate::support::fixtures::{at, claim, precedence, received_at, resend, retrying};
use crate::support::servers::redis_ledger;

/// One thing that happens. Small numbers, so that copies meet.
#[derive(Debug, Clone)]
enum Step {
    Claim { copy: usize, attempt: u32, crashes: u32, replay: u8, lease_over: bool, fresh_token: bool },
    Mark { claim: usize, mark: u8, attempt: u32, after: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..12_usize, 0..3_u32, 0..2_u32, 0..4_u8, any::<bool>(), any::<bool>()).prop_map(
            |(copy, attempt, crashes, replay, lease_over, fresh_token)| Step::Claim {
                copy,
                attempt,
                crashes,
                replay,
                lease_over,
                fresh_token
            }
        ),
        (0..8_usize, 0..4_u8, 1..3_u32, 0..9_u8)
            .prop_map(|(claim, mark, attempt, after)| { Step::Mark { claim, mark, attempt, after } }),
    ]
}

/// Twelve copies: four contents, of which three have times, one of each kind, that run against the
/// receipts'; three receipts at three times, the second within the horizon of both others, and the third of another leg of
/// the delivery. Their statuses come before and after each other in every way there is.
fn copies(by_id: bool) -> Vec<ClaimRequest> {
    let mut first = claim();
    if !by_id {
        first.identity.provider_event_id = None;
    }
    let mut copies = Vec::new();
    for millis in [1_000_000, 1_050_000, 1_100_000] {
        let mut copy = received_at(resend(&first), millis);
        copy.leg = (millis == 1_100_000).then(|| "courier-2".to_owned());
        copies.push(copy.clone());
        for (content, status, kind) in [
            (9, Status::Created, TimeKind::Change),
            (10, Status::PickedUp, TimeKind::Substitute),
            (11, Status::Assigned, TimeKind::Asked),
        ] {
            let mut copy = received_at(resend(&copy), millis);
            copy.identity.fingerprint = Fingerprint([content; 32]);
            copy.moment = Moment::new(status, Some((at(1_110_000 - millis / 20), kind)), at(millis));
            copy.precedence = precedence(status);
            copies.push(copy);
        }
    }
    copies
}

/// What both must agree on: everything but how much of a lease is left, and a sequence number, which follows each
/// one's clock: of that, its rank among those given.
fn comparable(claim: Claim, given: &mut Vec<u64>) -> Claim {
    match claim {
        Claim::Busy(_) => Claim::Busy(Duration::ZERO),
        Claim::Behind(_) => Claim::Behind(Duration::ZERO),
        Claim::Granted(mut grant) => {
            let rank =
                given.iter().position(|sequence| *sequence == grant.place.sequence).unwrap_or_else(|| {
                    assert!(
                        given.iter().all(|sequence| *sequence < grant.place.sequence),
                        "{given:?} then {grant:?}"
                    );
                    given.push(grant.place.sequence);
                    given.len() - 1
                });
            (grant.place.sequence, grant.event.sequence) = (rank as u64, rank as u64);
            Claim::Granted(grant)
        }
        other => other,
    }
}

/// Where a delivery may stand: four moments, three of which have a time.
fn state(which: u8) -> DeliveryState {
    let (status, event_time) = [
        (Status::Assigned, Some((at(1_000_000), TimeKind::Change))),
        (Status::PickedUp, Some((at(1_000_001), TimeKind::Substitute))),
        (Status::PickedUp, Some((at(1_000_000), TimeKind::Asked))),
        (Status::Delivered, None),
    ][usize::from(which % 4)];
    let update = DeliveryUpdate::new("D-1".to_owned(), status, String::new());
    let moment = Moment::new(status, event_time, at(1_000_000 + i64::from(which)));
    let rules = TELYPORT.transitions();
    DeliveryState::advance(None, Place::at(1), &update, moment, rules, precedence(status))
        .1
        .expect("a first update")
}

async fn play(steps: Vec<Step>, by_id: bool) {
    let (redis, memory) = (redis_ledger(), MemoryLedger::new(Arc::new(SystemClock)));
    let mut copies = copies(by_id);
    let force = Uuid::new_v4();
    let mut granted: Vec<EventRef> = Vec::new();
    let mut given = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Claim { copy, attempt, crashes, replay, lease_over, fresh_token } => {
                let request = &mut copies[copy];
                if fresh_token {
                    request.copy.token = Token(rand::random());
                }
                (request.copy.attempt, request.copy.crashes) = (attempt, crashes);
                // A lease is either over at once or outlasts the test: nothing depends on the speed of this machine.
                request.copy.lease = if lease_over { Duration::ZERO } else { Duration::from_secs(3600) };
                request.copy.replay = match replay {
                    0 => Some(Replay::Normal),
                    1 => Some(Replay::Force(force)),
                    _ => None,
                };
                let answers = (redis.claim(request).await.unwrap(), memory.claim(request).await.unwrap());
                if let Claim::Granted(grant) = &answers.0 {
                    granted.push(grant.event.clone());
                }
                let (one, other) = (comparable(answers.0, &mut given.0), comparable(answers.1, &mut given.1));
                assert_eq!(one, other, "{request:?}");
            }
            Step::Mark { claim, mark, attempt, after } => {
                let Some(event) = granted.iter().rev().nth(claim) else { continue };
                let mark = match mark {
                    0 => Mark::Published((after > 0).then(|| state(after))),
                    1 => Mark::Parked(ParkReason::Panic),
                    2 => Mark::Released,
                    _ => retrying(attempt),
                };
                let answers = (redis.mark(event, mark).await, memory.mark(event, mark).await);
                assert_eq!(answers.0.unwrap(), answers.1.unwrap(), "{mark:?}");
            }
        }
    }
}

#[test]
fn the_scripts_and_their_twin_agree_on_any_history() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let histories = (proptest::collection::vec(step(), 1..40), any::<bool>());
    proptest!(ProptestConfig::with_cases(200), |((steps, by_id) in histories)| {
        runtime.block_on(play(steps, by_id));
    });
}
