//! Each way in which a node is lost for a while.

use std::thread::sleep;
use std::time::{Duration, Instant};

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
