//! What `milepost subscribe` makes on the broker, and what it leaves alone.

use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::{Value, json};

use super::{publish, subscribe, subscribed};
use crate::support::eventually;
use crate::support::fixtures::TELYPORT;
use crate::support::process::Program;
use crate::support::servers::{Vhost, depth};

async fn vhost() -> Vhost {
    let vhost = Vhost::new().await;
    vhost.declare(Duration::from_secs(1), &[TELYPORT]).await;
    vhost
}

/// What `--list --json` says.
async fn listed(vhost: &Vhost) -> Vec<Value> {
    let words = format!("--list --json --management {}", vhost.management);
    let lines = subscribed(vhost, &words).await;
    lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The queues and what they are bound by.
async fn bindings(vhost: &Vhost) -> Vec<(String, Value)> {
    let listed = listed(vhost).await.into_iter();
    listed
        .map(|queue| (queue["queue"].as_str().expect("a name").to_owned(), queue["patterns"].clone()))
        .collect()
}

/// It must fail; what it says.
async fn refused(program: Program) -> String {
    let (code, stdout, stderr) = program.output().await;
    assert_eq!(code, Some(1), "{stderr:?}");
    assert_eq!(stdout, [""; 0]);
    stderr.join("\n")
}

#[tokio::test]
async fn a_queue_is_durable_quorum_and_bound_and_again_changes_nothing() {
    let vhost = vhost().await;
    let words = "orders *.*.closed.* telyport.#";
    assert_eq!(
        subscribed(&vhost, words).await,
        ["queue orders is bound to updates by *.*.closed.* telyport.#"]
    );
    let first = vhost.list("bindings").await;
    subscribed(&vhost, words).await;
    assert_eq!(vhost.list("bindings").await, first);
    assert_eq!(bindings(&vhost).await, [("orders".to_owned(), json!(["*.*.closed.*", "telyport.#"]))]);
    let queues = vhost.list("queues").await;
    let orders =
        queues.as_array().expect("a list").iter().find(|queue| queue["name"] == "orders").expect("made");
    assert_eq!(orders["durable"], true);
    assert_eq!(orders["arguments"], json!({ "x-queue-type": "quorum" }));

    // One copy, although both patterns match.
    let routed: &[(&str, &[u8])] =
        &[("telyport.default.closed.delivered", b"1"), ("dash.default.closed.delivered", b"2")];
    publish(&vhost, &[routed, &[("dash.default.pickup.assigned", b"3")]].concat()).await;
    let channel = vhost.channel().await;
    eventually("what matches is there", || async { (depth(&channel, "orders").await == 2).then_some(()) })
        .await;
}

#[tokio::test]
async fn patterns_are_added_and_taken_away_one_by_one() {
    let vhost = vhost().await;
    subscribed(&vhost, "orders telyport.#").await;
    subscribed(&vhost, "orders dash.# *.*.closed.*").await;
    subscribed(&vhost, "other #").await;
    let orders = |patterns: Value| ("orders".to_owned(), patterns);
    let other = ("other".to_owned(), json!(["#"]));
    let all = orders(json!(["*.*.closed.*", "dash.#", "telyport.#"]));
    assert_eq!(bindings(&vhost).await, [all, other.clone()]);
    let says = subscribed(&vhost, "orders --remove telyport.#").await;
    assert!(
        says[0].starts_with("queue orders is not bound by telyport.# now; whether it was, only"),
        "{says:?}"
    );
    // Where it can be known, one that it does not have is a mistake; the others are taken away all the same.
    let asked = format!("orders --remove dash.# hubrise.# --management {}", vhost.management);
    let says = refused(subscribe(&vhost, &asked)).await;
    assert_eq!(says, "milepost: queue orders was never bound by hubrise.#; it is bound by *.*.closed.*");
    assert_eq!(bindings(&vhost).await, [orders(json!(["*.*.closed.*"])), other]);
    let asked = format!("orders --remove *.*.closed.* --management {}", vhost.management);
    assert_eq!(subscribed(&vhost, &asked).await, ["queue orders is not bound by *.*.closed.* any more"]);
}

#[tokio::test]
async fn a_queue_that_was_bounded_keeps_its_bounds_when_patterns_are_added() {
    let vhost = vhost().await;
    subscribed(&vhost, "orders telyport.# --park --max-length 5").await;
    let says = subscribed(&vhost, "orders dash.#").await;
    assert_eq!(
        says,
        ["queue orders is bound to updates by dash.#, and keeps the bounds that it was declared with"]
    );
    assert_eq!(bindings(&vhost).await, [("orders".to_owned(), json!(["dash.#", "telyport.#"]))]);
    // One that would refuse updates for all others takes none.
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), lapin::types::AMQPValue::LongString("quorum".into()));
    arguments.insert("x-overflow".into(), lapin::types::AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    vhost.channel().await.queue_declare("refuses".into(), options, arguments).await.expect("declared");
    let says = refused(subscribe(&vhost, "refuses #")).await;
    assert!(says.contains("inequivalent arg 'x-overflow'"), "{says}");
}

#[tokio::test]
async fn parking_that_cannot_be_added_leaves_no_queue_behind() {
    let vhost = vhost().await;
    subscribed(&vhost, "orders #").await;
    let before = vhost.list("queues").await.as_array().map(Vec::len);
    let says = refused(subscribe(&vhost, "orders # --park")).await;
    assert!(says.contains("Bounds are fixed once a queue is declared"), "{says}");
    assert_eq!(vhost.list("queues").await.as_array().map(Vec::len), before);
}

#[tokio::test]
async fn what_a_service_rejected_is_in_the_list_and_is_not_forgotten_with_its_queue() {
    let vhost = vhost().await;
    subscribed(&vhost, "orders # --park --max-length 5").await;
    publish(&vhost, &[("telyport.default.closed.delivered", b"1")]).await;
    let channel = vhost.channel().await;
    let rejected = async || {
        let got =
            channel.basic_get("orders".into(), BasicGetOptions { no_ack: false }).await.expect("answered");
        let acker = got?.delivery.acker;
        acker.reject(lapin::options::BasicRejectOptions { requeue: false }).await.expect("rejected");
        Some(())
    };
    eventually("it is rejected", rejected).await;
    let listed =
        async || subscribed(&vhost, &format!("--list --management {}", vhost.management)).await.join("\n");
    let counted = "orders  #  messages: 0, consumers: 0, in orders.parked: 1";
    eventually("the broker has counted", async || (listed().await == counted).then_some(())).await;
    let says = subscribed(&vhost, "orders --remove").await;
    let left = "queue orders.parked is left, with 1 messages: `milepost subscribe orders.parked --remove`";
    assert_eq!(says, [format!("queue orders is deleted, and 0 messages in it; {left}")]);
}

#[tokio::test]
async fn a_list_counts_messages_and_is_for_people_too() {
    let vhost = vhost().await;
    subscribed(&vhost, "orders #").await;
    publish(&vhost, &[("telyport.default.closed.delivered", b"1")]).await;
    let counted = json!([{ "queue": "orders", "patterns": ["#"], "messages": 1, "consumers": 0, "bounded": false,
        "parked_queue": null, "parked": null }]);
    eventually("the broker has counted", || async {
        (Value::Array(listed(&vhost).await) == counted).then_some(())
    })
    .await;
    let lines = subscribed(&vhost, &format!("--list --management {}", vhost.management)).await;
    let grows = "it has no bound and no consumer: it grows for ever";
    assert_eq!(lines, [format!("orders  #  messages: 1, consumers: 0; {grows}")]);
}

#[tokio::test]
async fn a_queue_in_use_is_removed_only_by_force() {
    let vhost = vhost().await;
    let channel = vhost.channel().await;
    subscribed(&vhost, "orders #").await;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer =
        channel.basic_consume("orders".into(), "me".into(), options, arguments).await.expect("consumes");
    let says = refused(subscribe(&vhost, "orders --remove")).await;
    assert!(says.contains("queue orders holds 0 messages and has 1 consumers; --force deletes"), "{says}");
    channel.basic_cancel("me".into(), Default::default()).await.expect("cancels");
    drop(consumer);

    publish(&vhost, &[("telyport.default.closed.delivered", b"1")]).await;
    eventually("it is there", || async { (depth(&channel, "orders").await == 1).then_some(()) }).await;
    let says = refused(subscribe(&vhost, "orders --remove")).await;
    assert!(says.contains("queue orders holds 1 messages and has 0 consumers"), "{says}");
    let says = subscribed(&vhost, "orders --remove --force").await;
    assert_eq!(says, ["queue orders is deleted, and 1 messages in it"]);
    assert_eq!(bindings(&vhost).await, []);

    subscribed(&vhost, "orders #").await;
    subscribed(&vhost, "orders --remove").await;
    let says = refused(subscribe(&vhost, "orders --remove")).await;
    assert!(says.contains("queue orders: ") && says.contains("no queue 'orders'"), "{says}");
}

#[tokio::test]
async fn what_exists_otherwise_is_left_as_it_is() {
    let vhost = vhost().await;
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    vhost
        .channel()
        .await
        .queue_declare("theirs".into(), options, FieldTable::default())
        .await
        .expect("declared");
    let says = refused(subscribe(&vhost, "theirs #")).await;
    assert!(says.contains("queue theirs: ") && says.contains("inequivalent arg 'x-queue-type'"), "{says}");

    subscribed(&vhost, "orders # --max-length 5").await;
    let says = refused(subscribe(&vhost, "orders dash.# --max-length 6")).await;
    assert!(says.contains("inequivalent arg 'x-max-length'"), "{says}");
    assert_eq!(bindings(&vhost).await, [("orders".to_owned(), json!(["#"]))]);
}

#[tokio::test]
async fn a_full_queue_drops_its_oldest_and_refuses_no_publish() {
    let vhost = vhost().await;
    subscribed(&vhost, "orders # --max-length 2").await;
    let key = "telyport.default.closed.delivered";
    publish(&vhost, &[(key, b"1"), (key, b"2"), (key, b"3")]).await;
    let channel = vhost.channel().await;
    eventually("the bound is kept", || async { (depth(&channel, "orders").await == 2).then_some(()) }).await;
    let oldest = channel.basic_get("orders".into(), BasicGetOptions { no_ack: true }).await.expect("got");
    assert_eq!(oldest.expect("a message").delivery.data, b"2");
}

#[tokio::test]
async fn the_bounds_are_arguments_of_the_queue() {
    let vhost = vhost().await;
    subscribed(&vhost, "orders # --max-length 5 --max-bytes 900 --park --delivery-limit 3").await;
    let queues = vhost.list("queues").await;
    let arguments = |name: &str| {
        let mut queues = queues.as_array().expect("a list").iter();
        queues.find(|queue| queue["name"] == name).expect("declared")["arguments"].clone()
    };
    let expected = json!({
        "x-queue-type": "quorum", "x-max-length": 5, "x-max-length-bytes": 900, "x-delivery-limit": 3,
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.parked",
    });
    assert_eq!(arguments("orders"), expected);
    assert_eq!(arguments("orders.parked"), json!({ "x-queue-type": "quorum" }));
}

#[tokio::test]
async fn without_milepost_on_the_broker_no_queue_is_left_behind() {
    let vhost = Vhost::new().await;
    let says = refused(subscribe(&vhost, "orders #")).await;
    assert!(says.contains("exchange milepost.updates: ") && says.contains("NOT_FOUND"), "{says}");
    // That it was tried is in the audit log.
    let queues = vhost.list("queues").await;
    let names: Vec<_> = queues.as_array().expect("a list").iter().map(|queue| &queue["name"]).collect();
    assert_eq!(names, ["milepost.audit"]);
    assert_eq!(bindings(&vhost).await, []);
}

#[tokio::test]
async fn servers_that_are_away_or_refuse_are_named_without_a_password() {
    let vhost = vhost().await;
    let away = "subscribe orders # --amqp amqp://u:hunter2@127.0.0.1:1";
    let says = refused(Program::milepost(away)).await;
    assert_eq!(says, "milepost: cannot reach RabbitMQ at 127.0.0.1:1: Connection refused (os error 111)");
    let says = refused(subscribe(&vhost, "--list --management http://u:hunter2@127.0.0.1:1")).await;
    assert!(says.contains("cannot ask http://…@127.0.0.1:1/: the management API does not answer"), "{says}");
    assert!(!says.contains("hunter2"), "{says}");
    let nowhere = Program::milepost("subscribe --list --amqp amqp://127.0.0.1/none --management");
    let says = refused(nowhere.arg(&vhost.management)).await;
    assert!(says.contains("there is no such virtual host"), "{says}");
    let stranger = vhost.management.replace("http://", "http://u:hunter2@");
    let says = refused(subscribe(&vhost, &format!("--list --management {stranger}"))).await;
    assert!(says.contains("its user needs the tag") && !says.contains("hunter2"), "{says}");
}
