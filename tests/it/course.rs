//! What updates say about the course of their delivery, on a real RabbitMQ and Redis.

use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use metrics_exporter_prometheus::PrometheusBuilder;
use milepost::domain::envelope::Envelope;
use serde_json::{Value, json};

use crate::support::fixtures::{TELYPORT, at, envelope, receipt_at};
use crate::support::fleet::{Real, Subscriber, drained, rejecting, run, telyport, telyport_body};
use crate::support::servers::Vhost;

/// An update of the delivery `D1` at second `at`, with a courier's name or none.
fn said(id: &str, status: &str, at: i64, courier: Option<&str>) -> String {
    let data = json!({
        "orderID": "D1", "status": status, "updatedAt": (1_739_365_639 + at) * 1000,
        "additionalProperties": courier.map_or_else(|| json!({}), |name| json!({"agentName": name})),
    });
    json!({"event": "ORDER.STATUS_UPDATED", "data": data, "webhookEventID": id}).to_string()
}

/// What was published first under each event id, in order.
fn published(subscriber: &Subscriber) -> Vec<Value> {
    let first = |id| serde_json::from_slice::<Value>(&subscriber.events[id][0]).expect("JSON")["data"].take();
    subscriber.order.iter().map(first).collect()
}

fn course(update: &Value) -> Value {
    json!([
        update["raw_status"],
        update["order"],
        update["changes"],
        update["previous_status"],
        update["terminal"]
    ])
}

fn subject(event: &[u8]) -> String {
    let event: Value = serde_json::from_slice(event).expect("JSON");
    event["subject"].as_str().expect("a subject").to_owned()
}

/// How many copies of each of a delivery's events came, in the order of the events' ids.
fn copies(subscriber: &Subscriber, delivery: &str) -> Vec<usize> {
    let ours = subscriber.events.values().filter(|copies| subject(&copies[0]) == delivery);
    ours.map(Vec::len).collect()
}

#[tokio::test]
async fn updates_say_what_changed_and_how_they_fit() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let worker = run(telyport(&real.backends));
    for body in [
        said("1", "NEW", 0, None),
        said("2", "STARTED", 10, Some("Ann")),
        said("3", "STARTED", 20, Some("Bob")),
        said("4", "STARTED", 21, Some("Bob")),
        said("5", "NEW", 30, None),
        said("6", "STARTED", 40, Some("Ann")),
        // Their system skipped the pickup.
        said("7", "DROPCOMPLETED", 60, None),
        // Sent before that, and came after it.
        said("8", "PICKUPCOMPLETED", 50, None),
        // After the end.
        said("9", "CANCELLED", 70, None),
    ] {
        real.publish(envelope(TELYPORT, body)).await;
    }
    subscriber.take_until(|seen| seen.events.len() == 9).await;
    worker.stop().await;
    let updates = published(&subscriber);
    let expected = [
        json!(["NEW", "in_order", ["status"], null, false]),
        json!(["STARTED", "in_order", ["status", "courier"], "created", false]),
        json!(["STARTED", "in_order", ["courier"], "assigned", false]),
        json!(["STARTED", "in_order", ["none"], "assigned", false]),
        json!(["NEW", "in_order", ["status", "courier"], "assigned", false]),
        json!(["STARTED", "in_order", ["status", "courier"], "created", false]),
        json!(["DROPCOMPLETED", "unexpected", ["status"], "assigned", true]),
        json!(["PICKUPCOMPLETED", "late", ["status"], "delivered", false]),
        json!(["CANCELLED", "unexpected", ["status"], "delivered", true]),
    ];
    assert_eq!(updates.iter().map(course).collect::<Vec<_>>(), expected);
    let sequences: Vec<_> =
        updates.iter().map(|update| update["sequence"].as_u64().expect("a number")).collect();
    assert!(sequences.is_sorted_by(|one, next| one < next), "{sequences:?}");
}

/// Telyport is Indian, and its time read as UTC is 5 h 30 min ahead. Who follows README's rule sees the delivery end.
#[tokio::test]
async fn after_a_time_of_hours_ahead_nothing_is_late() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // This test runs on one thread, so its worker counts here.
    let _measured = metrics::set_default_local_recorder(&recorder);
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let worker = run(telyport(&real.backends));
    let ahead = 5 * 3600 + 30 * 60;
    for (id, status, happened, told) in [
        ("1", "STARTED", 0, ahead),
        ("2", "PICKUPREACHED", 60, 60),
        ("3", "PICKUPCOMPLETED", 120, 120),
        ("4", "DROPREACHED", 180, 180),
        ("5", "DROPCOMPLETED", 240, 240),
    ] {
        let receipt = receipt_at(at((1_739_365_639 + happened + 1) * 1000));
        real.publish(Envelope { receipt, ..envelope(TELYPORT, said(id, status, told, None)) }).await;
    }
    subscriber.take_until(|seen| seen.events.len() == 5).await;
    worker.stop().await;
    let updates = published(&subscriber);
    let seen = |update: &Value| json!([update["status"], update["order"]]);
    let expected = [
        json!(["assigned", "in_order"]),
        json!(["pickup_arrived", "in_order"]),
        json!(["picked_up", "in_order"]),
        json!(["dropoff_arrived", "in_order"]),
        json!(["delivered", "in_order"]),
    ];
    assert_eq!(updates.iter().map(seen).collect::<Vec<_>>(), expected);
    let first: Value = serde_json::from_slice(&subscriber.events[&subscriber.order[0]][0]).expect("JSON");
    assert_eq!(first["time"], "2025-02-12T13:07:20Z", "that of the receipt");
    let kept = json!({"utc": "2025-02-12T18:37:19Z", "original": "1739385439000"});
    assert_eq!(first["data"]["event_time"], kept);
    let counted = "milepost_future_event_times_total{provider=\"telyport\"} 1";
    let rendered = recorder.handle().render();
    assert!(rendered.lines().any(|line| line == counted), "{rendered}");
}

/// Invariant 3, with a course: an update that one full queue refused is the same to the byte when it comes
/// again, although others of its delivery went out meanwhile; and in whichever order they are published at
/// last, none moves the delivery back.
#[tokio::test]
async fn updates_that_are_retried_say_what_they_said_and_move_nothing_back() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let full = Subscriber::bind(&real.amqp_url, "test.full", rejecting(1)).await;
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let worker = run(telyport(&real.backends));
    // A quorum queue takes a few beyond its limit before it refuses: then copies of an event come again.
    let mut fillers = 0;
    while subscriber.order.len() == subscriber.events.len() {
        fillers += 1;
        let delivery = format!("F{fillers}");
        real.publish(envelope(TELYPORT, telyport_body(&delivery, "e", "NEW"))).await;
        subscriber.take_until(|seen| copies(seen, &delivery).len() == 1).await;
        drained(&real).await;
    }
    for (come, body) in [
        said("1", "NEW", 0, None),
        said("2", "STARTED", 10, Some("Ann")),
        said("3", "PICKUPCOMPLETED", 20, None),
    ]
    .into_iter()
    .enumerate()
    {
        real.publish(envelope(TELYPORT, body)).await;
        subscriber.take_until(|seen| copies(seen, "D1").len() == come + 1).await;
    }
    worker.stop().await;
    let gone = QueueDeleteOptions::default();
    real.channel.queue_delete("test.full".into(), gone).await.expect("deleted");
    drop(full);
    // From here on nothing is refused: what comes once more has come through.
    let unread = subscriber.unread().await as usize + subscriber.order.len();
    subscriber.take_until(|seen| seen.order.len() == unread).await;
    let before = copies(&subscriber, "D1");
    let worker = run(telyport(&real.backends));
    let again = |seen: &Subscriber| copies(seen, "D1").iter().zip(&before).all(|(now, then)| now > then);
    subscriber.take_until(again).await;
    real.publish(envelope(TELYPORT, said("4", "DROPCOMPLETED", 30, None))).await;
    subscriber.take_until(|seen| copies(seen, "D1").len() == 4).await;
    worker.stop().await;
    subscriber.assert_repeats_are_identical();
    let updates = published(&subscriber);
    let last = updates.iter().find(|update| update["raw_status"] == "DROPCOMPLETED").expect("published");
    assert_eq!(course(last), json!(["DROPCOMPLETED", "in_order", ["status"], "picked_up", true]));
}
