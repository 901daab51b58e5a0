//! Three nodes of RabbitMQ under load, of which one after another is killed or stopped: nothing that was accepted is
//! lost, and each update that comes twice is the same.
//!
//! `make nodes` runs these; they print what docs/deploy.md says of the time it takes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

use crate::support::fixtures::{TELYPORT, account};
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::{channel, client};
use crate::support::{SOON, eventually};

const SUBSCRIBER: &str = "test.subscriber";
const WEBHOOKS: &str = "milepost.webhooks.telyport";
const STREAM: &str = "milepost.updates.log";
const DELAY: &str = "milepost.delay.v1.00";
/// How the leader of which queue is lost, one after another.
const LOSSES: [(Loss, &str); 5] = [
    (Loss::Killed, WEBHOOKS),
    (Loss::Killed, STREAM),
    (Loss::Killed, DELAY),
    (Loss::Stopped, WEBHOOKS),
    (Loss::Stopped, STREAM),
];
/// How long a node is away, at least.
const AWAY: Duration = Duration::from_secs(8);
/// Webhooks a second.
const RATE: u32 = 50;

/// Three nodes. Stopped when dropped.
struct Cluster {
    directory: PathBuf,
    env: BTreeMap<String, String>,
}

/// How a node is lost.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Killed,
    Stopped,
}

impl Cluster {
    fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("milepost-nodes-{}", std::process::id()));
        let mut cluster = Self { directory, env: BTreeMap::new() };
        let started = cluster.command("start-cluster", "").status();
        assert!(started.expect("the script runs").success(), "no cluster");
        let env = std::fs::read_to_string(cluster.directory.join("env")).expect("the script writes env");
        let pairs = env.lines().filter_map(|line| line.split_once('='));
        cluster.env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        cluster
    }

    /// A command of `deploy/local/servers` on the cluster, or on one of its nodes.
    fn command(&self, command: &str, node: &str) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/local/servers");
        let mut words = Command::new(script);
        words.arg(command).arg(self.directory.join(node));
        words
    }

    /// One URL with all nodes.
    fn url(&self) -> String {
        let host = |node: usize| {
            let url = &self.env[&format!("MILEPOST_AMQP_URL_{node}")];
            let (_, host) = url.split_once('@').expect("credentials");
            host.split('/').next().expect("a host").to_owned()
        };
        format!("amqp://guest:guest@{}/%2f", [1, 2, 3].map(host).join(","))
    }

    fn redis(&self) -> &str {
        &self.env["MILEPOST_REDIS_URL"]
    }

    /// The node that leads a queue, as the first node that answers says: n1, n2 or n3.
    async fn leader(&self, queue: &str) -> String {
        eventually(&format!("{queue} has a leader"), || async {
            for node in 1..=3 {
                let base = &self.env[&format!("MILEPOST_RABBIT_MANAGEMENT_URL_{node}")];
                let request = client().get(format!("{base}/api/queues/%2f/{queue}"));
                let asked = request.basic_auth("guest", Some("guest")).timeout(Duration::from_secs(2)).send();
                let Ok(answer) = asked.await else { continue };
                let Ok(said) = serde_json::from_slice::<Value>(&answer.bytes().await.ok()?) else { continue };
                let leader = said["leader"].as_str()?.to_owned();
                return (1..=3).map(|node| format!("n{node}")).find(|node| {
                    let base = std::fs::read_to_string(self.directory.join(node).join("port-base"));
                    base.is_ok_and(|base| leader == format!("milepost-{}@localhost", base.trim()))
                });
            }
            None
        })
        .await
    }

    /// Begins to lose a node, which takes as long as it takes.
    fn lose(&self, node: &str, loss: Loss) -> Child {
        let command = match loss {
            Loss::Killed => "kill-rabbit",
            Loss::Stopped => "stop-rabbit",
        };
        self.command(command, node).spawn().expect("it runs")
    }

    fn have_again(&self, node: &str) {
        let status = self.command("start-rabbit", node).status();
        assert!(status.expect("it runs").success(), "{node} does not start again");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in ["n1", "n2", "n3"] {
            let _ = self.command("kill-rabbit", node).status();
        }
        for command in ["kill-redis", "stop"] {
            let _ = self.command(command, "").status();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
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

/// How many updates these workers have had confirmed.
async fn confirmed(workers: &[Process]) -> f64 {
    let labels = ["stage=\"update\"", "result=\"ack\""];
    let mut sum = 0.0;
    for worker in workers {
        sum += worker.metric("milepost_publish_confirms_total", &labels).await;
    }
    sum
}

/// The longest time within `span` in which no update was confirmed, and then until one was.
async fn longest_pause(workers: &[Process], span: Duration) -> Duration {
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    let (mut last, mut since) = (confirmed(workers).await, Instant::now());
    loop {
        let now = confirmed(workers).await;
        if now > last {
            longest = longest.max(since.elapsed());
            (last, since) = (now, Instant::now());
            if began.elapsed() >= span {
                return longest;
            }
        }
        assert!(since.elapsed() < SOON, "no update was published for {SOON:?}");
        tokio::time::sleep(Duration::from_millis(50)).await; // The interval of a poll.
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "three nodes, and minutes: `make nodes` runs it"]
async fn nothing_is_lost_with_any_node() {
    let cluster = Cluster::start();
    let url = cluster.url();
    let with = |program: Program| {
        program
            .env("MILEPOST_AMQP_URL", &url)
            .env("MILEPOST_REDIS_URL", cluster.redis())
            .env("MILEPOST__AMQP__CONNECT_TIMEOUT_MS", "6000")
    };
    let (receiver, mut workers) = (with(Program::receiver(&url)).spawn(), Vec::new());
    receiver.ready().await;
    for _ in 0..2 {
        let worker = with(Program::worker(TELYPORT, &url)).spawn();
        worker.ready().await;
        workers.push(worker);
    }
    bind(&cluster.env["MILEPOST_AMQP_URL_1"]).await;

    let mut sent = 0;
    for (loss, queue) in LOSSES {
        let node = cluster.leader(queue).await;
        // Long enough to last over the loss, and a while beyond.
        let count = RATE * u32::try_from(AWAY.as_secs() + 25).expect("small");
        let send = format!(
            "send telyport --count {count} --rate {RATE} --give-up 2m --concurrency 512 --account {} --to http://{}",
            account(),
            receiver.webhooks().await
        );
        let refused = receiver.metric("milepost_webhooks_rejected_total", &[]).await;
        let mut sender = Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET).spawn();
        longest_pause(&workers, Duration::from_secs(1)).await;
        let mut losing = cluster.lose(&node, loss);
        let pause = longest_pause(&workers, AWAY).await;
        assert!(losing.wait().expect("its status").success(), "{node} is not lost");
        cluster.have_again(&node);
        assert_eq!(sender.exit().await, Some(0), "{:?}", sender.stderr.all());
        sent += count as usize;
        let refused = receiver.metric("milepost_webhooks_rejected_total", &[]).await - refused;
        println!(
            "{loss:?}, the leader of {queue}: longest pause {:.1} s, {refused} webhooks refused and sent again",
            pause.as_secs_f64()
        );
    }

    let events = published(&cluster.env["MILEPOST_AMQP_URL_1"], sent).await;
    assert_eq!(events.len(), sent);
    let repeats: usize = events.values().map(|bodies| bodies.len() - 1).sum();
    println!("{sent} webhooks, {repeats} updates came again");
    assert!(events.values().all(|bodies| bodies.windows(2).all(|pair| pair[0] == pair[1])));
    for worker in &mut workers {
        worker.signal("TERM");
        assert_eq!(worker.exit().await, Some(0));
    }
}
