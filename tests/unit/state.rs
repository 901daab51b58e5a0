//! A delivery's state, and what an update changes about it.

use jiff::Timestamp;
use milepost::domain::instant::ProviderTime;
use milepost::domain::order::{Moment, StatusOrder, TimeKind};
use milepost::domain::state::{Change, Course, DeliveryState, Order, Place};
use milepost::domain::status::Status;
use milepost::domain::transitions::Transitions;
use milepost::domain::update::{Courier, DeliveryUpdate, Eta, Position, Proof, Reason, References};
use proptest::prelude::*;

static RULES: Transitions = Transitions {
    table: &[(Status::Assigned, &[Status::Created])],
    steps: &[Status::Created, Status::Assigned, Status::PickedUp, Status::Delivered],
    ends: &[Status::Cancelled],
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_739_365_639 + seconds).expect("in range")
}

fn time(seconds: i64) -> ProviderTime {
    ProviderTime { utc: at(seconds), original: String::new() }
}

fn said(status: Status, seconds: i64) -> DeliveryUpdate {
    let update = DeliveryUpdate::new("D-1".to_owned(), status, status.as_str().to_owned());
    DeliveryUpdate { event_time: Some(time(seconds)), ..update }
}

/// What `update` is after `before`, received at second `received`.
fn advance(
    before: Option<&DeliveryState>,
    update: &DeliveryUpdate,
    received: i64,
) -> (Course, Option<DeliveryState>) {
    advance_at(before, Place::at(7), update, at(received))
}

fn advance_at(
    before: Option<&DeliveryState>,
    place: Place,
    update: &DeliveryUpdate,
    received_at: Timestamp,
) -> (Course, Option<DeliveryState>) {
    let event_time = update.event_time.as_ref().map(|time| (time.utc, TimeKind::Change));
    let moment = Moment::new(update.status, event_time, received_at);
    let precedence = StatusOrder::new(&RULES).of(update.status);
    DeliveryState::advance(before, place, update, moment, &RULES, precedence)
}

/// A delivery's state after updates that each move it on.
fn after(updates: &[DeliveryUpdate]) -> DeliveryState {
    let mut state = None;
    for update in updates {
        state = advance(state.as_ref(), update, 100).1.or_else(|| panic!("{update:?} moves nothing"));
    }
    state.expect("an update")
}

fn courier(name: &str) -> Option<Courier> {
    Some(Courier { name: Some(name.to_owned()), ..Courier::default() })
}

#[test]
fn a_first_update_changes_every_part_that_it_has() {
    let update = DeliveryUpdate { courier: courier("Ann"), ..said(Status::PickedUp, 0) };
    let (course, state) = advance(None, &update, 1);
    let expected = Course {
        sequence: 7,
        order: Order::InOrder,
        changes: vec![Change::Status, Change::Courier],
        previous_status: None,
    };
    assert_eq!(course, expected);
    assert_eq!(state.map(|state| state.status()), Some(Status::PickedUp));
}

#[test]
fn changes_list_exactly_the_parts_that_differ() {
    let position = || Position::new("1.5".parse().expect("a decimal"), "2".parse().expect("a decimal"));
    let base = said(Status::Assigned, 0);
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (Change::Courier, DeliveryUpdate { courier: courier("Ann"), ..base.clone() }),
        (Change::Position, DeliveryUpdate { position: position(), ..base.clone() }),
        (
            Change::Eta,
            DeliveryUpdate {
                eta: Eta { pickup_at: Some(time(9)), dropoff_at: None }.known(),
                ..base.clone()
            },
        ),
        (
            Change::Proof,
            DeliveryUpdate { proof: vec![Proof { url: text("u"), ..Proof::default() }], ..base.clone() },
        ),
        (
            Change::Reason,
            DeliveryUpdate { reason: Some(Reason { code: text("c"), ..Reason::default() }), ..base.clone() },
        ),
        (
            Change::Reference,
            DeliveryUpdate {
                references: Some(References { order: text("o"), ..References::default() }),
                ..base.clone()
            },
        ),
        (Change::None, base.clone()),
    ];
    for (change, update) in cases {
        let before = after(std::slice::from_ref(&base));
        let (course, state) = advance(Some(&before), &update, 100);
        assert_eq!((course.order, course.changes), (Order::InOrder, vec![change]));
        assert_eq!(course.previous_status, Some(Status::Assigned));
        // Left out afterwards, it stays as it was; said again, it is nothing new.
        let state = state.expect("moved on");
        for again in [&base, &update] {
            assert_eq!(advance(Some(&state), again, 100).0.changes, [Change::None], "{change:?}");
        }
    }
}

#[test]
fn a_delivery_that_is_only_planned_again_has_lost_its_courier() {
    let before = after(&[DeliveryUpdate { courier: courier("Ann"), ..said(Status::Assigned, 0) }]);
    let (course, state) = advance(Some(&before), &said(Status::Created, 1), 100);
    assert_eq!((course.order, course.changes), (Order::InOrder, vec![Change::Status, Change::Courier]));
    let again = DeliveryUpdate { courier: courier("Ann"), ..said(Status::Assigned, 2) };
    let (course, _) = advance(state.as_ref(), &again, 100);
    assert_eq!(course.changes, [Change::Status, Change::Courier]);
}

#[test]
fn an_older_update_is_late_and_moves_nothing() {
    let before = after(&[said(Status::Created, 0), said(Status::PickedUp, 10)]);
    let (course, state) = advance(Some(&before), &said(Status::Assigned, 9), 200);
    assert_eq!((course.order, course.previous_status), (Order::Late, Some(Status::PickedUp)));
    assert_eq!(state, None);
    // At the same instant it is not older.
    assert_eq!(advance(Some(&before), &said(Status::Delivered, 10), 50).0.order, Order::InOrder);
}

#[test]
fn an_overtaken_update_is_late_after_any_state() {
    let update = said(Status::Assigned, 9);
    let place = Place { sequence: 7, overtaken: true };
    for before in [None, Some(&after(&[said(Status::Created, 0)]))] {
        let (course, state) = advance_at(before, place, &update, at(9));
        assert_eq!((course.order, course.sequence, state), (Order::Late, 7, None));
    }
}

#[test]
fn where_the_provider_gives_no_time_arrival_decides() {
    let silent = |status| DeliveryUpdate { event_time: None, ..said(status, 0) };
    let before = after(&[silent(Status::Created)]);
    let (late, _) = advance(Some(&before), &silent(Status::Created), 99);
    let (next, _) = advance(Some(&before), &silent(Status::Created), 100);
    assert_eq!((late.order, next.order), (Order::Late, Order::InOrder));
    // One that has a time after one that has none is compared by arrival, too.
    let (course, _) = advance(Some(&before), &said(Status::Created, -1000), 101);
    assert_eq!(course.order, Order::InOrder);
}

#[test]
fn a_transition_that_the_rules_lack_is_unexpected() {
    let before = after(&[said(Status::PickedUp, 0)]);
    let (course, state) = advance(Some(&before), &said(Status::Created, 300), 400);
    assert_eq!(course.order, Order::Unexpected);
    assert_eq!(state.map(|state| state.status()), Some(Status::Created));
    // Backwards where it is documented, a skip, an end, an unknown word, the same again: as expected.
    let assigned = after(&[said(Status::Assigned, 0)]);
    for status in [Status::Created, Status::Delivered, Status::Cancelled, Status::Unknown, Status::Assigned] {
        assert_eq!(advance(Some(&assigned), &said(status, 1), 100).0.order, Order::InOrder, "{status:?}");
    }
    let unknown = after(&[said(Status::Unknown, 0)]);
    assert_eq!(advance(Some(&unknown), &said(Status::Created, 1), 100).0.order, Order::InOrder);
}

#[test]
fn nothing_reopens_a_closed_delivery_unexpectedly() {
    let delivered = after(&[said(Status::Delivered, 0)]);
    let (course, state) = advance(Some(&delivered), &said(Status::Assigned, 300), 400);
    assert_eq!((course.order, state), (Order::Unexpected, None));
    // It may still be closed otherwise.
    let (course, state) = advance(Some(&delivered), &said(Status::Cancelled, 1), 100);
    assert_eq!(course.order, Order::Unexpected);
    assert_eq!(state.map(|state| state.status()), Some(Status::Cancelled));
}

#[test]
fn text_that_is_no_state_is_refused() {
    let text = after(&[said(Status::Assigned, 0)]).to_string();
    assert!(text.parse::<DeliveryState>().is_ok());
    let cut = &text[..text.len() - 1];
    let broken = ["", ",,,,,", cut, &text.replace(",F,", ",f,"), &text.replace(",17", ",x17"), "é,é,é,é,é,é"];
    for broken in broken {
        assert!(broken.parse::<DeliveryState>().is_err(), "{broken}");
    }
}

proptest! {
    /// A state in the ledger is read back unchanged, and stays small for all that a provider can send.
    #[test]
    fn a_state_survives_the_ledger(
        status in 0..Status::ALL.len(),
        micros in proptest::option::of(0..4_000_000_000_000_000_i64),
        received in 0..4_000_000_000_000_i64,
        name in ".{0,2000}",
    ) {
        let event_time = micros.map(|micros| Timestamp::from_microsecond(micros).expect("in range"));
        let update = DeliveryUpdate {
            event_time: event_time.map(|utc| ProviderTime { utc, original: name.clone() }),
            courier: courier(&name),
            ..said(Status::ALL[status], 0)
        };
        let received_at = Timestamp::from_millisecond(received).expect("in range");
        let (_, state) = advance_at(None, Place::at(1), &update, received_at);
        let state = state.expect("a first update");
        let text = state.to_string();
        prop_assert_eq!(text.parse::<DeliveryState>().expect("a state"), state);
        // With the flag before it: what Redis keeps compactly.
        prop_assert!(text.len() + 2 <= 64, "{}", text);
    }
}
