//! Publisher and inbox together, on both brokers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use milepost::adapters::clock::SystemClock;
use milepost::adapters::memory::MemoryBroker;
use milepost::adapters::rabbit::topology::{Topology, TopologyMode, parked_queue};
use milepost::adapters::rabbit::{DelayLevels, Pace, RabbitInbox, RabbitPublisher};
use milepost::domain::envelope::{Envelope, Replay, TraceContext};
use milepost::domain::history::History;
use milepost::domain::verdict::ParkReason;
use milepost::ports::{Delivery, Inbox, Outbound, Publisher, Subscription};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::fixtures::{EXPRESS, TELYPORT, envelope};
use crate::support::servers::{Vhost, depth, topology_settings};
use crate::support::{SOON, eventually};

/// A broker under test.
struct Broker {
    publisher: Arc<dyn Publisher>,
    inbox: Arc<dyn Inbox>,
    vhost: Option<Vhost>,
    memory: Option<MemoryBroker>,
    _running: Option<tokio_util::sync::DropGuard>,
}

impl Broker {
    fn memory() -> Self {
        let broker = MemoryBroker::default();
        Self {
            publisher: Arc::new(broker.clone()),
            inbox: Arc::new(broker.clone()),
            vhost: None,
            memory: Some(broker),
            _running: None,
        }
    }

    async fn rabbit(pace: Pace) -> Self {
        let vhost = Vhost::new().await;
        let unit = Duration::from_secs(1);
        let topology = Topology::new(&topology_settings(unit), &[TELYPORT, EXPRESS]);
        let publisher = RabbitPublisher::new(
            vhost.settings(),
            topology,
            TopologyMode::Apply,
            DelayLevels::new(unit),
            pace,
        );
        let shutdown = CancellationToken::new();
        tokio::spawn(Arc::clone(&publisher).run(shutdown.clone()));
        eventually("the publisher connects", || async { publisher.ready().then_some(()) }).await;
        Self {
            inbox: Arc::new(RabbitInbox::new(vhost.settings(), Arc::new(SystemClock))),
            publisher,
            vhost: Some(vhost),
            memory: None,
            _running: Some(shutdown.drop_guard()),
        }
    }

    async fn subscribe(&self, prefetch: u16) -> Box<dyn Subscription> {
        self.inbox.subscribe(TELYPORT, prefetch).await.expect("subscribes")
    }

    async fn publish(&self, outbound: Outbound) {
        self.publisher.publish(outbound).await.expect("confirmed");
    }

    async fn parked(&self) -> usize {
        match (&self.vhost, &self.memory) {
            (Some(vhost), _) => depth(&vhost.channel().await, &parked_queue(TELYPORT)).await as usize,
            (_, Some(memory)) => memory.parked().len(),
            _ => unreachable!("one of them is set"),
        }
    }
}

async fn next(subscription: &mut Box<dyn Subscription>) -> Delivery {
    tokio::time::timeout(SOON, subscription.next())
        .await
        .expect("a delivery comes")
        .expect("still subscribed")
}

/// What `count` deliveries say, in order. They stay unsettled.
async fn bodies(subscription: &mut Box<dyn Subscription>, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        let body = next(subscription).await.envelope.body;
        bodies.push(String::from_utf8(body.to_vec()).expect("text"));
    }
    bodies
}

macro_rules! on_each {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Broker::memory()).await;
            })*
        }
        mod rabbit {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Broker::rabbit(super::Pace::Each).await).await;
            })*
        }
        mod rabbit_in_bursts {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Broker::rabbit(super::Pace::Bursts).await).await;
            })*
        }
    };
}

on_each! {
    a_webhook_arrives_whole
    another_providers_queue_is_not_touched
    the_prefetch_bounds_what_is_handed_out
    unsettled_messages_are_redelivered_in_order
    settled_messages_are_not_redelivered
    settling_out_of_order_settles_just_those
    a_stopped_subscription_hands_out_nothing_more
    a_delayed_message_waits_at_least_its_delay_and_overtakes_nothing_shorter
    a_parked_message_waits_apart
}

async fn a_webhook_arrives_whole(broker: Broker) {
    let webhook = Envelope {
        attempt: 3,
        crashes: 2,
        replay: Some(Replay::Force(Uuid::new_v4())),
        reason: Some("publish_refused".to_owned()),
        history: History::from_text(r#"[{"at":1,"attempt":2,"reason":"publish_refused"}]"#),
        trace: TraceContext {
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            tracestate: Some("vendor=value".to_owned()),
        },
        ..envelope(TELYPORT, &b"\x00\xff not even text"[..])
    };
    broker.publish(Outbound::Raw(webhook.clone())).await;
    let mut subscription = broker.subscribe(10).await;
    let delivery = next(&mut subscription).await;
    assert_eq!(delivery.envelope, webhook);
    assert_eq!(delivery.defect, None);
}

async fn another_providers_queue_is_not_touched(broker: Broker) {
    broker.publish(Outbound::Raw(envelope(EXPRESS, "theirs"))).await;
    broker.publish(Outbound::Raw(envelope(TELYPORT, "ours"))).await;
    let mut subscription = broker.subscribe(10).await;
    assert_eq!(bodies(&mut subscription, 1).await, ["ours"]);
}

async fn the_prefetch_bounds_what_is_handed_out(broker: Broker) {
    for body in ["1", "2", "3"] {
        broker.publish(Outbound::Raw(envelope(TELYPORT, body))).await;
    }
    let mut subscription = broker.subscribe(2).await;
    let (first, _second) = (next(&mut subscription).await, next(&mut subscription).await);
    let more = tokio::time::timeout(Duration::from_millis(300), subscription.next()).await;
    assert!(more.is_err(), "a third was handed out");
    subscription.acknowledge(&mut vec![first.tag]);
    assert_eq!(bodies(&mut subscription, 1).await, ["3"]);
}

async fn unsettled_messages_are_redelivered_in_order(broker: Broker) {
    for body in ["1", "2", "3"] {
        broker.publish(Outbound::Raw(envelope(TELYPORT, body))).await;
    }
    let mut subscription = broker.subscribe(10).await;
    assert_eq!(bodies(&mut subscription, 3).await, ["1", "2", "3"]);
    subscription.close().await;
    let mut subscription = broker.subscribe(10).await;
    assert_eq!(bodies(&mut subscription, 3).await, ["1", "2", "3"]);
}

async fn settled_messages_are_not_redelivered(broker: Broker) {
    for body in ["1", "2", "3"] {
        broker.publish(Outbound::Raw(envelope(TELYPORT, body))).await;
    }
    let mut subscription = broker.subscribe(10).await;
    let mut tags = vec![next(&mut subscription).await.tag, next(&mut subscription).await.tag];
    subscription.acknowledge(&mut tags);
    assert!(tags.is_empty(), "each tag is settled once");
    subscription.close().await;
    let mut subscription = broker.subscribe(10).await;
    assert_eq!(bodies(&mut subscription, 1).await, ["3"]);
}

async fn settling_out_of_order_settles_just_those(broker: Broker) {
    for body in ["1", "2", "3", "4"] {
        broker.publish(Outbound::Raw(envelope(TELYPORT, body))).await;
    }
    let mut subscription = broker.subscribe(10).await;
    let mut tags = Vec::new();
    for _ in 0..4 {
        tags.push(next(&mut subscription).await.tag);
    }
    subscription.acknowledge(&mut vec![tags[3], tags[0], tags[1]]);
    subscription.close().await;
    let mut subscription = broker.subscribe(10).await;
    assert_eq!(bodies(&mut subscription, 1).await, ["3"]);
    let more = tokio::time::timeout(Duration::from_millis(300), subscription.next()).await;
    assert!(more.is_err(), "a settled message was redelivered");
}

async fn a_stopped_subscription_hands_out_nothing_more(broker: Broker) {
    for body in ["1", "2"] {
        broker.publish(Outbound::Raw(envelope(TELYPORT, body))).await;
    }
    let mut subscription = broker.subscribe(10).await;
    let first = next(&mut subscription).await;
    subscription.stop().await;
    assert!(subscription.next().await.is_err());
    subscription.acknowledge(&mut vec![first.tag]);
    subscription.close().await;
    let mut subscription = broker.subscribe(10).await;
    assert_eq!(bodies(&mut subscription, 1).await, ["2"]);
}

async fn a_delayed_message_waits_at_least_its_delay_and_overtakes_nothing_shorter(broker: Broker) {
    let began = Instant::now();
    for (body, seconds) in [("3 s", 3), ("1 s", 1), ("2 s", 2)] {
        let delay = Duration::from_secs(seconds);
        broker.publish(Outbound::Later(envelope(TELYPORT, body), delay)).await;
    }
    let mut subscription = broker.subscribe(10).await;
    for (expected, seconds) in [("1 s", 1), ("2 s", 2), ("3 s", 3)] {
        assert_eq!(bodies(&mut subscription, 1).await, [expected]);
        assert!(began.elapsed() >= Duration::from_secs(seconds), "{expected} came early");
    }
}

async fn a_parked_message_waits_apart(broker: Broker) {
    let outbound =
        Outbound::Parked(envelope(TELYPORT, "poison"), ParkReason::Malformed, "not one JSON object".into());
    broker.publish(outbound).await;
    broker.publish(Outbound::Raw(envelope(TELYPORT, "next"))).await;
    let mut subscription = broker.subscribe(10).await;
    assert_eq!(bodies(&mut subscription, 1).await, ["next"]);
    eventually("it is parked", || async { (broker.parked().await == 1).then_some(()) }).await;
}

/// lapin gives confirms to the wrong publish when several tasks write to one channel at once; ours must not.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_publishers_get_their_own_confirms() {
    for pace in [Pace::Each, Pace::Bursts] {
        each_gets_its_own_confirm(pace).await;
    }
}

async fn each_gets_its_own_confirm(pace: Pace) {
    let broker = Broker::rabbit(pace).await;
    let vhost = broker.vhost.as_ref().expect("a virtual host");
    // One provider's queue takes two messages and refuses the rest; the other's takes all.
    let bound = serde_json::json!({ "max-length": 2 });
    vhost.set_policy("full", "^milepost\\.webhooks\\.telyport$", bound).await;
    eventually("the queue is full", || async {
        broker.publisher.publish(Outbound::Raw(envelope(TELYPORT, "filler"))).await.is_err().then_some(())
    })
    .await;
    let publishing = (0..4000).map(|number| {
        let publisher = Arc::clone(&broker.publisher);
        tokio::spawn(async move {
            let provider = if number % 2 == 0 { TELYPORT } else { EXPRESS };
            (number % 2, publisher.publish(Outbound::Raw(envelope(provider, "x"))).await)
        })
    });
    for result in join_all(publishing).await {
        let (kind, result) = result.expect("no panic");
        let expected = if kind == 0 { Err(milepost::ports::PublishError::Refused) } else { Ok(()) };
        assert_eq!(result, expected);
    }
}
