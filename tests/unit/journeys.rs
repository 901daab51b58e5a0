//! The journeys of every provider: each tells one delivery, in order, with its samples.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use milepost::domain::order::{Moment, StatusOrder};
use milepost::domain::provider::DecodedUpdate;
use milepost::domain::samples::SampleSource;
use milepost::domain::state::{Change, DeliveryState, Order, Place};
use milepost::domain::status::{Phase, Status};
use milepost::providers::SAMPLE_SOURCES;

use crate::support::{personal, update};

fn begun() -> Timestamp {
    "2025-02-12T13:07:19.2010003Z".parse().expect("a time")
}

/// The updates that the steps become.
fn told(provider: &dyn SampleSource, steps: &[&str]) -> Vec<DecodedUpdate> {
    let step = |(step, name): (u32, &&str)| {
        update(provider, &personal(provider, name, step, &begun().to_string()).to_string())
    };
    (0..).zip(steps).map(step).collect()
}

#[test]
fn every_sample_is_a_step_and_every_step_a_sample() {
    for provider in SAMPLE_SOURCES {
        let samples: BTreeSet<_> = provider.samples().iter().map(|sample| sample.name).collect();
        let steps: BTreeSet<_> =
            provider.journeys().iter().flat_map(|journey| journey.steps).copied().collect();
        assert_eq!(samples, steps, "{}", provider.id());
        let names: BTreeSet<_> = provider.journeys().iter().map(|journey| journey.name).collect();
        assert_eq!(names.len(), provider.journeys().len(), "{} has a journey twice", provider.id());
    }
}

#[test]
fn a_journey_is_one_delivery_from_its_beginning_to_its_end() {
    for provider in SAMPLE_SOURCES {
        for (at, journey) in provider.journeys().iter().enumerate() {
            let what = format!("{} {}", provider.id(), journey.name);
            let updates = told(*provider, journey.steps);
            let deliveries: BTreeSet<_> = updates.iter().map(|decoded| &decoded.update.delivery_id).collect();
            assert_eq!(deliveries.len(), 1, "{what}");
            let orders: BTreeSet<_> = updates
                .iter()
                .map(|decoded| {
                    decoded.update.references.as_ref().and_then(|known| known.merchant_order.clone())
                })
                .collect();
            assert_eq!(orders.len(), 1, "{what}");
            assert!(updates.iter().all(|decoded| decoded.unreadable_fields == 0), "{what}");
            let statuses: Vec<_> = updates.iter().map(|decoded| decoded.update.status).collect();
            let (last, before) = statuses.split_last().expect("a step");
            assert_eq!(statuses[0].phase(), Phase::Planned, "{what}");
            assert_eq!(last.phase(), Phase::Closed, "{what}");
            assert!(before.iter().all(|status| status.phase() != Phase::Closed), "{what}");
            assert!(at > 0 || *last == Status::Delivered, "{what} is the first and ends badly");
        }
    }
}

#[test]
fn each_step_is_an_event_of_its_own_and_not_before_the_step_before() {
    for provider in SAMPLE_SOURCES {
        for journey in provider.journeys() {
            let what = format!("{} {}", provider.id(), journey.name);
            let updates = told(*provider, journey.steps);
            let contents: BTreeSet<_> =
                updates.iter().map(|decoded| decoded.identity.fingerprint.0).collect();
            assert_eq!(contents.len(), journey.steps.len(), "{what}");
            let ids: BTreeSet<_> =
                updates.iter().filter_map(|decoded| decoded.identity.provider_event_id.clone()).collect();
            assert!(ids.is_empty() || ids.len() == journey.steps.len(), "{what}: {ids:?}");
            let times: Vec<_> = updates
                .iter()
                .filter_map(|decoded| decoded.update.event_time.as_ref().map(|time| time.utc))
                .collect();
            // Deliverect alone says no times of its events.
            let timed = if provider.id().as_str() == "deliverect" { 0 } else { journey.steps.len() };
            assert_eq!(times.len(), timed, "{what}");
            // Dash tells a departure and the pickup before it with one time, the pickup's.
            let one_time = provider.id().as_str() == "dash";
            let follows = |earlier, later| earlier < later || (one_time && earlier == later);
            assert!(times.is_sorted_by(follows), "{what}: {times:?}");
            let hour_after = begun() + jiff::SignedDuration::from_hours(1);
            // HubRise writes no fractions of a second.
            let second_before = begun() - jiff::SignedDuration::from_secs(1);
            assert!(times.iter().all(|time| (second_before..hour_after).contains(time)), "{what}: {times:?}");
        }
    }
}

/// Two journeys of one delivery may be told one after the other: no step of one is taken for one of the other, unless
/// it is the same one.
#[test]
fn an_event_id_is_never_given_to_two_contents() {
    for provider in SAMPLE_SOURCES {
        let (mut ids, mut events) = (BTreeSet::new(), BTreeSet::new());
        for journey in provider.journeys() {
            for decoded in told(*provider, journey.steps) {
                let Some(id) = decoded.identity.provider_event_id else { continue };
                ids.insert(id.clone());
                events.insert((id, decoded.identity.fingerprint.0));
            }
        }
        assert_eq!(ids.len(), events.len(), "{}", provider.id());
    }
}

/// Two tables of one provider, made apart from each other: what a delivery is, and which status may follow which.
#[test]
fn a_journey_is_in_order_by_its_providers_transitions() {
    for provider in SAMPLE_SOURCES {
        for journey in provider.journeys() {
            let mut legs = std::collections::BTreeMap::new();
            for (decoded, step) in told(*provider, journey.steps).iter().zip(journey.steps) {
                let before = legs.get(&decoded.leg);
                let rules = provider.transitions();
                let update = &decoded.update;
                let event_time = update.event_time.as_ref().map(|time| (time.utc, decoded.time_kind));
                let moment = Moment::new(update.status, event_time, begun() + Duration::from_secs(3600));
                let precedence = StatusOrder::new(rules).of(update.status);
                let (course, after) =
                    DeliveryState::advance(before, Place::at(1), update, moment, rules, precedence);
                assert_eq!(course.order, Order::InOrder, "{} {} {step}", provider.id(), journey.name);
                assert_ne!(course.changes, [Change::None], "{} {} {step}", provider.id(), journey.name);
                legs.insert(decoded.leg.clone(), after.expect("it moves on"));
            }
        }
    }
}
