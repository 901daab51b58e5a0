//! A worker on real servers, what it publishes, and what it parks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use milepost::adapters::clock::SystemClock;
use milepost::adapters::rabbit::topology::{
    SinkQueue, Topology, TopologyMode, TopologySettings, UPDATES, parked_queue, work_queue,
};
use milepost::adapters::rabbit::{DelayLevels, Pace, RabbitInbox, RabbitPublisher};
use milepost::app::backends::Backends;
use milepost::domain::identity::ReceiptId;
use milepost::domain::order::StatusOrder;
use milepost::domain::provider::{Provider, ProviderId};
use milepost::domain::retry::RetrySchedule;
use milepost::pipeline::message::{ProcessSettings, Processor};
use milepost::pipeline::parking::Parker;
use milepost::pipeline::trials::Trials;
use milepost::pipeline::work::Work;
use milepost::pipeline::worker::{Worker, WorkerSettings};
use milepost::ports::Outbound;
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;
use milepost::sinks::HUBRISE;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::eventually;
use super::fixtures::{EXPRESS, TELYPORT};
use super::servers::{
    Vhost, channel, depth, rabbit_settings, redis_cells_at, redis_gaps_at, redis_ledger_at, redis_url,
    topology_settings,
};

const DELAY_UNIT: Duration = Duration::from_millis(100);

/// The protocol's numbers for tests: short leases, so that crashes heal within seconds.
fn process_settings(schedule: RetrySchedule) -> ProcessSettings {
    ProcessSettings {
        processing_deadline: Duration::from_secs(2),
        lease: Duration::from_secs(3),
        ttl: Duration::from_secs(3600),
        resend_horizon: Duration::from_secs(60),
        schedule,
    }
}

/// Ports on real servers, with what keeps them connected.
pub struct Real {
    pub backends: Backends,
    pub amqp_url: String,
    /// For looking at queues.
    pub channel: Channel,
    _running: DropGuard,
}

impl Real {
    /// On the shared servers.
    pub async fn on(vhost: &Vhost) -> Self {
        Self::at(&vhost.amqp_url, &redis_url()).await
    }

    /// On any servers. The delay levels count tenths of a second.
    pub async fn at(amqp_url: &str, redis_url: &str) -> Self {
        let topology = Topology::new(&topology_settings(DELAY_UNIT), &[TELYPORT, EXPRESS]).and_audit();
        Self::of(topology, amqp_url, redis_url).await
    }

    /// With the queue of the HubRise sink.
    pub async fn with_sinks(amqp_url: &str, redis_url: &str) -> Self {
        let settings = topology_settings(DELAY_UNIT);
        let updates = SinkQueue { id: HUBRISE, source: UPDATES, patterns: vec!["#".to_owned()] };
        let topology = Topology::new(&settings, &[TELYPORT]).and_sinks(&settings, &[updates]).and_audit();
        Self::of(topology, amqp_url, redis_url).await
    }

    /// With parked queues that hold `bytes`.
    pub async fn with_parked_bound(vhost: &Vhost, bytes: u64) -> Self {
        let settings = TopologySettings { parked_max_bytes: bytes, ..topology_settings(DELAY_UNIT) };
        Self::of(Topology::new(&settings, &[TELYPORT]).and_audit(), &vhost.amqp_url, &redis_url()).await
    }

    async fn of(topology: Topology, amqp_url: &str, redis_url: &str) -> Self {
        let settings = rabbit_settings(amqp_url);
        let publisher = RabbitPublisher::new(
            settings.clone(),
            topology,
            TopologyMode::Apply,
            DelayLevels::new(DELAY_UNIT),
            Pace::Bursts,
        );
        let shutdown = CancellationToken::new();
        tokio::spawn(Arc::clone(&publisher).run(shutdown.clone()));
        let clock = Arc::new(SystemClock);
        let ledger = Arc::new(redis_ledger_at(redis_url));
        let backends = Backends {
            inbox: Arc::new(RabbitInbox::new(settings, clock.clone())),
            publisher,
            ledger: ledger.clone(),
            open: ledger,
            gaps: Arc::new(redis_gaps_at(redis_url)),
            cells: Arc::new(redis_cells_at(redis_url)),
            spools: BTreeMap::new(),
            clock,
        };
        eventually("the publisher connects", || async { backends.publisher.ready().then_some(()) }).await;
        let channel = channel(amqp_url).await;
        Self { backends, amqp_url: amqp_url.to_owned(), channel, _running: shutdown.drop_guard() }
    }

    pub async fn publish(&self, webhook: milepost::domain::envelope::Envelope) {
        self.backends.publisher.publish(Outbound::Raw(webhook)).await.expect("confirmed");
    }

    /// How many messages wait to be worked on.
    pub async fn waiting(&self, provider: ProviderId) -> u32 {
        depth(&self.channel, &work_queue(provider)).await
    }

    /// What is parked: headers and body. Takes them off the queue.
    pub async fn parked(&self, provider: ProviderId) -> Vec<(BasicProperties, Vec<u8>)> {
        let mut parked = Vec::new();
        let queue = parked_queue(provider);
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) =
            self.channel.basic_get(queue.as_str().into(), options).await.expect("the queue is there")
        {
            parked.push((message.properties.clone(), message.delivery.data));
        }
        parked
    }

    /// Waits for `count` parked messages.
    pub async fn eventually_parked(&self, count: usize) -> Vec<(BasicProperties, Vec<u8>)> {
        let queue = parked_queue(TELYPORT);
        eventually("messages are parked", || async {
            (depth(&self.channel, &queue).await as usize >= count).then_some(())
        })
        .await;
        self.parked(TELYPORT).await
    }
}

/// A text header of a parked message.
pub fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::LongLongInt(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A worker, running.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops it and waits until it has drained.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the worker ends well");
    }
}

/// A worker of `provider` on `backends`.
pub fn worker(backends: &Backends, provider: &'static dyn Provider, schedule: RetrySchedule) -> Worker {
    Worker {
        inbox: Arc::clone(&backends.inbox),
        processor: Processor {
            provider,
            publisher: Arc::clone(&backends.publisher),
            ledger: Arc::clone(&backends.ledger),
            clock: Arc::clone(&backends.clock),
            settings: process_settings(schedule),
            status_order: StatusOrder::new(provider.transitions()),
            parker: Parker::default(),
        },
        trials: Trials::new(Arc::clone(&backends.cells)),
        settings: WorkerSettings {
            prefetch: 256,
            drain_deadline: Duration::from_secs(5),
            outage_patience: Duration::from_secs(60),
        },
        heartbeat: Arc::new(|| {}),
        subscribed: {
            let subscribed = AtomicBool::new(false);
            Arc::new(move |yes| subscribed.store(yes, std::sync::atomic::Ordering::Relaxed))
        },
    }
}

pub fn run<W: Work + 'static>(worker: Worker<W>) -> Running {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    Running { stop, task: tokio::spawn(async move { worker.run(stopping).await }) }
}

/// Telyport's worker with the schedule of production.
pub fn telyport(backends: &Backends) -> Worker {
    worker(backends, &TELYPORT_PROVIDER, RetrySchedule::default())
}

/// Waits until nothing of Telyport's waits to be worked on.
pub async fn drained(real: &Real) {
    eventually("the work queue is empty", || async { (real.waiting(TELYPORT).await == 0).then_some(()) })
        .await;
}

/// The arguments of a queue that refuses publishes once it holds `length` messages, or a few more.
pub fn rejecting(length: i64) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(length));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    arguments
}

/// A subscriber with a queue of its own, bound to everything.
pub struct Subscriber {
    channel: Channel,
    queue: String,
    /// The bodies of each event id, in the order they came.
    pub events: BTreeMap<String, Vec<Vec<u8>>>,
    /// Event ids in the order they came, repeats included.
    pub order: Vec<String>,
    /// The routing keys in the order they came.
    pub keys: Vec<String>,
}

impl Subscriber {
    pub async fn bind(amqp_url: &str, name: &str, arguments: FieldTable) -> Self {
        let channel = channel(amqp_url).await;
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut arguments = arguments;
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        channel.queue_declare(name.into(), options, arguments).await.expect("declared");
        let binding = (QueueBindOptions::default(), FieldTable::default());
        channel
            .queue_bind(name.into(), "milepost.updates".into(), "#".into(), binding.0, binding.1)
            .await
            .expect("bound");
        let (events, order, keys) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { channel, queue: name.to_owned(), events, order, keys }
    }

    /// Takes what comes until `enough` says so.
    pub async fn take_until(&mut self, mut enough: impl FnMut(&Self) -> bool) {
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consuming = self.channel.basic_consume(
            self.queue.as_str().into(),
            "reader".into(),
            options,
            FieldTable::default(),
        );
        let mut consumer = consuming.await.expect("consumes");
        while !enough(self) {
            let message = tokio::time::timeout(super::SOON, consumer.next()).await;
            let message = message
                .unwrap_or_else(|_| {
                    panic!("no further event; have {} of {}", self.events.len(), self.order.len())
                })
                .expect("still consuming")
                .expect("no error");
            let event: Value = serde_json::from_slice(&message.data).expect("JSON");
            let id = event["id"].as_str().expect("an id").to_owned();
            self.order.push(id.clone());
            self.keys.push(message.routing_key.to_string());
            self.events.entry(id).or_default().push(message.data);
        }
        self.channel.basic_cancel("reader".into(), Default::default()).await.expect("cancels");
    }

    /// How many events wait unread.
    pub async fn unread(&self) -> u32 {
        depth(&self.channel, &self.queue).await
    }

    /// Every repeat of an event has the same bytes (invariant 3).
    pub fn assert_repeats_are_identical(&self) {
        for (id, bodies) in &self.events {
            assert!(
                bodies.windows(2).all(|pair| pair[0] == pair[1]),
                "{id} was published with different bodies"
            );
        }
    }
}

/// The first receipt of a published event.
pub fn receipt(event: &[u8]) -> ReceiptId {
    let event: Value = serde_json::from_slice(event).expect("JSON");
    event["data"]["receipt_id"].as_str().expect("a receipt").parse().expect("a UUID")
}

/// The bytes of a Telyport webhook.
pub fn telyport_body(delivery: &str, event_id: &str, status: &str) -> Vec<u8> {
    format!(
        r##"{{"timestamp":1739365639201,"event":"ORDER.STATUS_UPDATED","data":{{"orderID":"{delivery}","status":"{status}","updatedAt":1739365639201,"additionalProperties":{{}},"businessOrderID":"#1"}},"webhookEventID":"{event_id}"}}"##
    )
    .into_bytes()
}
