//! Which update is late: each rule by example, and what a subscriber may rely on as a property.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use milepost::domain::order::{Moment, StatusOrder, TimeKind, is_believed};
use milepost::domain::provider::Provider;
use milepost::domain::state::{DeliveryState, Order, Place};
use milepost::domain::status::Status;
use milepost::domain::update::DeliveryUpdate;
use milepost::providers::{DASH, DELIVERECT, EXPRESS_247, SAMPLE_SOURCES, TELYPORT};
use proptest::prelude::*;
use proptest::sample::SizeRange;
use serde_json::json;

use crate::support::{personal, update};

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(1_739_365_639_000 + (seconds * 1000.0) as i64).expect("in range")
}

fn moment(status: Status, time: Option<(f64, TimeKind)>, received: f64) -> Moment {
    Moment::new(status, time.map(|(seconds, kind)| (at(seconds), kind)), at(received))
}

/// What the second of two updates is called.
fn second(provider: &dyn Provider, first: Moment, second: Moment) -> Order {
    let rules = provider.transitions();
    let order = StatusOrder::new(rules);
    let mut state = None;
    let mut last = None;
    for moment in [first, second] {
        let update = DeliveryUpdate::new("D".to_owned(), moment.status, String::new());
        let precedence = order.of(moment.status);
        let (course, after) =
            DeliveryState::advance(state.as_ref(), Place::at(1), &update, moment, rules, precedence);
        state = after.or(state);
        last = Some(course.order);
    }
    last.expect("two updates")
}

const CHANGE: TimeKind = TimeKind::Change;
const SUBSTITUTE: TimeKind = TimeKind::Substitute;
const ASKED: TimeKind = TimeKind::Asked;

#[test]
fn a_time_far_after_the_receipt_orders_nothing() {
    // 5 h 30 min ahead: India's time read as UTC.
    let ahead = moment(Status::Assigned, Some((19_800.0, CHANGE)), 1.0);
    assert_eq!(ahead.event_time, None);
    let delivered = moment(Status::Delivered, Some((600.0, CHANGE)), 601.0);
    assert_ne!(second(&TELYPORT, ahead, delivered), Order::Late);
    assert!(is_believed(at(120.0), at(0.0)) && !is_believed(at(120.001), at(0.0)));
}

#[test]
fn a_legal_step_forward_is_not_late_for_a_small_contradiction_of_times() {
    let pending = moment(Status::PickedUp, Some((1.0, CHANGE)), 2.0);
    let in_delivery = moment(Status::DropoffEnRoute, Some((0.0, SUBSTITUTE)), 3.0);
    assert_eq!(second(&DASH, pending, in_delivery), Order::InOrder);
    let created = moment(Status::Created, Some((5.0, SUBSTITUTE)), 6.0);
    let started = moment(Status::Assigned, Some((3.0, CHANGE)), 7.0);
    assert_eq!(second(&TELYPORT, created, started), Order::InOrder);
    // The same two in the other order.
    assert_eq!(second(&DASH, in_delivery, pending), Order::Late);
    assert_eq!(second(&TELYPORT, started, created), Order::Late);
}

/// The moment of a webhook, and what its time is the time of.
fn decoded(provider: &dyn Provider, body: &serde_json::Value, received: f64) -> (Moment, TimeKind) {
    let decoded = update(provider, &body.to_string());
    let time = decoded.update.event_time.as_ref().map(|time| (time.utc, decoded.time_kind));
    (Moment::new(decoded.update.status, time, at(received)), decoded.time_kind)
}

#[test]
fn dash_tells_a_status_by_a_time_of_its_own_and_is_in_order() {
    let id = "DE-1";
    let pending =
        json!({"deliveryID": id, "status": "PENDING_DELIVERY", "updatedAt": "2025-02-12T13:07:20Z"});
    let in_delivery = json!({"deliveryID": id, "status": "IN_DELIVERY", "pickupAt": "2025-02-12T13:07:19Z"});
    let (pending, of_change) = decoded(&DASH, &pending, 2.0);
    let (in_delivery, substitute) = decoded(&DASH, &in_delivery, 3.0);
    assert_eq!((of_change, substitute), (CHANGE, SUBSTITUTE));
    assert_eq!(pending.event_time.expect("read").at, at(1.0));
    assert_eq!(in_delivery.event_time.expect("read").at, at(0.0));
    assert_eq!(second(&DASH, pending, in_delivery), Order::InOrder);
}

#[test]
fn telyport_tells_a_status_by_the_time_of_its_sending_and_is_in_order() {
    let order = |status: &str| json!({"orderID": "IN1", "status": status});
    let mut created = json!({"event": "ORDER.CREATED", "data": order("NEW")});
    created["timestamp"] = json!("2025-02-12T12:00:05Z");
    let mut started = json!({"event": "ORDER.STATUS_UPDATED", "data": order("STARTED")});
    started["data"]["updatedAt"] = json!("2025-02-12T12:00:03Z");
    let (created, substitute) = decoded(&TELYPORT, &created, 0.0);
    let (started, of_change) = decoded(&TELYPORT, &started, 1.0);
    assert_eq!((substitute, of_change), (SUBSTITUTE, CHANGE));
    let apart = created.event_time.expect("read").at.duration_since(started.event_time.expect("read").at);
    assert_eq!(apart, SignedDuration::from_secs(2));
    assert_eq!(second(&TELYPORT, created, started), Order::InOrder);
}

#[test]
fn a_step_back_that_the_provider_has_is_judged_by_times_of_one_kind() {
    let started = moment(Status::Assigned, Some((10.0, CHANGE)), 11.0);
    let unassigned = |seconds| moment(Status::Created, Some((seconds, CHANGE)), 12.0);
    assert_eq!(second(&TELYPORT, started, unassigned(11.0)), Order::InOrder);
    assert_eq!(second(&TELYPORT, started, unassigned(9.0)), Order::Late);
    let held = moment(Status::OnHold, Some((10.0, CHANGE)), 11.0);
    let again = moment(Status::DropoffEnRoute, Some((20.0, CHANGE)), 21.0);
    assert_eq!(second(&EXPRESS_247, held, again), Order::InOrder);
}

#[test]
fn without_times_a_step_back_soon_after_is_a_message_that_was_overtaken() {
    let cancelled = moment(Status::Cancelled, None, 100.0);
    let created = |received| moment(Status::Created, None, received);
    assert_eq!(second(&DELIVERECT, cancelled, created(101.0)), Order::Late);
    assert_eq!(second(&DELIVERECT, cancelled, created(400.0)), Order::InOrder, "another attempt");
    // No step leads back from here, however late.
    let dropoff = moment(Status::DropoffArrived, None, 100.0);
    assert_eq!(second(&DELIVERECT, dropoff, moment(Status::Assigned, None, 9000.0)), Order::Late);
}

#[test]
fn the_same_status_is_ordered_by_time_and_then_by_receipt() {
    let moved = |seconds, received| moment(Status::DropoffEnRoute, seconds, received);
    assert_eq!(second(&DELIVERECT, moved(None, 10.0), moved(None, 9.0)), Order::Late);
    assert_eq!(second(&DELIVERECT, moved(None, 10.0), moved(None, 10.0)), Order::InOrder);
    let timed = |seconds, received| moved(Some((seconds, CHANGE)), received);
    assert_eq!(second(&EXPRESS_247, timed(10.0, 11.0), timed(9.0, 12.0)), Order::Late);
    assert_eq!(second(&EXPRESS_247, timed(9.0, 12.0), timed(10.0, 11.0)), Order::InOrder);
}

#[test]
fn times_far_apart_decide_whatever_the_statuses_say() {
    let started = moment(Status::Assigned, Some((1000.0, CHANGE)), 1001.0);
    let old = moment(Status::PickedUp, Some((0.0, CHANGE)), 1002.0);
    assert_eq!(second(&TELYPORT, started, old), Order::Late);
}

#[test]
fn a_state_that_was_asked_for_stands_from_then_on() {
    // Asked at 1,000 s; 247Express's answers have no time.
    let back_on_the_road = moment(Status::DropoffEnRoute, Some((1000.0, ASKED)), 1000.0);
    let held = |time, received| moment(Status::OnHold, Some((time, CHANGE)), received);
    assert_eq!(
        second(&EXPRESS_247, held(990.0, 991.0), back_on_the_road),
        Order::InOrder,
        "a legal step back"
    );
    assert_eq!(second(&EXPRESS_247, back_on_the_road, held(990.0, 1100.0)), Order::Late, "sent again");
    assert_eq!(
        second(&EXPRESS_247, back_on_the_road, held(1090.0, 1100.0)),
        Order::InOrder,
        "held once more"
    );
    // A step forward is one, also by a provider's clock that is an hour slow; and a step back that there is not is none.
    let delivered = moment(Status::Delivered, Some((-2500.0, CHANGE)), 1100.0);
    assert_eq!(second(&EXPRESS_247, back_on_the_road, delivered), Order::InOrder);
    assert_eq!(second(&EXPRESS_247, delivered, back_on_the_road), Order::Late, "an answer of before");
}

#[test]
fn a_moment_is_kept_as_text() {
    let kept = moment(Status::Assigned, Some((1.5, SUBSTITUTE)), 2.0);
    assert_eq!(kept.to_string(), "1739365640500000,s,1739365641000,F");
    assert_eq!(kept.to_string().parse::<Moment>().expect("a moment"), kept);
    let asked = moment(Status::Assigned, Some((2.0, ASKED)), 2.0);
    assert_eq!(asked.to_string(), "1739365641000000,a,1739365641000,F");
    assert_eq!(asked.to_string().parse::<Moment>().expect("a moment"), asked);
    let silent = moment(Status::Unknown, None, 2.0);
    assert_eq!(silent.to_string(), ",c,1739365641000,Z");
    assert_eq!(silent.to_string().parse::<Moment>().expect("a moment"), silent);
}

/// A provider's whole delivery, the order in which its steps arrive, and how far each clock is off, in ms.
fn arrival() -> impl Strategy<Value = (usize, usize, Vec<usize>, Vec<i64>)> {
    let journeys: Vec<_> = (0..SAMPLE_SOURCES.len())
        .flat_map(|at| (0..SAMPLE_SOURCES[at].journeys().len()).map(move |of| (at, of)))
        .collect();
    proptest::sample::select(journeys).prop_flat_map(|(provider, journey)| {
        let steps = SAMPLE_SOURCES[provider].journeys()[journey].steps.len();
        let order = Just((0..steps).collect::<Vec<_>>()).prop_shuffle();
        let skews = proptest::collection::vec(-59_000..=59_000_i64, SizeRange::from(2 * steps));
        (Just(provider), Just(journey), order, skews)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    /// A subscriber that takes each update that is not late, the last of the highest sequence, ends with the journey's last
    /// status: in any order of arrival, and with every clock off by up to a minute, so that two differ by less than the
    /// tolerance. A status that occurs twice in a journey is a step back, which only times of one kind can tell from a message
    /// that was overtaken: there the provider's clock is right.
    #[test]
    fn a_subscriber_ends_with_the_last_status_of_the_journey((provider, journey, order, skews) in arrival()) {
        let provider = SAMPLE_SOURCES[provider];
        let steps = provider.journeys()[journey].steps;
        let rules = provider.transitions();
        let statuses = StatusOrder::new(rules);
        let begun = at(0.0);
        let decoded: Vec<_> = (0..)
            .zip(steps)
            .map(|(step, name)| update(provider, &personal(provider, name, step, &begun.to_string()).to_string()))
            .collect();
        let repeats = (1..decoded.len()).any(|at| {
            let status = decoded[at].update.status;
            status != decoded[at - 1].update.status && decoded[..at].iter().any(|step| step.update.status == status)
        });
        let mut states = BTreeMap::new();
        let mut shown = BTreeMap::new();
        for (arrived, &step) in (0_i64..).zip(&order) {
            let skew = |of: usize| SignedDuration::from_millis(skews[of]);
            let step_of = &decoded[step];
            let happened = begun + SignedDuration::from_secs(20 * step as i64);
            let told = if repeats { happened } else { happened + skew(step) };
            let event_time = step_of.update.event_time.as_ref().map(|_| (told, step_of.time_kind));
            let received = begun + SignedDuration::from_secs(20 * arrived + 600) + skew(steps.len() + step) / 60;
            let received = if event_time.is_some() { received } else { received - SignedDuration::from_secs(500) };
            let moment = Moment::new(step_of.update.status, event_time, received);
            let before: Option<DeliveryState> = states.get(&step_of.leg).copied();
            let precedence = statuses.of(moment.status);
            let place = Place::at(arrived.unsigned_abs());
            let (course, after) =
                DeliveryState::advance(before.as_ref(), place, &step_of.update, moment, rules, precedence);
            if let Some(after) = after {
                states.insert(step_of.leg.clone(), after);
            }
            if course.order != Order::Late {
                shown.insert(step_of.leg.clone(), moment.status);
            }
        }
        // Where several couriers carry it, each has a course of its own.
        let last: BTreeMap<_, _> = decoded.iter().map(|step| (step.leg.clone(), step.update.status)).collect();
        prop_assert_eq!(shown, last, "{} {:?} {:?} in {:?}", provider.id(), steps, skews, order);
    }
}
