//! The topology as RabbitMQ runs it.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use milepost::adapters::rabbit::topology::{Topology, UNROUTED, WEBHOOKS, parked_queue, work_queue};
use milepost::adapters::rabbit::{DelayLevels, LEVELS};

use crate::support::eventually;
use crate::support::fixtures::{EXPRESS, TELYPORT};
use crate::support::servers::{Vhost, depth, topology_settings};

const SECOND: Duration = Duration::from_secs(1);

/// Topic matching for the patterns the delay levels use: words of `*`, `0` or `1`, then `#`.
fn matches(pattern: &str, key: &str) -> bool {
    let words = pattern.trim_end_matches(".#").split('.');
    words.zip(key.split('.')).all(|(pattern, word)| pattern == "*" || pattern == word)
}

/// Follows a delayed message through the declared bindings; returns how many seconds its queues hold it.
fn seconds_held(topology: &Topology, entry: &str, key: &str) -> u64 {
    let mut exchange = entry.to_owned();
    let mut held = 0;
    for _hop in 0..=LEVELS {
        if exchange == "milepost.delay.v1.delivery" {
            return held;
        }
        let mut routes = topology
            .bindings
            .iter()
            .filter(|binding| binding.source == exchange && matches(&binding.key, key));
        let route = routes.next().expect("every key is routed on");
        assert!(routes.next().is_none(), "{key} is routed twice from {exchange}");
        if route.to_exchange {
            exchange.clone_from(&route.destination);
        } else {
            let queue =
                topology.queues.iter().find(|queue| queue.name == route.destination).expect("declared");
            let argument = |name: &str| queue.arguments.inner().get(name).cloned();
            let Some(AMQPValue::LongLongInt(ttl)) = argument("x-message-ttl") else { panic!("no ttl") };
            held += u64::try_from(ttl).expect("positive") / 1000;
            let Some(AMQPValue::LongString(next)) = argument("x-dead-letter-exchange") else {
                panic!("no next")
            };
            exchange = next.to_string();
        }
    }
    panic!("{key} never arrives");
}

#[test]
fn every_delay_is_held_as_long_as_it_says() {
    let topology = Topology::new(&topology_settings(SECOND), &[TELYPORT]);
    let levels = DelayLevels::new(SECOND);
    for seconds in 0..=4095_u64 {
        let (entry, key) = levels.route(Duration::from_secs(seconds), TELYPORT);
        let held = seconds_held(&topology, &entry, &key);
        // At least a second, never longer than asked, and at most a sixteenth shorter.
        assert!(held <= seconds.max(1) && held * 16 >= seconds * 15, "{seconds} s: {held} s");
        assert!(held >= 1, "{seconds} s is not held at all");
        if seconds < 32 {
            assert_eq!(held, seconds.max(1), "short delays are exact");
        }
    }
    let (entry, key) = levels.route(Duration::from_secs(100_000), TELYPORT);
    assert_eq!(
        seconds_held(&topology, &entry, &key),
        0b1111_1000_0000,
        "beyond the levels: the longest they hold"
    );
}

#[test]
fn a_fraction_of_the_unit_is_rounded_up() {
    let topology = Topology::new(&topology_settings(SECOND), &[TELYPORT]);
    let (entry, key) = DelayLevels::new(SECOND).route(Duration::from_millis(1001), TELYPORT);
    assert_eq!(seconds_held(&topology, &entry, &key), 2);
}

async fn confirming(vhost: &Vhost) -> Channel {
    let channel = vhost.channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    channel
}

async fn publish(channel: &Channel, exchange: &str, key: &str, body: &str) {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let publish = channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
    assert!(publish.await.expect("sent").await.expect("answered").is_ack());
}

#[tokio::test]
async fn delays_of_every_size_arrive_in_order_on_the_real_broker() {
    let vhost = Vhost::new().await;
    let unit = Duration::from_millis(10);
    vhost.declare(unit, &[TELYPORT]).await;
    let channel = confirming(&vhost).await;
    let levels = DelayLevels::new(unit);
    // One hop and many, far enough apart to arrive in order on a slow machine, and published together.
    let delays = [10, 640, 1590, 2560, 5110];
    let began = Instant::now();
    let publishing = delays.iter().rev().map(|delay| {
        let (exchange, key) = levels.route(Duration::from_millis(*delay), TELYPORT);
        let channel = &channel;
        async move { publish(channel, &exchange, &key, &delay.to_string()).await }
    });
    futures_util::future::join_all(publishing).await;
    let published = began.elapsed();
    let mut consumer = channel
        .basic_consume(
            work_queue(TELYPORT).into(),
            "".into(),
            BasicConsumeOptions { no_ack: true, ..Default::default() },
            FieldTable::default(),
        )
        .await
        .expect("consumes");
    for delay in delays {
        let message = tokio::time::timeout(crate::support::SOON, consumer.next()).await.expect("arrives");
        let message = message.expect("still consuming").expect("no error");
        assert_eq!(String::from_utf8(message.data).expect("text"), delay.to_string());
        let floor = Duration::from_millis(delay * 15 / 16);
        assert!(began.elapsed() >= floor.saturating_sub(published), "{delay} ms came early");
    }
}

#[tokio::test]
async fn declaring_twice_changes_nothing_and_verifying_passes() {
    let vhost = Vhost::new().await;
    vhost.declare(SECOND, &[TELYPORT, EXPRESS]).await;
    vhost.declare(SECOND, &[TELYPORT, EXPRESS]).await;
    let topology = Topology::new(&topology_settings(SECOND), &[TELYPORT, EXPRESS]);
    topology.verify(&vhost.channel().await).await.expect("all there");
}

#[tokio::test]
async fn verifying_names_what_is_missing_and_declares_nothing() {
    let vhost = Vhost::new().await;
    vhost.declare(SECOND, &[TELYPORT]).await;
    let topology = Topology::new(&topology_settings(SECOND), &[TELYPORT, EXPRESS]);
    let error = topology.verify(&vhost.channel().await).await.expect_err("a queue is missing").to_string();
    assert!(error.starts_with("queue milepost.webhooks.247express: "), "{error}");
    let queues = vhost.list("queues").await;
    let names: Vec<_> =
        queues.as_array().expect("a list").iter().filter_map(|queue| queue["name"].as_str()).collect();
    assert!(!names.contains(&"milepost.webhooks.247express"));
}

#[tokio::test]
async fn an_incompatible_queue_is_named_with_its_argument() {
    let vhost = Vhost::new().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(7));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let queue = work_queue(TELYPORT);
    vhost.channel().await.queue_declare(queue.into(), options, arguments).await.expect("declared");
    let topology = Topology::new(&topology_settings(SECOND), &[TELYPORT]);
    let error = topology.apply(&vhost.channel().await).await.expect_err("incompatible").to_string();
    assert!(error.starts_with("queue milepost.webhooks.telyport: "), "{error}");
    assert!(error.contains("inequivalent arg 'x-"), "{error}");
}

#[tokio::test]
async fn what_no_queue_is_bound_for_is_caught() {
    let vhost = Vhost::new().await;
    vhost.declare(SECOND, &[TELYPORT]).await;
    let channel = confirming(&vhost).await;
    publish(&channel, WEBHOOKS, "unbound", "lost?").await;
    publish(&channel, "milepost.delay.v1.delivery", "0.0.unbound", "lost?").await;
    eventually("both are caught", || async { (depth(&channel, UNROUTED).await == 2).then_some(()) }).await;
}

#[tokio::test]
async fn what_a_policys_delivery_limit_takes_out_is_parked_by_the_broker() {
    let vhost = Vhost::new().await;
    vhost.declare(SECOND, &[TELYPORT]).await;
    vhost.set_policy("limit", r"^milepost\.webhooks\.", serde_json::json!({ "delivery-limit": 3 })).await;
    let channel = confirming(&vhost).await;
    publish(&channel, WEBHOOKS, "telyport", "kills its worker").await;
    let queue = work_queue(TELYPORT);
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer =
        channel.basic_consume(queue.into(), "".into(), options, arguments).await.expect("consumes");
    let parked = parked_queue(TELYPORT);
    let looking = vhost.channel().await;
    loop {
        tokio::select! {
            message = consumer.next() => {
                let message = message.expect("still consuming").expect("no error");
                message.acker.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.expect("nacks");
            }
            () = async { eventually("it is parked", || async { (depth(&looking, &parked).await == 1).then_some(()) }).await } => break,
        }
    }
}
