//! Whole deliveries of every provider, through the whole fleet in one process.

use std::collections::{BTreeMap, BTreeSet};

use milepost::providers::SAMPLE_SOURCES;
use serde_json::Value;

use crate::support::eventually;
use crate::support::process::{Process, Program};

/// The statuses of every journey, by hand from the providers' documents. The first of each provider is the one played.
pub const JOURNEYS: [(&str, &str, &str); 20] = [
    ("telyport", "delivered", "created assigned pickup_arrived picked_up dropoff_arrived delivered"),
    (
        "telyport",
        "by_warehouse",
        "created assigned pickup_arrived picked_up hub_arrived hub_departed dropoff_arrived delivered",
    ),
    ("telyport", "returned", "created assigned pickup_arrived picked_up return_initiated returned"),
    ("telyport", "cancelled", "created assigned cancelled"),
    ("247express", "delivered", "created picked_up in_transit dropoff_en_route delivered"),
    (
        "247express",
        "held",
        "created picked_up in_transit dropoff_en_route on_hold dropoff_en_route delivered",
    ),
    (
        "247express",
        "returned",
        "created picked_up in_transit dropoff_en_route on_hold return_initiated returned",
    ),
    ("247express", "cancelled", "created cancelled"),
    ("247express", "lost", "created picked_up in_transit dropoff_en_route lost"),
    ("247express", "confiscated", "created picked_up in_transit dropoff_en_route confiscated"),
    (
        "deliverect",
        "delivered",
        "created assigned pickup_en_route pickup_approaching pickup_arrived dropoff_en_route dropoff_en_route \
         dropoff_arrived delivered",
    ),
    (
        "deliverect",
        "two_couriers",
        "created assigned pickup_en_route pickup_arrived dropoff_en_route dropoff_en_route dropoff_en_route \
         dropoff_arrived delivered",
    ),
    ("deliverect", "cancelled", "created assigned pickup_en_route cancelled"),
    (
        "dash",
        "express_delivered",
        "scheduled allocating assigned pickup_en_route picked_up dropoff_en_route delivered",
    ),
    (
        "dash",
        "express_failed",
        "scheduled allocating assigned pickup_en_route picked_up dropoff_en_route failed",
    ),
    ("dash", "express_cancelled", "scheduled allocating assigned cancelled"),
    ("dash", "logistic_delivered", "preparing verified staged_for_delivery dropoff_en_route delivered"),
    ("dash", "logistic_failed", "preparing on_hold verified staged_for_delivery dropoff_en_route failed"),
    (
        "hubrise",
        "delivered",
        "created pickup_en_route pickup_approaching pickup_arrived dropoff_en_route dropoff_en_route \
         dropoff_approaching dropoff_arrived delivered",
    ),
    ("hubrise", "cancelled", "created pickup_en_route cancelled"),
];

/// Deliveries of each journey.
const COUNT: usize = 3;

fn steps(statuses: &str) -> usize {
    statuses.split(' ').count()
}

fn fleet(how: &str) -> Process {
    Program::milepost(&format!("run {how} --json --http 127.0.0.1:0 --admin 127.0.0.1:0")).spawn()
}

/// Waits for so many updates and ends the fleet: the `data` of all that it showed.
async fn updates(mut fleet: Process, count: usize) -> Vec<Value> {
    eventually("every update is shown", || async { (fleet.stdout.all().len() >= count).then_some(()) }).await;
    fleet.stderr.with("listening; Ctrl-C ends it").await;
    fleet.signal("TERM");
    assert_eq!(fleet.exit().await, Some(0));
    let shown = fleet.stdout.all();
    assert_eq!(shown.len(), count);
    let data = |line: &String| serde_json::from_str::<Value>(line).expect("JSON")["data"].take();
    shown.iter().map(data).collect()
}

/// What was said of each delivery, in order.
fn told(updates: &[Value]) -> BTreeMap<(&str, &str), String> {
    let mut told: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for update in updates {
        let text = |name: &str| update[name].as_str().expect("text");
        told.entry((text("provider"), text("delivery_id"))).or_default().push(text("status"));
    }
    told.into_iter().map(|(delivery, statuses)| (delivery, statuses.join(" "))).collect()
}

#[tokio::test]
async fn the_fleet_in_one_process_plays_a_delivery_of_each_provider() {
    let played: BTreeMap<_, _> =
        JOURNEYS.iter().rev().map(|(provider, _, statuses)| (*provider, (*statuses).to_owned())).collect();
    assert_eq!(played.len(), SAMPLE_SOURCES.len());
    let count = played.values().map(|statuses| steps(statuses)).sum();
    let updates = updates(fleet("--play"), count).await;
    let told = told(&updates);
    // One delivery of each.
    assert_eq!(told.len(), played.len(), "{told:?}");
    let told: BTreeMap<_, _> =
        told.into_iter().map(|((provider, _), statuses)| (provider, statuses)).collect();
    assert_eq!(told, played);
}

#[tokio::test]
async fn every_journey_of_every_provider_comes_out_in_order_and_each_webhook_once() {
    let fleet = fleet("");
    let line = fleet.stderr.with("webhooks on http://").await;
    let (_, to) = line.split_once("webhooks on ").expect("the address");
    let to = to.split("/webhooks").next().expect("the origin");
    let (mut receipts, mut duplicates) = (BTreeSet::new(), 0);
    for (seed, (provider, journey, statuses)) in JOURNEYS.iter().enumerate() {
        let send = format!(
            "send {provider} --journey {journey} --count {COUNT} --seed {seed} --duplicates 0.3 --to {to} --json"
        );
        let (code, stdout, stderr) = Program::milepost(&send).output().await;
        assert_eq!(code, Some(0), "{stderr:?}");
        let mut sent = 0;
        for line in stdout {
            let line: Value = serde_json::from_str(&line).expect("JSON");
            if line["duplicate"] == Value::Bool(true) {
                duplicates += 1;
                continue;
            }
            sent += 1;
            receipts.insert(line["receipt"].as_str().expect("a receipt").to_owned());
        }
        assert_eq!(sent, COUNT * steps(statuses), "{send}");
    }
    assert!(duplicates > 0);
    let updates = updates(fleet, receipts.len()).await;
    let published: BTreeSet<_> =
        updates.iter().map(|update| update["receipt_id"].as_str().expect("a receipt").to_owned()).collect();
    assert_eq!(published, receipts);
    let told = told(&updates);
    let count = |by: &dyn Fn(&str, &str) -> bool| {
        told.iter().filter(|((provider, _), statuses)| by(provider, statuses)).count()
    };
    assert_eq!(count(&|_, _| true), COUNT * JOURNEYS.len());
    for (provider, journey, statuses) in JOURNEYS {
        let found = count(&|of, told| of == provider && told == statuses);
        assert_eq!(found, COUNT, "{provider} {journey}: {told:#?}");
    }
}

#[test]
fn every_journey_is_in_the_table() {
    let known = SAMPLE_SOURCES.iter().flat_map(|provider| {
        provider.journeys().iter().map(|journey| (provider.id().as_str(), journey.name)).collect::<Vec<_>>()
    });
    let table = JOURNEYS.iter().map(|(provider, journey, _)| (*provider, *journey));
    assert!(known.eq(table));
}
