//! What a delivery's updates add up to.

use milepost::sinks::hubrise::core::course::{Statement, Statements};
use milepost::sinks::hubrise::core::stage::{Effect, Overrides, Stage};
use proptest::prelude::*;
use serde_json::json;

use super::{NINE, SECOND, update};

/// `status` after `previous`, in the provider's own order; at nine and as many seconds as its number.
fn claim(sequence: u64, previous: Option<&str>, status: &str) -> Option<Statement> {
    let seconds = i64::try_from(sequence).expect("small");
    let time = jiff::Timestamp::from_millisecond(NINE + seconds * SECOND).expect("a time");
    let mut data = json!({ "time": time.to_string() });
    if let Some(previous) = previous {
        data["previous_status"] = json!(previous);
    }
    Statement::of(&update(sequence, status, &data), &Overrides::new())
}

fn course(statuses: &[&str]) -> Statements {
    let mut course = Statements::default();
    let mut previous = None;
    for (sequence, &status) in (1..).zip(statuses) {
        if let Some(claim) = claim(sequence, previous, status) {
            course.add(claim);
        }
        previous = Some(status);
    }
    course
}

fn stage(statuses: &[&str]) -> Option<&'static str> {
    course(statuses).conclusion().map(|conclusion| conclusion.stage.as_str())
}

#[test]
fn a_delivery_goes_forwards() {
    for (statuses, expected) in [
        (&["created"][..], Some("pending")),
        (&["on_hold"], None),
        (&["created", "assigned", "pickup_arrived"], Some("pickup_waiting")),
        (&["created", "assigned", "picked_up", "on_hold"], Some("dropoff_enroute")),
        (&["assigned", "picked_up", "dropoff_arrived", "hub_arrived"], Some("dropoff_waiting")),
        (&["verified", "staged_for_delivery", "dropoff_en_route"], Some("dropoff_enroute")),
        (&["picked_up", "staged_for_delivery"], Some("dropoff_enroute")),
        (&["assigned", "delivered"], Some("delivered")),
        (&["assigned", "delivered", "unknown"], Some("delivered")),
        (&["cancelled", "delivered"], Some("delivered")),
        (&["delivered", "cancelled"], Some("cancelled")),
        (&["return_initiated", "returned"], Some("cancelled")),
    ] {
        assert_eq!(stage(statuses), expected, "{statuses:?}");
    }
}

#[test]
fn it_starts_over_when_the_providers_own_rules_go_back() {
    // Telyport's unassignment, Dash's reassignment, Deliverect's new attempt, Dash's further attempt.
    assert_eq!(stage(&["created", "assigned", "created"]), Some("pending"));
    assert_eq!(stage(&["assigned", "pickup_en_route", "picked_up", "assigned"]), Some("pickup_enroute"));
    assert_eq!(stage(&["assigned", "cancelled", "assigned"]), Some("pickup_enroute"));
    assert_eq!(stage(&["dropoff_en_route", "failed", "staged_for_delivery"]), Some("pending"));
}

#[test]
fn a_step_back_that_no_rule_has_is_not_shown() {
    let mut course = course(&["assigned", "picked_up"]);
    let back = json!({ "previous_status": "picked_up", "order": "unexpected" });
    course.add(Statement::of(&update(3, "assigned", &back), &Overrides::new()).expect("a claim"));
    assert_eq!(course.conclusion().map(|conclusion| conclusion.stage), Some(Stage::DropoffEnroute));
    // Of what was before `unknown` nothing is known, so that `in_order` proves nothing.
    let back = json!({ "previous_status": "unknown", "order": "in_order" });
    course.add(Statement::of(&update(4, "assigned", &back), &Overrides::new()).expect("a claim"));
    assert_eq!(course.conclusion().map(|conclusion| conclusion.stage), Some(Stage::DropoffEnroute));
}

#[test]
fn a_status_that_a_connection_does_not_show_still_was() {
    let overrides = Overrides::from([("picked_up".to_owned(), Effect::Keep)]);
    let back = update(3, "assigned", &json!({ "previous_status": "picked_up" }));
    assert!(Statement::of(&back, &overrides).expect("a claim").restarts);
}

#[test]
fn times_are_those_of_the_first_of_each() {
    let seconds = |ms: Option<i64>| ms.map(|ms| (ms - NINE) / SECOND);
    let conclusion = course(&["assigned", "pickup_en_route", "picked_up", "dropoff_en_route", "delivered"])
        .conclusion()
        .expect("a conclusion");
    assert_eq!(seconds(conclusion.assigned_at_ms), Some(1));
    assert_eq!(seconds(conclusion.pickup_at_ms), Some(3));
    assert_eq!(seconds(conclusion.closed_at_ms), Some(5));
    // Another courier's.
    let again = course(&["assigned", "picked_up", "assigned"]).conclusion().expect("a conclusion");
    assert_eq!((seconds(again.assigned_at_ms), again.pickup_at_ms), (Some(3), None));
}

const STATUSES: [&str; 12] = [
    "created",
    "assigned",
    "pickup_en_route",
    "pickup_arrived",
    "picked_up",
    "hub_arrived",
    "dropoff_en_route",
    "dropoff_arrived",
    "on_hold",
    "delivered",
    "cancelled",
    "unknown",
];

proptest! {
    #[test]
    fn the_order_in_which_they_are_taken_in_does_not_matter(
        statuses in prop::collection::vec(prop::sample::select(&STATUSES[..]), 1..14),
        order in prop::collection::vec(any::<prop::sample::Index>(), 30),
    ) {
        let claims = course_claims(&statuses);
        let mut shuffled = Statements::default();
        for index in order {
            if let Some(claim) = claims.get(index.index(claims.len().max(1))) {
                shuffled.add(*claim);
            }
        }
        for claim in &claims {
            shuffled.add(*claim);
        }
        prop_assert_eq!(shuffled.conclusion(), course(&statuses).conclusion());
    }

    #[test]
    fn it_stays_small(sequences in prop::collection::vec((0..1000_u64, 0..12_usize), 0..300)) {
        let mut course = Statements::default();
        for (sequence, status) in sequences {
            if let Some(claim) = claim(sequence, None, STATUSES[status]) {
                course.add(claim);
            }
        }
        prop_assert!(course.claims().len() <= 40);
        prop_assert!(course.claims().is_sorted_by_key(|claim| claim.sequence));
    }
}

fn course_claims(statuses: &[&str]) -> Vec<Statement> {
    let mut previous = None;
    let mut claims = Vec::new();
    for (sequence, &status) in (1..).zip(statuses) {
        claims.extend(claim(sequence, previous, status));
        previous = Some(status);
    }
    claims
}
