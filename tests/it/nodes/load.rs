//! Receivers, two workers and a subscriber on three nodes; webhooks sent all the while; and the account of every one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

use super::cluster::{Cluster, NODES};
use crate::support::fixtures::{TELYPORT, account};
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::channel;
use crate::support::{SOON, eventually};

const SUBSCRIBER: &str = "test.subscriber";
/// Webhooks a second.
const RATE: u32 = 50;
/// No pause is longer than this. Generous: it only bounds a failing test, and a busy machine takes half a minute to part
/// or to heal a node.
const LONGEST: Duration = Duration::from_mins(5);

pub struct Load {
    cluster: Arc<Cluster>,
    receivers: Vec<Process>,
    workers: Vec<Process>,
    sent: usize,
}

impl Load {
    pub async fn start() -> Self {
        let mut load =
            Self { cluster: Arc::new(Cluster::start()), receivers: Vec::new(), workers: Vec::new(), sent: 0 };
        let url = load.cluster.url();
        load.add_receiver(&url).await;
        for _ in 0..2 {
            let worker = on(&load.cluster, Program::worker(TELYPORT, &url)).spawn();
            worker.ready().await;
            load.workers.push(worker);
        }
        bind(load.cluster.amqp("n1")).await;
        load
    }

    /// A further receiver, which gets its share of the webhooks.
    pub async fn add_receiver(&mut self, amqp_url: &str) {
        let receiver = on(&self.cluster, Program::receiver(amqp_url)).spawn();
        receiver.ready().await;
        self.receivers.push(receiver);
    }

    /// The node that the first receiver is connected to.
    pub async fn receivers_node(&self) -> &'static str {
        eventually("the receiver's connection is listed", || async {
            let connections = self.cluster.ask("n1", "connections").await?;
            let named =
                |connection: &&Value| connection["user_provided_name"].to_string().contains("receiver");
            let node = connections.as_array()?.iter().find(named)?["node"].as_str()?;
            NODES.into_iter().find(|name| self.cluster.name(name) == node)
        })
        .await
    }

    /// Sends one more webhook to each receiver, which is to be accepted `within` so many seconds.
    pub async fn one_more(&mut self, within: u32) -> Vec<Program> {
        let mut sends = Vec::new();
        for receiver in &self.receivers {
            sends.push(sending(receiver, &format!("--count 1 --give-up {within}s")).await);
        }
        self.sent += sends.len();
        sends
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Sends for a while, in the middle of which `event` happens. Prints what that costs.
    ///
    /// The pause is the longest time in which no update was confirmed, from the event to `away` after it, and then until
    /// one is.
    pub async fn through(
        &mut self,
        what: &str,
        away: Duration,
        event: impl FnOnce(&Cluster) + Send + 'static,
    ) {
        let each = RATE / u32::try_from(self.receivers.len()).expect("a few");
        let count = each * u32::try_from(away.as_secs() + 25).expect("small");
        let refused = self.refused().await;
        let mut senders = Vec::new();
        for receiver in &self.receivers {
            let how = format!("--count {count} --rate {each} --give-up 5m --concurrency 512");
            senders.push(sending(receiver, &how).await.spawn());
        }
        self.longest_pause(Duration::from_secs(1)).await;
        let cluster = Arc::clone(&self.cluster);
        let happening = tokio::task::spawn_blocking(move || event(&cluster));
        let pause = self.longest_pause(away).await;
        happening.await.expect("it happens");
        let ended = tokio::time::timeout(Duration::from_mins(6), async {
            while senders.iter_mut().any(Process::is_running) {
                tokio::time::sleep(Duration::from_millis(100)).await; // The interval of a poll.
            }
        });
        ended.await.expect("the senders end");
        for mut sender in senders {
            assert_eq!(sender.exit().await, Some(0), "{:?}", sender.stderr.all());
            self.sent += count as usize;
        }
        let refused = self.refused().await - refused;
        println!(
            "{what}: longest pause {:.1} s, {refused} webhooks refused and sent again",
            pause.as_secs_f64()
        );
    }

    async fn refused(&self) -> f64 {
        let mut sum = 0.0;
        for receiver in &self.receivers {
            sum += receiver.metric("milepost_webhooks_rejected_total", &[]).await;
        }
        sum
    }

    /// How many updates the workers have had confirmed.
    async fn confirmed(&self) -> f64 {
        let labels = ["stage=\"update\"", "result=\"ack\""];
        let mut sum = 0.0;
        for worker in &self.workers {
            sum += worker.metric("milepost_publish_confirms_total", &labels).await;
        }
        sum
    }

    async fn longest_pause(&self, span: Duration) -> Duration {
        let (began, mut longest) = (Instant::now(), Duration::ZERO);
        let (mut last, mut since) = (self.confirmed().await, Instant::now());
        loop {
            let now = self.confirmed().await;
            if now > last {
                longest = longest.max(since.elapsed());
                (last, since) = (now, Instant::now());
                if began.elapsed() >= span {
                    return longest;
                }
            }
            assert!(since.elapsed() < LONGEST, "no update was published for {LONGEST:?}");
            tokio::time::sleep(Duration::from_millis(50)).await; // The interval of a poll.
        }
    }

    /// Accounts for every webhook that was accepted, by the id of its update; then ends the workers in an orderly way.
    pub async fn nothing_is_lost(mut self) {
        let events = published(self.cluster.amqp("n1"), self.sent).await;
        assert_eq!(events.len(), self.sent);
        let repeats: usize = events.values().map(|bodies| bodies.len() - 1).sum();
        println!("{} webhooks, {repeats} updates came again", self.sent);
        assert!(events.values().all(|bodies| bodies.windows(2).all(|pair| pair[0] == pair[1])));
        for worker in &mut self.workers {
            worker.signal("TERM");
            assert_eq!(worker.exit().await, Some(0));
        }
    }
}

fn on(cluster: &Cluster, role: Program) -> Program {
    role.env("MILEPOST_REDIS_URL", cluster.redis()).env("MILEPOST__AMQP__CONNECT_TIMEOUT_MS", "6000")
}

/// `milepost send` to a receiver.
async fn sending(receiver: &Process, how: &str) -> Program {
    let send =
        format!("send telyport {how} --account {} --to http://{}", account(), receiver.webhooks().await);
    Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET)
}

/// A queue bound to every update, with a member on every node.
async fn bind(url: &str) {
    let channel = channel(url).await;
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(SUBSCRIBER.into(), options, arguments).await.expect("declared");
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    let updates = "milepost.updates".into();
    channel.queue_bind(SUBSCRIBER.into(), updates, "#".into(), options, arguments).await.expect("bound");
}

/// Every update that was published, by its id: its bodies.
async fn published(url: &str, count: usize) -> BTreeMap<String, Vec<Vec<u8>>> {
    let channel = channel(url).await;
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consuming = channel.basic_consume(SUBSCRIBER.into(), "reader".into(), options, FieldTable::default());
    let mut consumer = consuming.await.expect("consumes");
    let mut events: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    while events.len() < count {
        let message = tokio::time::timeout(SOON, consumer.next()).await;
        let message =
            message.unwrap_or_else(|_| panic!("{} of {count} updates were published", events.len()));
        let body = message.expect("still consuming").expect("no error").data;
        let event: Value = serde_json::from_slice(&body).expect("JSON");
        events.entry(event["id"].as_str().expect("an id").to_owned()).or_default().push(body);
    }
    events
}
