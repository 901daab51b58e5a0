//! Invariants 3 and 5 with the servers themselves: killed and started again, full, blocked, and a queue that goes
//! away. Every accepted webhook is published and accounted for by its receipt; the publisher and the worker go on
//! by themselves; and what is not the message's own failure spends no attempt.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis;
use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use milepost::adapters::rabbit::topology::{parked_queue, work_queue};
use milepost::app::backends::Backends;
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::ReceiptId;
use milepost::ports::{Outbound, PublishError, Publisher};
use tokio::task::{JoinHandle, block_in_place};
use tokio_util::sync::CancellationToken;

use crate::support::eventually;
use crate::support::fixtures::{EXPRESS, TELYPORT, account, envelope};
use crate::support::fleet::{Real, Running, Subscriber, receipt, run, telyport, telyport_body};
use crate::support::process::Program;
use crate::support::servers::{OwnServers, Vhost, channel, depth};

/// The subscriber's queue.
pub(crate) const SUBSCRIBER: &str = "test.subscriber";

/// A publisher that counts the copies a worker schedules and parks.
pub(crate) struct Counting {
    publisher: Arc<dyn Publisher>,
    later: AtomicU32,
    /// Those of the delayed that spent an attempt.
    retries: AtomicU32,
    parked: AtomicU32,
}

#[async_trait]
impl Publisher for Counting {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        match &outbound {
            Outbound::Later(copy, _) => {
                self.later.fetch_add(1, Ordering::SeqCst);
                self.retries.fetch_add(u32::from(copy.attempt > 0), Ordering::SeqCst);
            }
            Outbound::Parked(..) => drop(self.parked.fetch_add(1, Ordering::SeqCst)),
            Outbound::Raw(_) | Outbound::Update(_) => {}
        }
        self.publisher.publish(outbound).await
    }

    fn ready(&self) -> bool {
        self.publisher.ready()
    }
}

/// Publishes webhooks one after another, each again and again until it is confirmed, as a provider would.
pub(crate) struct Feed {
    accepted: Arc<Mutex<BTreeSet<ReceiptId>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Feed {
    fn start(publisher: Arc<dyn Publisher>, name: &str) -> Self {
        let (accepted, stop) = (Arc::new(Mutex::new(BTreeSet::new())), CancellationToken::new());
        let (accepting, stopping, name) = (Arc::clone(&accepted), stop.clone(), name.to_owned());
        // The test's account is its thread's, and the task may run on another.
        let account = account();
        let task = tokio::spawn(async move {
            let mut number = 0;
            while !stopping.is_cancelled() {
                number += 1;
                let body = telyport_body(&format!("{name}-{number}"), "e", "NEW");
                let webhook = Envelope { account: account.clone(), ..envelope(TELYPORT, body) };
                while publisher.publish(Outbound::Raw(webhook.clone())).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await; // A provider waits before it sends again.
                }
                accepting.lock().expect("no panic").insert(webhook.receipt);
            }
        });
        Self { accepted, stop, task }
    }

    fn accepted(&self) -> BTreeSet<ReceiptId> {
        self.accepted.lock().expect("no panic").clone()
    }

    /// Waits until `count` more were accepted; returns those that were.
    pub(crate) async fn more(&self, count: usize) -> BTreeSet<ReceiptId> {
        let before = self.accepted();
        let more = eventually("more webhooks are accepted", || async {
            let accepted = self.accepted();
            (accepted.len() >= before.len() + count).then_some(accepted)
        })
        .await;
        more.difference(&before).copied().collect()
    }

    /// Begins no further webhook; returns all that were accepted.
    async fn stop(&mut self) -> BTreeSet<ReceiptId> {
        self.stop.cancel();
        (&mut self.task).await.expect("no panic");
        self.accepted()
    }
}

/// A feed, a worker and a subscriber on servers that something is going to happen to.
pub(crate) struct Flow {
    real: Real,
    counting: Arc<Counting>,
    pub(crate) feed: Feed,
    worker: Running,
    subscriber: Subscriber,
}

impl Flow {
    /// Returns in mid-flow.
    async fn start(servers: &OwnServers, name: &str) -> Self {
        Self::at(&servers.amqp_url, &servers.redis_url, name).await
    }

    pub(crate) async fn at(amqp_url: &str, redis_url: &str, name: &str) -> Self {
        let real = Real::at(amqp_url, redis_url).await;
        let subscriber = Subscriber::bind(&real.amqp_url, SUBSCRIBER, FieldTable::default()).await;
        let publisher = Arc::clone(&real.backends.publisher);
        let (later, retries, parked) = Default::default();
        let counting = Arc::new(Counting { publisher: publisher.clone(), later, retries, parked });
        let backends = Backends { publisher: counting.clone(), ..real.backends.clone() };
        let worker = run(telyport(&backends));
        let feed = Feed::start(publisher, name);
        feed.more(100).await;
        eventually("updates flow", || async { (subscriber.unread().await > 50).then_some(()) }).await;
        Self { real, counting, feed, worker, subscriber }
    }

    /// Connections for looking and reading, once those from before are gone.
    async fn look_again(&mut self) {
        let Subscriber { events, order, keys, .. } = &mut self.subscriber;
        let seen = (std::mem::take(events), std::mem::take(order), std::mem::take(keys));
        self.subscriber = Subscriber::bind(&self.real.amqp_url, SUBSCRIBER, FieldTable::default()).await;
        (self.subscriber.events, self.subscriber.order, self.subscriber.keys) = seen;
        self.real.channel = channel(&self.real.amqp_url).await;
    }

    /// While a dependency of the worker is away, webhooks are accepted and none of them is published.
    async fn accepted_and_not_published(&mut self) {
        let unpublished = self.feed.more(50).await;
        let unread = self.subscriber.unread().await as usize;
        let read = self.subscriber.order.len() + unread;
        self.subscriber.take_until(|seen| seen.order.len() >= read).await;
        assert!(receipts(&self.subscriber).is_disjoint(&unpublished), "published without its claim");
    }

    /// All is well again: everything accepted is published, and nothing was parked or spent an attempt.
    pub(crate) async fn end(mut self) -> (Arc<Counting>, BTreeSet<ReceiptId>) {
        self.feed.more(50).await;
        let accepted = self.feed.stop().await;
        self.subscriber.take_until(|seen| seen.events.len() >= accepted.len()).await;
        eventually("every copy ends", || async { (self.copies().await == 0).then_some(()) }).await;
        let Self { real, counting, worker, mut subscriber, .. } = self;
        worker.stop().await;
        let read = subscriber.order.len() + subscriber.unread().await as usize;
        subscriber.take_until(|seen| seen.order.len() >= read).await;

        assert_eq!(receipts(&subscriber), accepted);
        assert_eq!(subscriber.events.len(), accepted.len(), "one event for each receipt");
        subscriber.assert_repeats_are_identical();
        assert_eq!(depth(&real.channel, &parked_queue(TELYPORT)).await, 0);
        assert_eq!(counting.parked.load(Ordering::SeqCst), 0);
        assert_eq!(counting.retries.load(Ordering::SeqCst), 0, "an attempt was spent");
        (counting, accepted)
    }

    /// How many copies wait to be worked on, now or later.
    async fn copies(&self) -> u32 {
        let mut copies = self.real.waiting(TELYPORT).await;
        for level in 0..12 {
            copies += depth(&self.real.channel, &format!("milepost.delay.v1.{level:02}")).await;
        }
        copies
    }
}

fn receipts(subscriber: &Subscriber) -> BTreeSet<ReceiptId> {
    subscriber.events.values().map(|bodies| receipt(&bodies[0])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_killed_and_started_again_lose_nothing() {
    let servers = block_in_place(|| OwnServers::start("restart"));

    // Redis. A key it forgot may cost a repeat.
    let mut flow = Flow::start(&servers, "redis-killed").await;
    block_in_place(|| servers.run(&["kill-redis"]));
    flow.accepted_and_not_published().await;
    block_in_place(|| servers.run(&["start-redis"]));
    let (counting, _) = flow.end().await;
    assert_eq!(counting.later.load(Ordering::SeqCst), 0, "nothing was put off");

    // The broker, in an orderly way and then not. Not the other way round: RabbitMQ 3.10 writes the names of its Raft
    // members down late, and a queue, or a first stream, that is seconds old when its broker is killed is not served
    // again. None of ours is that young then.
    // All the while `milepost tail` reads the stream, and misses nothing.
    let tail = Program::milepost("tail --json --amqp").arg(&servers.amqp_url).spawn();
    tail.stderr.with("reading updates").await;
    for how in ["stop-rabbit", "kill-rabbit"] {
        let mut flow = Flow::start(&servers, how).await;
        block_in_place(|| servers.run(&[how]));
        eventually("it is noticed", || async { (!flow.real.backends.publisher.ready()).then_some(()) }).await;
        block_in_place(|| servers.run(&["start-rabbit"]));
        flow.feed.more(100).await;
        flow.look_again().await;
        let (_, accepted) = flow.end().await;
        eventually("tail shows every update", || async {
            let shown: BTreeSet<_> = tail.stdout.all().iter().map(|line| receipt(line.as_bytes())).collect();
            shown.is_superset(&accepted).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_take_no_more_for_a_while_lose_nothing() {
    let servers = block_in_place(|| OwnServers::start("full"));

    // Redis is full.
    let mut flow = Flow::start(&servers, "redis-full").await;
    set_max_memory(&servers, "1").await;
    flow.accepted_and_not_published().await;
    set_max_memory(&servers, "0").await;
    let (counting, _) = flow.end().await;
    assert_eq!(counting.later.load(Ordering::SeqCst), 0, "nothing was put off");

    // The broker blocks publishers.
    let flow = Flow::start(&servers, "blocked").await;
    let publisher = Arc::clone(&flow.real.backends.publisher);
    block_in_place(|| servers.run(&["ctl", "-q", "set_vm_memory_high_watermark", "absolute", "1"]));
    eventually("the publisher is not ready", || async { (!publisher.ready()).then_some(()) }).await;
    let began = Instant::now();
    let outcome = publisher.publish(Outbound::Raw(envelope(TELYPORT, "never sent"))).await;
    assert_eq!(outcome, Err(PublishError::Unavailable));
    assert!(began.elapsed() < Duration::from_secs(1), "an answer took {:?}", began.elapsed());
    block_in_place(|| servers.run(&["ctl", "-q", "set_vm_memory_high_watermark", "absolute", "2GB"]));
    eventually("the publisher is ready", || async { publisher.ready().then_some(()) }).await;
    flow.end().await;
}

async fn set_max_memory(servers: &OwnServers, bytes: &str) {
    let client = redis::Client::open(servers.redis_url.as_str()).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(bytes);
    let () = set.query_async(&mut connection).await.expect("set");
}

#[tokio::test]
async fn a_worker_whose_queue_was_deleted_subscribes_to_the_new_one() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "test.subscriber", FieldTable::default()).await;
    let subscribed = Arc::new(AtomicBool::new(false));
    let telling = Arc::clone(&subscribed);
    let mut worker = telyport(&real.backends);
    worker.subscribed = Arc::new(move |yes| telling.store(yes, Ordering::SeqCst));
    let worker = run(worker);
    real.publish(envelope(TELYPORT, telyport_body("before", "e1", "NEW"))).await;
    subscriber.take_until(|seen| seen.order.len() == 1).await;
    let queue = work_queue(TELYPORT);
    real.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("deleted");
    // RabbitMQ 3.10 tells no consumer when a queue of the same name is there again within some milliseconds.
    eventually("it is noticed", || async { (!subscribed.load(Ordering::SeqCst)).then_some(()) }).await;
    vhost.declare(Duration::from_millis(100), &[TELYPORT, EXPRESS]).await;
    real.publish(envelope(TELYPORT, telyport_body("after", "e2", "NEW"))).await;
    subscriber.take_until(|seen| seen.order.len() == 2).await;
    worker.stop().await;
    assert_eq!(subscriber.events.len(), 2);
}
