//! Whole deliveries of four providers, from their webhooks to the deliveries of HubRise orders.

use std::collections::BTreeMap;

use lapin::types::FieldTable;
use milepost::providers::{ALL, TELYPORT};
use serde_json::Value;

use super::stand_in::{StandIn, parked, publish, quiet, ready, sink, update, variable};
use crate::processes::journeys::JOURNEYS;
use crate::support::fixtures::account;
use crate::support::fleet::Subscriber;
use crate::support::process::{Program, SECRET};
use crate::support::servers::Vhost;

/// HubRise's statuses in the order of a delivery.
const STAGES: [&str; 8] = [
    "pending",
    "pickup_enroute",
    "pickup_approaching",
    "pickup_waiting",
    "dropoff_enroute",
    "dropoff_approaching",
    "dropoff_waiting",
    "delivered",
];

/// How each provider's sample deliveries name their orders: HubRise's id of the order is a number there.
const PATTERNS: [(&str, &str); 4] = [
    ("telyport", "{order}-0"),
    ("deliverect", "{order}-0"),
    ("dash", "awb-{order}-0"),
    ("247express", "{order}"),
];

/// What HubRise shows at the end, by hand from the facts' table: it has no failed, returned or lost.
fn last_shown(journey: &str) -> &'static str {
    match journey.rsplit('_').next() {
        Some("delivered" | "warehouse" | "couriers" | "held") => "delivered",
        _ => "cancelled",
    }
}

fn carrier(provider: &str) -> &'static str {
    match provider {
        "telyport" => "Telyport",
        "deliverect" => "Deliverect",
        "dash" => "Dash Electric",
        _ => "247Express",
    }
}

#[tokio::test]
async fn the_journeys_of_four_providers_arrive_at_hubrise() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let mut program = sink(&vhost);
    for (provider, pattern) in PATTERNS {
        let known = ALL.iter().find(|known| known.id().as_str() == provider).expect("a provider");
        program = hubrise.connected(program, provider, *known).env(&variable(provider, "PATTERN"), pattern);
    }
    let sink = ready(program).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "test.subscriber", FieldTable::default()).await;
    let receiver = ready(Program::receiver(&vhost.amqp_url)).await;
    let mut workers = Vec::new();
    for provider in ALL {
        workers.push(ready(Program::worker(provider.id(), &vhost.amqp_url)).await);
    }

    let (mut steps, to) = (0, receiver.webhooks().await);
    for (number, (provider, journey, statuses)) in JOURNEYS.into_iter().enumerate() {
        let send = format!(
            "send {provider} --journey {journey} --seed {} --account {} --to http://{to}",
            1000 + number,
            account()
        );
        let (code, _, stderr) = Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET).output().await;
        assert_eq!(code, Some(0), "{stderr:?}");
        steps += statuses.split(' ').count();
        subscriber.take_until(|seen| seen.events.len() >= steps).await;
    }
    quiet(&vhost).await;
    assert_eq!(parked(&vhost).await, 0);

    let courses = courses(&subscriber);
    assert_eq!(courses.len(), JOURNEYS.len());
    let mut ignored = 0;
    for ((provider, id), statuses) in courses {
        let played =
            JOURNEYS.iter().find(|(of, _, course)| *of == provider && course.split(' ').eq(statuses.iter()));
        let (_, journey, _) = played.unwrap_or_else(|| panic!("{provider} {statuses:?}"));
        if provider == "hubrise" {
            ignored += statuses.len();
            continue;
        }
        let (order, delivery) = hubrise.shows_delivery(&id, last_shown(journey)).await;
        assert_eq!(delivery["carrier"], carrier(&provider), "{provider} {journey}");
        let writes: Vec<_> = hubrise.writes().into_iter().filter(|(_, of, _)| *of == order).collect();
        let posts = writes.iter().filter(|(method, _, _)| method == "POST").count();
        assert_eq!(posts, 1, "{provider} {journey}");
        let shown: Vec<_> = writes.iter().filter_map(|(_, _, body)| body["status"].as_str()).collect();
        let stages = shown.iter().map(|shown| STAGES.iter().position(|stage| stage == shown));
        let stages: Vec<_> = stages.map(|stage| stage.unwrap_or(STAGES.len())).collect();
        // Statuses that came while a request was under way may be passed over; none comes twice, and none before an
        // earlier one unless another courier takes over.
        let again = *journey == "two_couriers";
        assert!(again || stages.is_sorted_by(|one, next| one < next), "{provider} {journey}: {shown:?}");
    }
    let labels = ["provider=\"sink-hubrise\"", "outcome=\"ignored\""];
    assert_eq!(sink.metric("milepost_messages_settled_total", &labels).await as usize, ignored);
}

/// The statuses of each delivery, by its provider and id.
fn courses(subscriber: &Subscriber) -> BTreeMap<(String, String), Vec<String>> {
    let mut courses: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for id in &subscriber.order {
        let event: Value = serde_json::from_slice(&subscriber.events[id][0]).expect("JSON");
        let text = |name: &str| event["data"][name].as_str().expect("text").to_owned();
        courses.entry((text("provider"), text("delivery_id"))).or_default().push(text("status"));
    }
    courses
}

/// The default rule of a connection: the merchant's reference is the order's id, with or without "#", in
/// upper or lower case.
#[tokio::test]
async fn a_reference_that_is_the_orders_id_needs_no_rule() {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let _sink = ready(hubrise.connected(sink(&vhost), "shop", &TELYPORT)).await;
    publish(&vhost, &update("D1", "#5DPM9", 1, "assigned")).await;
    let delivery = hubrise.shows("5dpm9", "pickup_enroute").await;
    assert_eq!(delivery["ref"], "D1");
    assert_eq!(delivery["driver_name"], "Ann");
    let (_, _, posted) = hubrise.writes().swap_remove(0);
    assert_eq!(posted["assigned_at"], "2026-03-02T09:14:05+00:00");
}
