//! What the index of open deliveries promises, on both ledgers.

use std::time::Duration;

use milepost::adapters::clock::SystemClock;
use milepost::adapters::memory::MemoryLedger;
use milepost::domain::claim::{Claim, ClaimRequest, Mark};
use milepost::domain::identity::{Account, DeliveryKey};
use milepost::domain::order::{Moment, StatusOrder};
use milepost::domain::provider::Provider as _;
use milepost::domain::silence::{Cutoffs, OPEN_PHASES, UsualSilence};
use milepost::domain::state::{DeliveryState, Place};
use milepost::domain::status::{Phase, Status};
use milepost::domain::update::DeliveryUpdate;
use milepost::ports::{Ledger, OpenCount, OpenDeliveries, OpenDelivery};
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;
use uuid::Uuid;

use crate::support::fixtures::{TELYPORT, account, at, claim, received_at};
use crate::support::servers::redis_ledger;

/// A ledger, and its index.
trait Both: Ledger + OpenDeliveries {}
impl<T: Ledger + OpenDeliveries> Both for T {}

/// Makes a test of each function, on both ledgers.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                let clock = std::sync::Arc::new(super::SystemClock);
                super::$name(&super::MemoryLedger::new(clock)).await;
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
    a_delivery_is_open_from_its_first_update_until_one_closes_it
    what_a_delivery_is_asked_for_by_is_kept_with_it
    a_delivery_is_silent_since_its_last_update
    silence_is_judged_by_the_phase
    the_longest_silent_come_first_and_no_more_than_asked_for
    a_late_update_does_not_bring_a_closed_delivery_back
    a_delivery_whose_end_is_not_final_is_open_again_with_its_next_update
    an_account_is_named_as_long_as_it_has_open_deliveries
    accounts_stand_apart
    what_is_too_old_or_too_much_is_forgotten
    a_forgotten_delivery_is_open_again_with_its_next_update
}

const T0: i64 = 1_739_365_639_201;

/// Publishes an update of a delivery that was received then and is its latest.
async fn updated(ledger: &dyn Both, delivery: &DeliveryKey, status: Status, millis: i64) {
    let terminal = status.phase() == Phase::Closed;
    let after = standing(status, terminal, millis);
    published(ledger, delivery, status, millis, Some(after)).await;
}

fn standing(status: Status, terminal: bool, millis: i64) -> DeliveryState {
    let update = DeliveryUpdate { terminal, ..DeliveryUpdate::new("D-1".to_owned(), status, String::new()) };
    let moment = Moment::new(status, None, at(millis));
    let (rules, precedence) =
        (TELYPORT_PROVIDER.transitions(), StatusOrder::new(TELYPORT_PROVIDER.transitions()));
    let (_, state) =
        DeliveryState::advance(None, Place::at(1), &update, moment, rules, precedence.of(status));
    state.expect("a first update")
}

async fn published(
    ledger: &dyn Both,
    delivery: &DeliveryKey,
    status: Status,
    millis: i64,
    after: Option<DeliveryState>,
) {
    let base = claim();
    let mut request = ClaimRequest { delivery: delivery.clone(), ..received_at(base, millis) };
    request.identity.provider_event_id = Some(format!("{}/{millis}", status.as_str()));
    let Claim::Granted(grant) = ledger.claim(&request).await.unwrap() else { panic!("not granted") };
    assert!(ledger.mark(&grant.event, Mark::Published(after)).await.unwrap());
}

fn delivery() -> DeliveryKey {
    DeliveryKey { provider: TELYPORT, account: account(), delivery_id: Uuid::new_v4().to_string() }
}

async fn open(ledger: &dyn Both) -> Vec<OpenDelivery> {
    let everything = Cutoffs::at(at(T0 * 2));
    ledger.silent(TELYPORT, &account(), &everything, 100).await.unwrap()
}

async fn counted(ledger: &dyn Both, cutoffs: &Cutoffs) -> Vec<(Phase, u64, u64)> {
    let counts = ledger.count(TELYPORT, &account(), cutoffs).await.unwrap();
    assert_eq!(counts.iter().map(|count| count.phase).collect::<Vec<_>>(), OPEN_PHASES);
    let some = counts.into_iter().filter(|count| count.open > 0);
    some.map(|OpenCount { phase, open, silent }| (phase, open, silent)).collect()
}

async fn a_delivery_is_open_from_its_first_update_until_one_closes_it(ledger: &dyn Both) {
    let one = delivery();
    updated(ledger, &one, Status::Assigned, T0).await;
    let expected =
        OpenDelivery { delivery: one.clone(), address: None, phase: Phase::Pickup, updated_at: at(T0) };
    assert_eq!(open(ledger).await, [expected]);
    updated(ledger, &one, Status::PickedUp, T0 + 1).await;
    assert_eq!(open(ledger).await.iter().map(|open| open.phase).collect::<Vec<_>>(), [Phase::Transit]);
    updated(ledger, &one, Status::Delivered, T0 + 2).await;
    assert_eq!(open(ledger).await, []);
}

async fn what_a_delivery_is_asked_for_by_is_kept_with_it(ledger: &dyn Both) {
    let one = delivery();
    let request =
        ClaimRequest { delivery: one.clone(), address: Some("3r4s3-1/5dpm9".to_owned()), ..claim() };
    let Claim::Granted(grant) = ledger.claim(&request).await.unwrap() else { panic!("not granted") };
    let after = standing(Status::Assigned, false, T0);
    assert!(ledger.mark(&grant.event, Mark::Published(Some(after))).await.unwrap());
    assert_eq!(open(ledger).await[0].address.as_deref(), Some("3r4s3-1/5dpm9"));
    ledger.forget(&one).await.unwrap();
    updated(ledger, &one, Status::PickedUp, T0 + 1).await;
    assert_eq!(open(ledger).await[0].address, None);
}

async fn a_delivery_is_silent_since_its_last_update(ledger: &dyn Both) {
    let one = delivery();
    updated(ledger, &one, Status::Assigned, T0).await;
    updated(ledger, &one, Status::PickupArrived, T0 + 1000).await;
    for (millis, silent) in [(T0 + 1000, 0), (T0 + 1001, 1)] {
        let cutoffs = Cutoffs::at(at(millis));
        assert_eq!(counted(ledger, &cutoffs).await, [(Phase::Pickup, 1, silent)]);
        let listed = ledger.silent(TELYPORT, &account(), &cutoffs, 10).await.unwrap();
        assert_eq!(listed.len() as u64, silent);
    }
}

async fn silence_is_judged_by_the_phase(ledger: &dyn Both) {
    let (planned, dropoff) = (delivery(), delivery());
    updated(ledger, &planned, Status::Created, T0).await;
    updated(ledger, &dropoff, Status::DropoffArrived, T0).await;
    let usual = UsualSilence::IN_A_CITY.with(Phase::Dropoff, Duration::from_secs(60));
    let cutoffs = usual.cutoffs(at(T0 + 61_000));
    assert_eq!(counted(ledger, &cutoffs).await, [(Phase::Planned, 1, 0), (Phase::Dropoff, 1, 1)]);
    let silent = ledger.silent(TELYPORT, &account(), &cutoffs, 10).await.unwrap();
    assert_eq!(silent.into_iter().map(|open| open.delivery).collect::<Vec<_>>(), [dropoff]);
}

async fn the_longest_silent_come_first_and_no_more_than_asked_for(ledger: &dyn Both) {
    let (first, second, third) = (delivery(), delivery(), delivery());
    updated(ledger, &third, Status::Created, T0 + 3).await;
    updated(ledger, &first, Status::PickedUp, T0 + 1).await;
    updated(ledger, &second, Status::Assigned, T0 + 2).await;
    let everything = Cutoffs::at(at(T0 * 2));
    let silent = ledger.silent(TELYPORT, &account(), &everything, 2).await.unwrap();
    assert_eq!(silent.into_iter().map(|open| open.delivery).collect::<Vec<_>>(), [first, second]);
}

async fn a_late_update_does_not_bring_a_closed_delivery_back(ledger: &dyn Both) {
    let one = delivery();
    updated(ledger, &one, Status::Delivered, T0 + 10).await;
    published(ledger, &one, Status::Assigned, T0, None).await;
    assert_eq!(open(ledger).await, []);
}

async fn a_delivery_whose_end_is_not_final_is_open_again_with_its_next_update(ledger: &dyn Both) {
    let one = delivery();
    let failed = standing(Status::Failed, false, T0);
    published(ledger, &one, Status::Failed, T0, Some(failed)).await;
    assert_eq!(open(ledger).await, []);
    updated(ledger, &one, Status::StagedForDelivery, T0 + 1).await;
    assert_eq!(open(ledger).await.len(), 1);
}

async fn an_account_is_named_as_long_as_it_has_open_deliveries(ledger: &dyn Both) {
    let one = delivery();
    updated(ledger, &one, Status::Created, T0).await;
    assert!(ledger.accounts(TELYPORT).await.unwrap().contains(&account()));
    updated(ledger, &one, Status::Cancelled, T0 + 1).await;
    ledger.trim(TELYPORT, &account(), at(0), 10).await.unwrap();
    assert!(!ledger.accounts(TELYPORT).await.unwrap().contains(&account()));
}

async fn accounts_stand_apart(ledger: &dyn Both) {
    let other: Account = format!("o-{}", Uuid::new_v4().simple()).parse().unwrap();
    let mine = delivery();
    let theirs = DeliveryKey { account: other.clone(), ..mine.clone() };
    updated(ledger, &mine, Status::Created, T0).await;
    updated(ledger, &theirs, Status::PickedUp, T0).await;
    let everything = Cutoffs::at(at(T0 * 2));
    let silent = ledger.silent(TELYPORT, &other, &everything, 10).await.unwrap();
    assert_eq!(silent.into_iter().map(|open| open.delivery).collect::<Vec<_>>(), [theirs]);
    ledger.forget(&mine).await.unwrap();
    assert_eq!(ledger.silent(TELYPORT, &other, &everything, 10).await.unwrap().len(), 1);
}

async fn what_is_too_old_or_too_much_is_forgotten(ledger: &dyn Both) {
    let deliveries = [(); 5].map(|()| delivery());
    let statuses =
        [Status::Created, Status::Assigned, Status::PickedUp, Status::DropoffArrived, Status::Created];
    for ((one, status), later) in deliveries.iter().zip(statuses).zip(0..) {
        updated(ledger, one, status, T0 + later).await;
    }
    ledger.trim(TELYPORT, &account(), at(T0 + 1), 10).await.unwrap();
    assert_eq!(open(ledger).await.len(), 4, "the first is older than the oldest that counts");
    ledger.trim(TELYPORT, &account(), at(T0 + 1), 2).await.unwrap();
    let left: Vec<_> = open(ledger).await.into_iter().map(|open| open.delivery).collect();
    assert_eq!(left, deliveries[3..]);
}

async fn a_forgotten_delivery_is_open_again_with_its_next_update(ledger: &dyn Both) {
    let one = delivery();
    updated(ledger, &one, Status::Assigned, T0).await;
    ledger.forget(&one).await.unwrap();
    assert_eq!(open(ledger).await, []);
    updated(ledger, &one, Status::PickedUp, T0 + 1).await;
    assert_eq!(open(ledger).await.len(), 1);
}
