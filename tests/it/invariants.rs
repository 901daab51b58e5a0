//! The invariants that a worker keeps (docs/ARCHITECTURE.md), on a real RabbitMQ and Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use metrics_exporter_prometheus::PrometheusBuilder;
use milepost::adapters::rabbit::topology::work_queue;
use milepost::app::backends::Backends;
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use milepost::domain::envelope::Envelope;
use milepost::domain::retry::RetrySchedule;
use milepost::ports::{Ledger, LedgerError, Outbound, PublishError, Publisher};
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;
use serde_json::Value;

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, account, envelope};
use crate::support::fleet::{
    Real, Subscriber, drained, header, rejecting, run, telyport, telyport_body, worker,
};
use crate::support::servers::Vhost;

async fn subscriber(real: &Real) -> Subscriber {
    Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await
}

/// Takes what is published until a marker, published now, has come through.
async fn after_a_marker(real: &Real, subscriber: &mut Subscriber, marker: &str) {
    real.publish(envelope(TELYPORT, telyport_body(marker, marker, "NEW"))).await;
    subscriber
        .take_until(|seen| {
            seen.events.values().flatten().any(|body| {
                let event: Value = serde_json::from_slice(body).expect("JSON");
                event["subject"] == marker
            })
        })
        .await;
}

/// Invariant 2 and the whole protocol: each distinct event once, each message accounted for.
#[tokio::test]
async fn each_event_is_published_once_despite_resends() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let once = envelope(TELYPORT, telyport_body("D1", "e1", "STARTED"));
    real.publish(once.clone()).await; // first
    real.publish(once).await; // the same receipt again: a publish that was not confirmed to the receiver
    real.publish(envelope(TELYPORT, telyport_body("D1", "e1", "STARTED"))).await; // the provider's own resend
    real.publish(envelope(TELYPORT, telyport_body("D1", "e1", "CANCELLED"))).await; // same id, other content
    real.publish(envelope(TELYPORT, telyport_body("D2", "e1", "STARTED"))).await; // same id, other delivery
    let worker = run(telyport(&real.backends));
    // The marker is another delivery's and could overtake; the repeats come before D1's last event.
    subscriber.take_until(|seen| seen.events.len() == 3).await;
    after_a_marker(&real, &mut subscriber, "marker").await;
    worker.stop().await;
    assert_eq!(subscriber.order.len(), 4, "three events and the marker");
    assert_eq!(subscriber.unread().await, 0);
    assert_eq!(subscriber.events.len(), 4);
    assert!(real.parked(TELYPORT).await.is_empty());
}

/// Invariant 8: updates of one delivery are published in the order taken, with many deliveries at once.
#[tokio::test(flavor = "multi_thread")]
async fn updates_of_one_delivery_stay_in_order() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    for number in 0..20 {
        for delivery in 0..20 {
            let body = telyport_body(&format!("D{delivery}"), &format!("e{delivery}-{number:02}"), "STARTED");
            real.publish(envelope(TELYPORT, body)).await;
        }
    }
    let worker = run(telyport(&real.backends));
    subscriber.take_until(|seen| seen.events.len() == 400).await;
    worker.stop().await;
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for id in &subscriber.order {
        let event: Value = serde_json::from_slice(&subscriber.events[id][0]).expect("JSON");
        let event_id = event["data"]["provider_event_id"].as_str().expect("an id").to_owned();
        let delivery = event["subject"].as_str().expect("a subject").to_owned();
        if let Some(before) = last.insert(delivery, event_id.clone()) {
            assert!(before < event_id, "{event_id} came after {before}");
        }
    }
    assert_eq!(last.len(), 20);
}

/// Invariant 6: a malformed message is parked at once with its reason, whole, and costs its neighbours nothing.
#[tokio::test]
async fn a_malformed_message_is_parked_whole_and_never_retried() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let poison = envelope(TELYPORT, &b"{\"event\":\"ORDER.STATUS_UPDATED\",}\xff"[..]);
    real.publish(poison.clone()).await;
    real.publish(envelope(TELYPORT, &b"{\"data\":{\"orderID\":\"D1\"}}"[..])).await;
    real.publish(envelope(TELYPORT, telyport_body("D2", "e2", "NEW"))).await;
    let worker = run(telyport(&real.backends));
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    let parked = real.eventually_parked(2).await;
    worker.stop().await;
    let reasons: BTreeSet<_> =
        parked.iter().filter_map(|(properties, _)| header(properties, "mp-reason")).collect();
    assert_eq!(reasons, BTreeSet::from(["malformed".to_owned(), "missing_field".to_owned()]));
    let (properties, body) = parked
        .iter()
        .find(|(properties, _)| header(properties, "mp-reason").as_deref() == Some("malformed"))
        .expect("the poison");
    assert_eq!(*body, poison.body.to_vec());
    assert_eq!(properties.message_id().as_ref().map(ToString::to_string), Some(poison.receipt.to_string()));
    let account_of =
        |properties: &lapin::BasicProperties| properties.correlation_id().as_ref().map(ToString::to_string);
    assert_eq!(account_of(properties), Some(account().to_string()));
    assert_eq!(header(properties, "mp-attempt"), None, "no attempt was spent");
}

/// Something that is no envelope at all, put on the queue by hand, is parked too.
#[tokio::test]
async fn a_message_without_an_envelope_is_parked() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    real.channel
        .basic_publish(
            "milepost.webhooks".into(),
            "telyport".into(),
            lapin::options::BasicPublishOptions::default(),
            b"by hand",
            lapin::BasicProperties::default(),
        )
        .await
        .expect("sent");
    let worker = run(telyport(&real.backends));
    let parked = real.eventually_parked(1).await;
    worker.stop().await;
    assert_eq!(header(&parked[0].0, "mp-reason").as_deref(), Some("bad_envelope"));
    assert_eq!(parked[0].1, b"by hand");
}

/// Ports that misbehave on order, around the real ones.
struct Faulty {
    publisher: Arc<dyn Publisher>,
    ledger: Arc<dyn Ledger>,
    /// The ledger is away.
    ledger_away: AtomicBool,
    /// The publisher is away.
    publisher_away: AtomicBool,
    /// The next publish of an update panics.
    panics: AtomicU32,
    /// How many updates were tried.
    tried: AtomicU32,
    /// How often the publisher was asked whether it is ready.
    asked: AtomicU32,
}

impl Faulty {
    fn around(real: &Real) -> (Arc<Self>, Backends) {
        let faulty = Arc::new(Self {
            publisher: Arc::clone(&real.backends.publisher),
            ledger: Arc::clone(&real.backends.ledger),
            ledger_away: AtomicBool::new(false),
            publisher_away: AtomicBool::new(false),
            panics: AtomicU32::new(0),
            tried: AtomicU32::new(0),
            asked: AtomicU32::new(0),
        });
        let backends =
            Backends { publisher: faulty.clone(), ledger: faulty.clone(), ..real.backends.clone() };
        (faulty, backends)
    }

    fn ledger(&self) -> Result<&dyn Ledger, LedgerError> {
        if self.ledger_away.load(Ordering::SeqCst) {
            return Err(LedgerError("away, says the test".to_owned()));
        }
        Ok(self.ledger.as_ref())
    }
}

#[async_trait]
impl Publisher for Faulty {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        if matches!(outbound, Outbound::Update(_)) {
            self.tried.fetch_add(1, Ordering::SeqCst);
            let panics = self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            assert!(panics.is_err(), "the test says so");
        }
        if self.publisher_away.load(Ordering::SeqCst) {
            return Err(PublishError::Unavailable);
        }
        self.publisher.publish(outbound).await
    }

    fn ready(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst);
        !self.publisher_away.load(Ordering::SeqCst) && self.publisher.ready()
    }
}

#[async_trait]
impl Ledger for Faulty {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError> {
        self.ledger()?.claim(request).await
    }

    async fn mark(&self, event: &EventRef, mark: Mark) -> Result<bool, LedgerError> {
        self.ledger()?.mark(event, mark).await
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.ledger()?.ping().await
    }
}

/// A panic while processing one message parks that message alone.
#[tokio::test]
async fn a_panic_parks_that_message_alone() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let (faulty, backends) = Faulty::around(&real);
    faulty.panics.store(1, Ordering::SeqCst);
    for number in 0..5 {
        let body = telyport_body(&format!("D{number}"), "e", "NEW");
        real.publish(envelope(TELYPORT, body)).await;
    }
    let worker = run(telyport(&backends));
    let parked = real.eventually_parked(1).await;
    subscriber.take_until(|seen| seen.events.len() == 4).await;
    worker.stop().await;
    assert_eq!(parked.len(), 1);
    assert_eq!(header(&parked[0].0, "mp-reason").as_deref(), Some("panic"));
}

/// Invariant 5: an outage spends no attempt; the worker pauses and resumes by itself.
#[tokio::test]
async fn an_outage_spends_no_attempt() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let (faulty, backends) = Faulty::around(&real);
    let worker = run(telyport(&backends));
    for outage in ["ledger", "publisher"] {
        let away = if outage == "ledger" { &faulty.ledger_away } else { &faulty.publisher_away };
        real.publish(envelope(TELYPORT, telyport_body(&format!("{outage}-before"), "e", "NEW"))).await;
        subscriber.take_until(|seen| seen.order.len() % 3 == 1).await;
        away.store(true, Ordering::SeqCst);
        for number in 0..2 {
            let body = telyport_body(&format!("{outage}-{number}"), "e", "NEW");
            real.publish(envelope(TELYPORT, body)).await;
        }
        let tried = faulty.tried.load(Ordering::SeqCst);
        eventually("the worker holds both and neither is settled", || async {
            (real.waiting(TELYPORT).await == 0).then_some(())
        })
        .await;
        if outage == "publisher" {
            eventually("it tried again and again", || async {
                (faulty.tried.load(Ordering::SeqCst) > tried + 6).then_some(())
            })
            .await;
        }
        away.store(false, Ordering::SeqCst);
        subscriber.take_until(|seen| seen.order.len() % 3 == 0).await;
    }
    worker.stop().await;
    assert_eq!(subscriber.events.len(), 6);
    assert!(real.parked(TELYPORT).await.is_empty());
    let delay_queues = vhost.list("queues").await;
    let delayed: u64 = delay_queues
        .as_array()
        .expect("a list")
        .iter()
        .filter(|queue| queue["name"].as_str().is_some_and(|name| name.starts_with("milepost.delay")))
        .filter_map(|queue| queue["message_stats"]["publish"].as_u64())
        .sum();
    assert_eq!(delayed, 0, "no retry was scheduled");
}

/// Invariant 5: a worker that cannot publish takes nothing. Were messages taken and given back time and again for as
/// long as that lasts, the work queue's delivery limit would park them in the end.
#[tokio::test]
async fn a_worker_that_cannot_publish_takes_nothing() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let (faulty, backends) = Faulty::around(&real);
    faulty.publisher_away.store(true, Ordering::SeqCst);
    real.publish(envelope(TELYPORT, telyport_body("D", "e", "NEW"))).await;
    let worker = run(telyport(&backends));
    eventually("it looked several times", || async {
        (faulty.asked.load(Ordering::SeqCst) > 3).then_some(())
    })
    .await;
    assert_eq!(real.waiting(TELYPORT).await, 1);
    faulty.publisher_away.store(false, Ordering::SeqCst);
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    worker.stop().await;
}

/// A gauge that kept what a lost subscription had in flight would alert on messages that no worker holds.
#[tokio::test]
async fn a_lost_subscription_leaves_nothing_in_flight() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _measured = metrics::set_default_local_recorder(&recorder);
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let (faulty, backends) = Faulty::around(&real);
    let worker = run(telyport(&backends));
    let says = |count: u32| {
        let line = format!("milepost_inflight_messages{{provider=\"telyport\"}} {count}");
        let metrics = metrics.clone();
        move || std::future::ready(metrics.render().lines().any(|said| said == line).then_some(()))
    };
    eventually("it has subscribed", says(0)).await;
    faulty.ledger_away.store(true, Ordering::SeqCst);
    // Of one delivery: one is being processed, the others wait for it.
    for number in 0..3 {
        real.publish(envelope(TELYPORT, telyport_body("D", &format!("e{number}"), "NEW"))).await;
    }
    eventually("it holds them", says(3)).await;
    let queue = work_queue(TELYPORT);
    let gone = QueueDeleteOptions::default();
    real.channel.queue_delete(queue.as_str().into(), gone).await.expect("deleted");
    eventually("it holds nothing", says(0)).await;
    worker.stop().await;
}

/// A subscriber's full queue that rejects publishes: the event is retried until the subscriber drains. And
/// invariant 4: the extra copies that resends make merge into the one chain, and every copy ends.
#[tokio::test]
async fn a_refused_event_is_retried_on_one_chain_until_it_goes_through() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut full = Subscriber::bind(&real.amqp_url, "test.full", rejecting(1)).await;
    let worker = run(telyport(&real.backends));
    // A quorum queue takes a few beyond its limit before it refuses.
    let mut sent = 0;
    let retrying = eventually("a publish is refused", || {
        sent += 1;
        let delivery = format!("D{sent}");
        let real = &real;
        let vhost = &vhost;
        async move {
            real.publish(envelope(TELYPORT, telyport_body(&delivery, "e", "NEW"))).await;
            drained(real).await;
            let queues = vhost.list("queues").await;
            let delayed = queues.as_array()?.iter().any(|queue| {
                queue["name"].as_str().is_some_and(|name| name.starts_with("milepost.delay.v1."))
                    && queue["messages"].as_u64().is_some_and(|messages| messages > 0)
            });
            delayed.then_some(delivery)
        }
    })
    .await;
    for _ in 0..5 {
        real.publish(envelope(TELYPORT, telyport_body(&retrying, "e", "NEW"))).await;
    }
    drained(&real).await;
    full.take_until(|seen| seen.events.len() == sent).await;
    after_a_marker(&real, &mut full, "marker").await;
    worker.stop().await;
    full.assert_repeats_are_identical();
    assert_eq!(full.order.len(), sent + 1, "one publication each: this subscriber refused the others");
    assert!(real.parked(TELYPORT).await.is_empty());
}

/// The schedule ends: one attempt after the capped interval, then a person.
#[tokio::test]
async fn an_event_that_is_refused_to_the_end_is_parked() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let (_faulty, mut backends) = Faulty::around(&real);
    backends.publisher = Arc::new(RefusesUpdates(Arc::clone(&real.backends.publisher), AtomicU32::new(0)));
    let second = Duration::from_secs(1);
    let schedule = RetrySchedule::try_new(second, 2.0, 2 * second, 0.0).expect("a schedule of two waits");
    let refused = envelope(TELYPORT, telyport_body("D1", "e1", "NEW"));
    real.publish(refused.clone()).await;
    let worker = run(worker(&backends, &TELYPORT_PROVIDER, schedule));
    let parked = real.eventually_parked(1).await;
    worker.stop().await;
    assert_eq!(header(&parked[0].0, "mp-reason").as_deref(), Some("retries_exhausted"));
    assert_eq!(header(&parked[0].0, "mp-detail").as_deref(), Some("publish_refused"));
    assert_eq!(header(&parked[0].0, "mp-attempt").as_deref(), Some("2"));
    assert_eq!(parked[0].1, refused.body.to_vec());
}

struct RefusesUpdates(Arc<dyn Publisher>, AtomicU32);

#[async_trait]
impl Publisher for RefusesUpdates {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        if matches!(outbound, Outbound::Update(_)) {
            self.1.fetch_add(1, Ordering::SeqCst);
            return Err(PublishError::Refused);
        }
        self.0.publish(outbound).await
    }

    fn ready(&self) -> bool {
        self.0.ready()
    }
}

/// An event whose claims ran out five times is parked instead of hopping for ever.
#[tokio::test]
async fn an_event_that_kills_its_workers_is_parked_as_a_crash_loop() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let killer = Envelope { crashes: 5, ..envelope(TELYPORT, telyport_body("D1", "e1", "NEW")) };
    real.publish(killer).await;
    let worker = run(telyport(&real.backends));
    let parked = real.eventually_parked(1).await;
    worker.stop().await;
    assert_eq!(header(&parked[0].0, "mp-reason").as_deref(), Some("crash_loop"));
}

/// A drain finishes or gives back everything it holds, and acknowledges nothing that is not done.
#[tokio::test]
async fn a_drain_gives_back_what_it_cannot_finish() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let (faulty, backends) = Faulty::around(&real);
    let mut first = telyport(&backends);
    first.settings.drain_deadline = Duration::from_millis(200);
    first.processor.settings.lease = Duration::from_secs(3600);
    let first = run(first);
    real.publish(envelope(TELYPORT, telyport_body("warm", "e", "NEW"))).await;
    subscriber.take_until(|seen| seen.order.len() == 1).await;
    faulty.publisher_away.store(true, Ordering::SeqCst);
    for number in 0..20 {
        let body = telyport_body(&format!("D{}", number % 4), &format!("e{number}"), "NEW");
        real.publish(envelope(TELYPORT, body)).await;
    }
    drained(&real).await;
    first.stop().await;
    eventually("all twenty are back", || async { (real.waiting(TELYPORT).await == 20).then_some(()) }).await;
    let second = run(telyport(&real.backends));
    // The leases have an hour to go: that they come through shows that the drain let go of every claim.
    subscriber.take_until(|seen| seen.events.len() == 21).await;
    second.stop().await;
    assert_eq!(subscriber.order.len(), 21);
}

/// Headers forged by hand cannot harm the ledger: a nonsense `traceparent` is dropped, a huge count is capped.
#[tokio::test]
async fn forged_headers_cost_nothing() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let mut forged = envelope(TELYPORT, telyport_body("D1", "e1", "NEW"));
    forged.trace.traceparent = Some("K|9|0|0|x".to_owned());
    forged.attempt = u32::MAX;
    real.publish(forged).await;
    let worker = run(telyport(&real.backends));
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    worker.stop().await;
    let event: Value =
        serde_json::from_slice(&subscriber.events.values().next().expect("one")[0]).expect("JSON");
    assert_eq!(event.get("traceparent"), None);
}
