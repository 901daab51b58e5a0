//! Each way in which a node is lost for a while.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::cluster::{Cluster, NODES};
use super::load::Load;
use crate::support::process::Program;

const WEBHOOKS: &str = "milepost.webhooks.telyport";
const STREAM: &str = "milepost.updates.log";
const DELAY: &str = "milepost.delay.v1.00";
/// How long a node is away.
const AWAY: Duration = Duration::from_secs(8);

/// Away for a while, which is what is tried and no wait for luck, and back.
fn away(cluster: &Cluster, command: &str, node: &str) {
    cluster.run(command, node, &[]);
    sleep(AWAY);
    cluster.run("start-rabbit", node, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn a_leader_that_is_killed_or_stopped() {
    let mut load = Load::start().await;
    for (command, queue) in [
        ("kill-rabbit", WEBHOOKS),
        ("kill-rabbit", STREAM),
        ("kill-rabbit", DELAY),
        ("stop-rabbit", WEBHOOKS),
        ("stop-rabbit", STREAM),
    ] {
        let node = load.cluster().leader(queue).await;
        let what = format!("{command}, the leader of {queue}");
        load.through(&what, AWAY, move |cluster| away(cluster, command, node)).await;
    }
    load.nothing_is_lost().await;
}

/// Its connections stay, and the other nodes miss it after `net_ticktime`, 60 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn a_leader_that_hangs() {
    let mut load = Load::start().await;
    let node = load.cluster().leader(WEBHOOKS).await;
    let hung = Duration::from_secs(100);
    let what = format!("hung, the leader of {WEBHOOKS}");
    load.through(&what, hung, move |cluster| {
        cluster.signal(node, "STOP");
        sleep(hung);
        cluster.signal(node, "CONT");
    })
    .await;
    load.nothing_is_lost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn a_minority_takes_nothing_until_a_second_node_is_back() {
    let mut load = Load::start().await;
    load.through("two of three killed", 2 * AWAY, |cluster| {
        for node in ["n2", "n3"] {
            cluster.run("kill-rabbit", node, &[]);
        }
        sleep(AWAY);
        // At once: a node that did not end last can wait for the others before it starts.
        let starting =
            ["n2", "n3"].map(|node| cluster.command("start-rabbit", node).spawn().expect("it runs"));
        for mut start in starting {
            assert!(start.wait().expect("its status").success(), "a node does not start again");
        }
    })
    .await;
    load.nothing_is_lost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn a_rolling_restart_drains_each_node_first() {
    let mut load = Load::start().await;
    for node in NODES {
        load.through(&format!("{node} drained, stopped, started"), AWAY, move |cluster| {
            cluster.run("tool", node, &["rabbitmq-upgrade", "drain"]);
            away(cluster, "stop-rabbit", node);
        })
        .await;
    }
    load.nothing_is_lost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn a_leader_that_is_parted_from_the_others() {
    let mut load = Load::start().await;
    let node = load.cluster().leader(WEBHOOKS).await;
    let what = format!("parted, the leader of {WEBHOOKS}");
    load.through(&what, 3 * AWAY, move |cluster| {
        cluster.part(node);
        sleep(2 * AWAY);
        cluster.heal(node);
    })
    .await;
    load.nothing_is_lost().await;
}

/// RabbitMQ's default leaves two sides that each go on, and a connection to the smaller one on which nothing is ever
/// confirmed again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn receivers_on_a_node_that_was_parted_take_webhooks_again_by_themselves() {
    let load = Load::start().await;
    let node = load.receivers_node().await;
    parted_under_ignore(load, node, "the receivers' own node").await;
}

/// Its consumers on either side are left without deliveries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn workers_go_on_by_themselves_when_the_leader_was_parted() {
    let load = Load::start().await;
    let node = load.cluster().leader(WEBHOOKS).await;
    parted_under_ignore(load, node, "the leader of the work queue").await;
}

/// Of the receivers one knows all nodes, and one the parted node alone.
async fn parted_under_ignore(mut load: Load, node: &'static str, which: &str) {
    load.cluster().handle_partitions_by("ignore");
    let url = load.cluster().amqp(node).to_owned();
    load.add_receiver(&url).await;
    // Longer than `net_ticktime`.
    let parted = Duration::from_secs(85);
    let after = load.one_more(30).await;
    load.through(&format!("parted (`ignore`), {which}"), parted, move |cluster| {
        cluster.part(node);
        sleep(parted);
        cluster.heal(node);
        let healed = Instant::now();
        for (receiver, send) in after.into_iter().enumerate() {
            let (code, _, stderr) = Handle::current().block_on(send.output());
            println!(
                "receiver {receiver} accepts one {:.1} s after it is healed",
                healed.elapsed().as_secs_f64()
            );
            assert_eq!(code, Some(0), "receiver {receiver}: {stderr:?}");
        }
        assert!(healed.elapsed() < Duration::from_secs(30), "within {:?}", healed.elapsed());
    })
    .await;
    load.nothing_is_lost().await;
}

/// It looks first and declares what is missing, which is nothing: to declare what is there can wait for the node that hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn a_receiver_is_ready_soon_while_a_node_hangs() {
    let cluster = Cluster::start();
    let apply = Program::milepost("topology apply").env("MILEPOST_AMQP_URL", cluster.amqp("n1"));
    assert_eq!(apply.output().await.0, Some(0));
    for node in NODES {
        cluster.signal(node, "STOP");
        let began = Instant::now();
        let receiver = Program::receiver(&cluster.url()).env("MILEPOST_REDIS_URL", cluster.redis()).spawn();
        receiver.ready().await;
        println!("{node} hangs: a receiver is ready after {:.1} s", began.elapsed().as_secs_f64());
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        cluster.signal(node, "CONT");
    }
}
