//! The rows of the protocol's table (docs/ARCHITECTURE.md), one test each, on both ledgers.

use std::sync::Arc;
use std::time::Duration;

use milepost::adapters::clock::SystemClock;
use milepost::adapters::memory::MemoryLedger;
use milepost::domain::claim::{Claim, ClaimRequest, Grant, Mark};
use milepost::domain::delivery_record::{KEPT_EVENTS, KEPT_LEGS, MOST_FIELDS};
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
use uuid::Uuid;

use crate::support::eventually;
use crate::support::fixtures::{at, claim, precedence, received_at, redelivery, resend, retrying};
use crate::support::servers::redis_ledger;

/// Makes a test of each function, on both ledgers.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::MemoryLedger::new(super::Arc::new(super::SystemClock))).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::redis_ledger()).await;
            })*
        }
    };
}

on_both! {
    a_new_event_is_granted_and_then_busy_for_every_other_copy
    a_claim_asked_again_with_its_own_token_is_still_ours
    a_done_event_is_done_for_every_copy
    done_wins_over_a_token_that_is_no_longer_current
    done_counts_even_when_the_key_was_lost
    a_claim_that_ran_out_is_taken_over_and_counts_as_a_crash
    a_released_claim_is_taken_over_at_once_and_counts_as_none
    the_crash_count_survives_a_lost_key_in_the_envelope
    a_retrying_event_ignores_earlier_attempts_and_takes_its_own
    a_stale_token_settles_nothing
    a_parked_event_is_stale_for_its_own_copy_and_taken_by_a_resend
    a_replay_takes_a_retrying_and_a_parked_event_and_starts_afresh
    a_replay_does_not_take_a_live_claim_nor_a_done_event
    a_forced_replay_claims_beside_a_done_event
    the_same_id_with_other_content_is_an_event_of_its_own_and_flagged
    every_repeat_carries_the_first_receipt
    without_an_id_a_receipt_within_the_horizon_is_the_same_event_on_either_side
    without_an_id_a_receipt_beyond_the_horizon_is_an_event_of_its_own
    without_an_id_an_anchor_is_its_own_event_beside_a_nearer_one
    without_an_id_a_copy_stays_with_its_event_after_a_nearer_one
    an_event_is_forgotten_after_its_ttl
    a_takeover_goes_on_with_the_highest_attempt
    a_replay_forgets_the_crashes_before_it
    a_claim_says_where_the_delivery_stood
    a_repeat_equals_the_first_despite_updates_between
    a_repeat_after_a_park_says_what_the_first_said
    an_older_state_never_overwrites_a_newer_one
    an_older_event_claimed_after_a_newer_one_is_overtaken
    where_the_provider_gives_no_time_arrival_says_what_is_overtaken
    a_mark_that_does_not_count_moves_nothing
    legs_of_one_delivery_stand_apart_and_share_the_sequence
    a_delivery_is_bounded_and_forgets_the_oldest
    while_an_event_is_in_hand_the_others_of_its_delivery_wait
    of_those_that_wait_the_one_received_first_is_next
    a_waiting_event_that_asks_no_more_blocks_no_other
    a_lease_that_ran_out_holds_up_nothing
    a_lease_longer_than_any_that_is_given_is_over
    a_lost_state_costs_the_state_and_the_sequence_still_grows
}

fn granted(claim: Claim) -> Grant {
    match claim {
        Claim::Granted(grant) => *grant,
        other => panic!("not granted: {other:?}"),
    }
}

/// The state of a delivery whose last update said `status` at second `seconds`.
fn standing(status: Status, seconds: i64) -> DeliveryState {
    let update = DeliveryUpdate::new("D-1".to_owned(), status, String::new());
    let moment = happened(status, seconds);
    let rules = TELYPORT.transitions();
    let (_, state) = DeliveryState::advance(None, Place::at(1), &update, moment, rules, precedence(status));
    state.expect("a first update")
}

/// `status`, at second `seconds` by the provider's clock.
fn happened(status: Status, seconds: i64) -> Moment {
    Moment::new(status, Some((at(seconds * 1000), TimeKind::Change)), at(1_739_365_639_201))
}

/// The same claim, of an update that says `status` at second `seconds`.
fn saying(mut request: ClaimRequest, status: Status, seconds: i64) -> ClaimRequest {
    (request.moment, request.precedence) = (happened(status, seconds), precedence(status));
    request
}

/// Another event of the same delivery.
fn next(first: &ClaimRequest, id: &str) -> ClaimRequest {
    let mut next = resend(first);
    next.identity.provider_event_id = Some(id.to_owned());
    next
}

/// Claims and completes an event, after which the delivery is in state `after`.
async fn done(ledger: &dyn Ledger, request: &ClaimRequest, after: DeliveryState) -> Grant {
    let grant = granted(ledger.claim(request).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(Some(after))).await.unwrap());
    grant
}

const BRIEF: Duration = Duration::from_millis(50);

async fn a_new_event_is_granted_and_then_busy_for_every_other_copy(ledger: &dyn Ledger) {
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert_eq!((grant.attempt, grant.crashes, grant.id_reused), (0, 0, false));
    assert_eq!(grant.origin.receipt, first.copy.receipt);
    for other in [redelivery(&first), resend(&first)] {
        let Claim::Busy(remaining) = ledger.claim(&other).await.unwrap() else { panic!("not busy") };
        assert!(remaining > Duration::from_secs(50) && remaining <= first.copy.lease, "{remaining:?}");
    }
}

async fn a_claim_asked_again_with_its_own_token_is_still_ours(ledger: &dyn Ledger) {
    let first = claim();
    granted(ledger.claim(&first).await.unwrap());
    let again = granted(ledger.claim(&first).await.unwrap());
    assert_eq!(again.crashes, 0);
    assert!(ledger.mark(&again.event, Mark::Published(None)).await.unwrap());
}

async fn a_done_event_is_done_for_every_copy(ledger: &dyn Ledger) {
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    for other in [redelivery(&first), resend(&first), first] {
        assert_eq!(ledger.claim(&other).await.unwrap(), Claim::Done);
    }
}

async fn done_wins_over_a_token_that_is_no_longer_current(ledger: &dyn Ledger) {
    let mut slow = claim();
    slow.copy.lease = Duration::ZERO;
    let slow_grant = granted(ledger.claim(&slow).await.unwrap());
    granted(ledger.claim(&redelivery(&slow)).await.unwrap());
    assert!(ledger.mark(&slow_grant.event, Mark::Published(None)).await.unwrap());
    assert_eq!(ledger.claim(&redelivery(&slow)).await.unwrap(), Claim::Done);
}

async fn done_counts_even_when_the_key_was_lost(ledger: &dyn Ledger) {
    let mut first = claim();
    first.ttl = Duration::from_millis(5);
    let mut grant = granted(ledger.claim(&first).await.unwrap());
    eventually("the key expires", || async {
        // Released changes something only while the claim is remembered.
        (!ledger.mark(&grant.event, Mark::Released).await.unwrap()).then_some(())
    })
    .await;
    grant.event.ttl = Duration::from_secs(600);
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Done);
}

async fn a_claim_that_ran_out_is_taken_over_and_counts_as_a_crash(ledger: &dyn Ledger) {
    let mut first = claim();
    first.copy.lease = BRIEF;
    granted(ledger.claim(&first).await.unwrap());
    for crashes in 1..=5 {
        let grant = eventually("the lease runs out", || async {
            match ledger.claim(&redelivery(&first)).await.unwrap() {
                Claim::Granted(grant) => Some(*grant),
                Claim::Busy(remaining) => {
                    assert!(remaining <= BRIEF);
                    None
                }
                other => panic!("{other:?}"),
            }
        })
        .await;
        assert_eq!(grant.crashes, crashes);
    }
}

async fn a_released_claim_is_taken_over_at_once_and_counts_as_none(ledger: &dyn Ledger) {
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Released).await.unwrap());
    let taken = granted(ledger.claim(&redelivery(&first)).await.unwrap());
    assert_eq!(taken.crashes, 0);
    assert!(!ledger.mark(&grant.event, Mark::Released).await.unwrap(), "the old token is not current");
}

async fn the_crash_count_survives_a_lost_key_in_the_envelope(ledger: &dyn Ledger) {
    let mut first = claim();
    (first.copy.crashes, first.copy.lease) = (3, Duration::ZERO);
    assert_eq!(granted(ledger.claim(&first).await.unwrap()).crashes, 3);
    assert_eq!(granted(ledger.claim(&redelivery(&first)).await.unwrap()).crashes, 4);
}

async fn a_retrying_event_ignores_earlier_attempts_and_takes_its_own(ledger: &dyn Ledger) {
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, retrying(1)).await.unwrap());
    assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Stale);
    assert_eq!(ledger.claim(&resend(&first)).await.unwrap(), Claim::Stale);
    let mut copy = redelivery(&first);
    copy.copy.attempt = 1;
    assert_eq!(granted(ledger.claim(&copy).await.unwrap()).attempt, 1);
}

async fn a_stale_token_settles_nothing(ledger: &dyn Ledger) {
    let mut slow = claim();
    slow.copy.lease = Duration::ZERO;
    let slow_grant = granted(ledger.claim(&slow).await.unwrap());
    let mut fast = redelivery(&slow);
    fast.copy.lease = Duration::from_secs(60);
    granted(ledger.claim(&fast).await.unwrap());
    for mark in [retrying(9), Mark::Parked(ParkReason::Panic), Mark::Released] {
        assert!(!ledger.mark(&slow_grant.event, mark).await.unwrap(), "{mark:?}");
    }
    assert!(matches!(ledger.claim(&redelivery(&fast)).await.unwrap(), Claim::Busy(_)));
}

async fn a_parked_event_is_stale_for_its_own_copy_and_taken_by_a_resend(ledger: &dyn Ledger) {
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Parked(ParkReason::Panic)).await.unwrap());
    assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Stale);
    let second = resend(&first);
    let grant = granted(ledger.claim(&second).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Parked(ParkReason::Panic)).await.unwrap());
    assert_eq!(ledger.claim(&redelivery(&second)).await.unwrap(), Claim::Stale);
}

async fn a_replay_takes_a_retrying_and_a_parked_event_and_starts_afresh(ledger: &dyn Ledger) {
    for mark in [retrying(7), Mark::Parked(ParkReason::Panic)] {
        let first = claim();
        let grant = granted(ledger.claim(&first).await.unwrap());
        assert!(ledger.mark(&grant.event, mark).await.unwrap());
        let mut replay = redelivery(&first);
        replay.copy.replay = Some(Replay::Normal);
        assert_eq!(granted(ledger.claim(&replay).await.unwrap()).attempt, 0);
    }
}

async fn a_replay_does_not_take_a_live_claim_nor_a_done_event(ledger: &dyn Ledger) {
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    let mut replay = redelivery(&first);
    replay.copy.replay = Some(Replay::Normal);
    assert!(matches!(ledger.claim(&replay).await.unwrap(), Claim::Busy(_)));
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    assert_eq!(ledger.claim(&replay).await.unwrap(), Claim::Done);
}

async fn a_forced_replay_claims_beside_a_done_event(ledger: &dyn Ledger) {
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    let mut forced = redelivery(&first);
    forced.copy.replay = Some(Replay::Force(Uuid::new_v4()));
    let grant = granted(ledger.claim(&forced).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    assert_eq!(ledger.claim(&redelivery(&forced)).await.unwrap(), Claim::Done, "each force once");
    assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Done);
}

async fn the_same_id_with_other_content_is_an_event_of_its_own_and_flagged(ledger: &dyn Ledger) {
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    let mut other = resend(&first);
    other.identity.fingerprint = Fingerprint([8; 32]);
    let grant = granted(ledger.claim(&other).await.unwrap());
    assert!(grant.id_reused);
    assert_eq!(ledger.claim(&resend(&first)).await.unwrap(), Claim::Done, "the first is not shadowed");
}

async fn every_repeat_carries_the_first_receipt(ledger: &dyn Ledger) {
    let mut first = claim();
    first.copy.lease = Duration::ZERO;
    first.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    granted(ledger.claim(&first).await.unwrap());
    let mut other = resend(&first);
    other.traceparent = Some("00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let grant = granted(ledger.claim(&other).await.unwrap());
    assert_eq!((grant.origin.receipt, grant.origin.traceparent), (first.copy.receipt, first.traceparent));
}

async fn without_an_id_a_receipt_within_the_horizon_is_the_same_event_on_either_side(ledger: &dyn Ledger) {
    let mut first = received_at(claim(), 1_000_000);
    first.identity.provider_event_id = None;
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    for millis in [1_000_000, 1_060_000, 940_000] {
        let other = received_at(resend(&first), millis);
        assert_eq!(ledger.claim(&other).await.unwrap(), Claim::Done, "{millis}");
    }
}

async fn without_an_id_a_receipt_beyond_the_horizon_is_an_event_of_its_own(ledger: &dyn Ledger) {
    let mut first = received_at(claim(), 1_000_000);
    first.identity.provider_event_id = None;
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    for millis in [1_060_001, 939_999] {
        let other = received_at(resend(&first), millis);
        let grant = granted(ledger.claim(&other).await.unwrap());
        assert_eq!(grant.origin.receipt, other.copy.receipt);
        assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
        // A copy near to it now belongs to it, and carries its receipt.
        let mut near = resend(&other);
        near.copy.lease = Duration::ZERO;
        assert_eq!(ledger.claim(&near).await.unwrap(), Claim::Done);
    }
}

async fn without_an_id_an_anchor_is_its_own_event_beside_a_nearer_one(ledger: &dyn Ledger) {
    let mut first = received_at(claim(), 1_000_000);
    first.identity.provider_event_id = None;
    let first_grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&first_grant.event, Mark::Parked(ParkReason::Panic)).await.unwrap());
    let second = received_at(resend(&first), 1_070_000);
    let second_grant = granted(ledger.claim(&second).await.unwrap());
    assert!(ledger.mark(&second_grant.event, Mark::Published(None)).await.unwrap());
    // The first anchor's own copy: its own, and still parked.
    assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Stale);
    assert_eq!(ledger.claim(&redelivery(&second)).await.unwrap(), Claim::Done);
}

async fn without_an_id_a_copy_stays_with_its_event_after_a_nearer_one(ledger: &dyn Ledger) {
    let mut first = received_at(claim(), 1_000_000);
    (first.identity.provider_event_id, first.copy.lease) = (None, Duration::ZERO);
    granted(ledger.claim(&first).await.unwrap());
    // A resend takes the event over, and its retry copy alone carries the event on.
    let carrier = received_at(resend(&first), 1_050_000);
    let grant = granted(ledger.claim(&carrier).await.unwrap());
    assert!(ledger.mark(&grant.event, retrying(1)).await.unwrap());
    assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Stale);
    // The content recurs as another event, nearer in time to the carrier, and is done.
    let recurrence = received_at(resend(&first), 1_070_000);
    let grant = granted(ledger.claim(&recurrence).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    let mut copy = redelivery(&carrier);
    copy.copy.attempt = 1;
    assert_eq!(granted(ledger.claim(&copy).await.unwrap()).origin.receipt, first.copy.receipt);
}

async fn an_event_is_forgotten_after_its_ttl(ledger: &dyn Ledger) {
    let mut first = claim();
    first.ttl = BRIEF;
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    eventually("it is forgotten", || async {
        matches!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Granted(_)).then_some(())
    })
    .await;
}

async fn a_takeover_goes_on_with_the_highest_attempt(ledger: &dyn Ledger) {
    let mut later = claim();
    (later.copy.attempt, later.copy.lease) = (3, Duration::ZERO);
    granted(ledger.claim(&later).await.unwrap());
    let mut earlier = redelivery(&later);
    earlier.copy.attempt = 1;
    assert_eq!(granted(ledger.claim(&earlier).await.unwrap()).attempt, 3);
}

async fn a_replay_forgets_the_crashes_before_it(ledger: &dyn Ledger) {
    let mut crashed = claim();
    (crashed.copy.crashes, crashed.copy.lease) = (5, Duration::ZERO);
    assert_eq!(granted(ledger.claim(&crashed).await.unwrap()).crashes, 5);
    let mut replay = redelivery(&crashed);
    (replay.copy.replay, replay.copy.crashes) = (Some(Replay::Normal), 0);
    assert_eq!(granted(ledger.claim(&replay).await.unwrap()).crashes, 1, "the claim it takes over ran out");
}

async fn a_claim_says_where_the_delivery_stood(ledger: &dyn Ledger) {
    let first = claim();
    let [assigned, delivered] = [standing(Status::Assigned, 1), standing(Status::Delivered, 2)];
    let one = done(ledger, &first, assigned).await;
    let two = done(ledger, &next(&first, "2"), delivered).await;
    let three = done(ledger, &next(&first, "3"), delivered).await;
    assert_eq!([one.before, two.before, three.before], [None, Some(assigned), Some(delivered)]);
    assert!(one.place.sequence < two.place.sequence && two.place.sequence < three.place.sequence);
    let elsewhere = granted(ledger.claim(&claim()).await.unwrap());
    assert_eq!(elsewhere.before, None);
}

async fn a_repeat_equals_the_first_despite_updates_between(ledger: &dyn Ledger) {
    let mut first = claim();
    first.copy.lease = Duration::ZERO;
    let grant = granted(ledger.claim(&first).await.unwrap());
    done(ledger, &next(&first, "2"), standing(Status::Delivered, 2)).await;
    // A crash, then a retry: each takes the event again.
    for _ in 0..2 {
        let again = granted(ledger.claim(&resend(&first)).await.unwrap());
        assert_eq!((again.place, again.before), (grant.place, None));
        assert!(ledger.mark(&again.event, retrying(0)).await.unwrap());
    }
}

async fn a_repeat_after_a_park_says_what_the_first_said(ledger: &dyn Ledger) {
    let first = claim();
    let assigned = standing(Status::Assigned, 1);
    done(ledger, &next(&first, "0"), assigned).await;
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Parked(ParkReason::Panic)).await.unwrap());
    done(ledger, &next(&first, "2"), standing(Status::Delivered, 2)).await;
    let mut replay = redelivery(&first);
    replay.copy.replay = Some(Replay::Normal);
    let again = granted(ledger.claim(&replay).await.unwrap());
    assert_eq!((again.place, again.before), (grant.place, Some(assigned)));
}

async fn an_older_state_never_overwrites_a_newer_one(ledger: &dyn Ledger) {
    let mut first = claim();
    first.copy.lease = Duration::ZERO;
    let slow = granted(ledger.claim(&saying(first.clone(), Status::Assigned, 1)).await.unwrap());
    let delivered = standing(Status::Delivered, 2);
    done(ledger, &next(&first, "2"), delivered).await;
    // It is done all the same.
    let older = Mark::Published(Some(standing(Status::Assigned, 1)));
    assert!(ledger.mark(&slow.event, older).await.unwrap());
    let after = granted(ledger.claim(&next(&first, "3")).await.unwrap());
    assert_eq!(after.before, Some(delivered));
}

async fn an_older_event_claimed_after_a_newer_one_is_overtaken(ledger: &dyn Ledger) {
    let event = |id: &str, first: &ClaimRequest, seconds: i64| {
        let mut event = saying(next(first, id), Status::Assigned, seconds);
        event.copy.lease = Duration::ZERO;
        event
    };
    let first = claim();
    let [one, two, three] = [event("1", &first, 1), event("2", &first, 2), event("3", &first, 3)];
    // Two workers: what the other one published is not known yet.
    let mut places = Vec::new();
    for request in [&one, &three, &two] {
        let grant = granted(ledger.claim(request).await.unwrap());
        assert_eq!(grant.before, None);
        places.push(grant.place.overtaken);
    }
    assert_eq!(places, [false, false, true]);
    assert!(granted(ledger.claim(&resend(&two)).await.unwrap()).place.overtaken, "a repeat says so, too");
    // At the same time it is not older, and another leg has its own course.
    assert!(!granted(ledger.claim(&event("4", &first, 3)).await.unwrap()).place.overtaken);
    let mut elsewhere = event("5", &first, 1);
    elsewhere.leg = Some("Ann".to_owned());
    assert!(!granted(ledger.claim(&elsewhere).await.unwrap()).place.overtaken);
}

async fn where_the_provider_gives_no_time_arrival_says_what_is_overtaken(ledger: &dyn Ledger) {
    let first = claim();
    let received = |id: &str, millis| {
        let mut event = received_at(next(&first, id), millis);
        event.copy.lease = Duration::ZERO;
        event
    };
    granted(ledger.claim(&received("1", 2000)).await.unwrap());
    assert!(granted(ledger.claim(&received("2", 1999)).await.unwrap()).place.overtaken);
    assert!(!granted(ledger.claim(&received("3", 2000)).await.unwrap()).place.overtaken);
}

async fn a_mark_that_does_not_count_moves_nothing(ledger: &dyn Ledger) {
    let first = claim();
    let assigned = standing(Status::Assigned, 1);
    let grant = done(ledger, &first, assigned).await;
    let again = Mark::Published(Some(standing(Status::Delivered, 9)));
    assert!(!ledger.mark(&grant.event, again).await.unwrap());
    let after = granted(ledger.claim(&next(&first, "2")).await.unwrap());
    assert_eq!(after.before, Some(assigned));
}

async fn legs_of_one_delivery_stand_apart_and_share_the_sequence(ledger: &dyn Ledger) {
    let first = claim();
    let mut of_ann = next(&first, "2");
    of_ann.leg = Some("Ann".to_owned());
    let mut of_bob = next(&first, "3");
    of_bob.leg = Some("Bob".to_owned());
    let [whole, ann] = [standing(Status::Assigned, 3), standing(Status::Delivered, 1)];
    let one = done(ledger, &first, whole).await;
    let two = done(ledger, &of_ann, ann).await;
    let three = granted(ledger.claim(&of_bob).await.unwrap());
    assert!(ledger.mark(&three.event, Mark::Released).await.unwrap());
    of_ann.identity.provider_event_id = Some("4".to_owned());
    let four = granted(ledger.claim(&of_ann).await.unwrap());
    assert_eq!([one.before, two.before, three.before, four.before], [None, None, None, Some(ann)]);
    let sequences = [one.place.sequence, two.place.sequence, three.place.sequence, four.place.sequence];
    assert!(sequences.is_sorted_by(|one, next| one < next), "{sequences:?}");
}

async fn a_delivery_is_bounded_and_forgets_the_oldest(ledger: &dyn Ledger) {
    let first = claim();
    let event = |number: usize| {
        let mut event = received_at(next(&first, &format!("event {number}")), 1_000_000 + number as i64);
        event.leg = Some(format!("courier {}", number % (2 * KEPT_LEGS)));
        event
    };
    let parked = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&parked.event, Mark::Parked(ParkReason::Panic)).await.unwrap());
    for number in 0..MOST_FIELDS {
        done(ledger, &event(number), standing(Status::Assigned, 1)).await;
    }
    for number in MOST_FIELDS - KEPT_EVENTS / 2..MOST_FIELDS {
        assert_eq!(ledger.claim(&resend(&event(number))).await.unwrap(), Claim::Done, "{number}");
    }
    let oldest = resend(&event(0));
    assert!(matches!(ledger.claim(&oldest).await.unwrap(), Claim::Granted(_)), "it is forgotten");
    assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Stale, "what is not done is kept");
}

async fn while_an_event_is_in_hand_the_others_of_its_delivery_wait(ledger: &dyn Ledger) {
    for mark in [Mark::Released, retrying(1), Mark::Parked(ParkReason::Panic), Mark::Published(None)] {
        let first = claim();
        let grant = granted(ledger.claim(&first).await.unwrap());
        let second = next(&first, "2");
        let Claim::Behind(left) = ledger.claim(&second).await.unwrap() else { panic!("not behind") };
        assert!(left > Duration::from_secs(50) && left <= first.copy.lease, "{left:?}");
        granted(ledger.claim(&claim()).await.unwrap());
        assert!(ledger.mark(&grant.event, mark).await.unwrap());
        granted(ledger.claim(&second).await.unwrap());
    }
}

/// One that was received earlier asks again only now and then, and must not be overtaken in between.
async fn of_those_that_wait_the_one_received_first_is_next(ledger: &dyn Ledger) {
    let first = received_at(claim(), 1_000_000);
    let grant = granted(ledger.claim(&first).await.unwrap());
    let second = received_at(next(&first, "2"), 1_000_010);
    let third = received_at(next(&first, "3"), 1_000_020);
    for waits in [&third, &second, &third] {
        assert!(matches!(ledger.claim(waits).await.unwrap(), Claim::Behind(_)));
    }
    // Not even for the one that waits does a lost reply cost the one in hand its claim.
    granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    let Claim::Behind(left) = ledger.claim(&third).await.unwrap() else { panic!("it overtook another") };
    assert!(left <= first.copy.lease / 16, "{left:?}");
    let grant = granted(ledger.claim(&second).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    granted(ledger.claim(&third).await.unwrap());
}

/// Its worker may have gone away.
async fn a_waiting_event_that_asks_no_more_blocks_no_other(ledger: &dyn Ledger) {
    let mut first = received_at(claim(), 1_000_000);
    first.copy.lease = 16 * BRIEF;
    let grant = granted(ledger.claim(&first).await.unwrap());
    let second = received_at(next(&first, "2"), 1_000_010);
    assert!(matches!(ledger.claim(&second).await.unwrap(), Claim::Behind(_)));
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
    let third = received_at(next(&first, "3"), 1_000_020);
    eventually("it is not waited for any more", || async {
        matches!(ledger.claim(&third).await.unwrap(), Claim::Granted(_)).then_some(())
    })
    .await;
}

async fn a_lease_that_ran_out_holds_up_nothing(ledger: &dyn Ledger) {
    let mut first = claim();
    first.copy.lease = BRIEF;
    granted(ledger.claim(&first).await.unwrap());
    let second = next(&first, "2");
    eventually("the lease runs out", || async {
        matches!(ledger.claim(&second).await.unwrap(), Claim::Granted(_)).then_some(())
    })
    .await;
}

async fn a_lease_longer_than_any_that_is_given_is_over(ledger: &dyn Ledger) {
    let mut first = claim();
    first.copy.lease = Duration::from_secs(3600);
    granted(ledger.claim(&first).await.unwrap());
    let mut second = redelivery(&first);
    second.copy.lease = Duration::from_secs(60);
    assert_eq!(granted(ledger.claim(&second).await.unwrap()).crashes, 1, "a clock jumped");
}

async fn a_lost_state_costs_the_state_and_the_sequence_still_grows(ledger: &dyn Ledger) {
    let mut first = claim();
    first.ttl = BRIEF;
    let one = done(ledger, &first, standing(Status::Assigned, 1)).await;
    let mut at = 2;
    let lost = eventually("it is forgotten", || {
        at += 1;
        let another = next(&first, &at.to_string());
        async move {
            // A claim keeps the state alive, so the tries are further apart than it lives.
            tokio::time::sleep(2 * BRIEF).await;
            let grant = granted(ledger.claim(&another).await.unwrap());
            grant.before.is_none().then_some(grant)
        }
    })
    .await;
    assert!(lost.place.sequence > one.place.sequence);
}
