//! What `milepost topology check` says of three nodes, of which something happens to one.

use std::time::{Duration, Instant};

use lapin::options::QueueDeleteOptions;
use lapin::types::AMQPValue;
use serde_json::Value;

use super::cluster::{Cluster, NODES};
use crate::support::eventually;
use crate::support::process::Program;
use crate::support::servers::channel;

const UNROUTED: &str = "milepost.unrouted";

/// The lines of these levels: check, subject and what is said. Asked of the management API of `node`.
async fn says(cluster: &Cluster, node: &str, levels: &[&str]) -> Vec<(String, String, String)> {
    let (_, lines, stderr) = Program::milepost("topology check --json")
        .env("MILEPOST_AMQP_URL", &cluster.url())
        .env("MILEPOST_AMQP_MANAGEMENT_URL", cluster.management(node))
        .env("MILEPOST_REDIS_URL", cluster.redis())
        .output()
        .await;
    let [line] = &lines[..] else { panic!("one line: {lines:?} {stderr:?}") };
    let report: Value = serde_json::from_str(line).expect("JSON");
    let findings = report["findings"].as_array().expect("a list").iter();
    let of = findings.filter(|finding| levels.contains(&finding["level"].as_str().expect("a level")));
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("text").to_owned();
    of.map(|finding| (text(finding, "check"), text(finding, "subject"), text(finding, "says"))).collect()
}

/// Waits until, and returns, one line of this check and subject.
async fn eventually_says(cluster: &Cluster, node: &str, check: &str, subject: &str, part: &str) {
    eventually(&format!("{check} of {subject} says {part:?}"), || async {
        let said = says(cluster, node, &["warn", "fail"]).await;
        said.iter().any(|(a, b, c)| a == check && b == subject && c.contains(part)).then_some(())
    })
    .await;
}

async fn eventually_sound(cluster: &Cluster, node: &str) {
    eventually("nothing is wrong", || async {
        says(cluster, node, &["warn", "fail"]).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: `make nodes` runs it"]
async fn the_doctor_sees_what_happens_to_a_node() {
    let cluster = Cluster::start();
    let (code, _, stderr) =
        Program::milepost("topology apply").env("MILEPOST_AMQP_URL", cluster.amqp("n1")).output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    eventually_sound(&cluster, "n1").await;
    leaders_are_spread(&cluster).await;
    let skipped = says(&cluster, "n1", &["skipped"]).await;
    assert!(skipped.iter().any(|(check, ..)| check == "partition_handling"), "{skipped:?}");

    too_few_members_fail(&cluster).await;
    a_node_that_is_down_fails(&cluster).await;
    a_node_that_hangs_is_named_in_time(&cluster).await;
    a_partition_fails(&cluster).await;
    a_drained_node_is_reported(&cluster).await;
}

/// The declarations ask for it: all of them were made on one node.
async fn leaders_are_spread(cluster: &Cluster) {
    for node in NODES {
        let queues = cluster.ask("n1", "queues/%2f?columns=name,leader").await.expect("an answer");
        let led =
            queues.as_array().expect("a list").iter().filter(|queue| queue["leader"] == cluster.name(node));
        assert!(led.count() > 3, "{node} leads few queues: {queues}");
    }
}

async fn too_few_members_fail(cluster: &Cluster) {
    let channel = channel(cluster.amqp("n1")).await;
    channel.queue_delete(UNROUTED.into(), QueueDeleteOptions::default()).await.expect("deleted");
    let apply = || async {
        let apply = Program::milepost("topology apply").env("MILEPOST_AMQP_URL", cluster.amqp("n1"));
        assert_eq!(apply.output().await.0, Some(0));
    };
    // As when only one node was up.
    let options = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    let mut arguments = lapin::types::FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-queue-leader-locator".into(), text("balanced"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(1_000_000_000));
    arguments.insert("x-quorum-initial-group-size".into(), AMQPValue::LongInt(1));
    channel.queue_declare(UNROUTED.into(), options, arguments).await.expect("declared");
    let subject = format!("queue {UNROUTED}");
    eventually_says(cluster, "n1", "members", &subject, "1 of 3 members").await;
    // The remedy, on each node that it lacks.
    for node in NODES {
        let node = cluster.name(node);
        let words = ["rabbitmq-queues", "grow", &node, "all", "--queue-pattern", r"^milepost\.unrouted$"];
        cluster.run("tool", "n1", &words);
    }
    eventually("it has three members", || async {
        let said = says(cluster, "n1", &["warn", "fail"]).await;
        said.iter().all(|(check, ..)| check != "members").then_some(())
    })
    .await;
    channel.queue_delete(UNROUTED.into(), QueueDeleteOptions::default()).await.expect("deleted");
    apply().await;
    eventually_sound(cluster, "n1").await;
}

async fn a_node_that_is_down_fails(cluster: &Cluster) {
    cluster.run("kill-rabbit", "n2", &[]);
    let node = format!("node {}", cluster.name("n2"));
    eventually_says(cluster, "n1", "nodes", &node, "is down").await;
    let said = says(cluster, "n1", &["warn", "fail"]).await;
    assert!(said.iter().any(|(check, ..)| check == "hosts"), "{said:?}");
    eventually_says(cluster, "n1", "members", &format!("queue {UNROUTED}"), "2 of 3 members online").await;
    cluster.run("start-rabbit", "n2", &[]);
    eventually_sound(cluster, "n1").await;
}

/// Long before the others miss it, and whether the management API waits for it or is its own.
async fn a_node_that_hangs_is_named_in_time(cluster: &Cluster) {
    cluster.signal("n3", "STOP");
    let began = Instant::now();
    for asked in ["n1", "n3"] {
        let began = Instant::now();
        let said = says(cluster, asked, &["fail"]).await;
        println!("asked of {asked}, in {:.1} s: {said:?}", began.elapsed().as_secs_f64());
        let host = |(check, _, says): &(String, String, String)| {
            check == "hosts" && says.contains("does not answer within")
        };
        assert!(said.iter().any(host), "{said:?}");
        assert!(began.elapsed() < Duration::from_secs(40), "it takes {:?}", began.elapsed());
    }
    assert!(began.elapsed() < Duration::from_secs(60), "the others miss it by now");
    cluster.signal("n3", "CONT");
    eventually_sound(cluster, "n1").await;
}

async fn a_partition_fails(cluster: &Cluster) {
    cluster.handle_partitions_by("ignore");
    cluster.part("n3");
    let node = format!("node {}", cluster.name("n3"));
    eventually_says(cluster, "n1", "nodes", &node, "is down").await;
    cluster.heal("n3");
    // What the two sides did meanwhile is never joined by itself.
    eventually("a node is said to be parted", || async {
        let said = says(cluster, "n1", &["fail"]).await;
        said.iter()
            .any(|(check, _, says)| check == "nodes" && says.starts_with("was parted from"))
            .then_some(())
    })
    .await;
    // Erlang parts all three, so that no node sees two that do not see each other: the first is trusted.
    for command in ["stop-rabbit", "start-rabbit"] {
        for node in ["n2", "n3"] {
            cluster.run(command, node, &[]);
        }
    }
    cluster.handle_partitions_by("pause_minority");
    eventually_sound(cluster, "n1").await;
}

async fn a_drained_node_is_reported(cluster: &Cluster) {
    let overview = cluster.ask("n1", "overview").await.expect("an answer");
    let is_old = overview["rabbitmq_version"].as_str().expect("a version").starts_with("3.10.");
    cluster.run("tool", "n2", &["rabbitmq-upgrade", "drain"]);
    if is_old {
        // It only shows by its listeners, which are closed.
        eventually("a place of the URL does not answer", || async {
            says(cluster, "n1", &["fail"]).await.iter().any(|(check, ..)| check == "hosts").then_some(())
        })
        .await;
    } else {
        let node = format!("node {}", cluster.name("n2"));
        eventually_says(cluster, "n1", "nodes", &node, "is in maintenance").await;
    }
    cluster.run("tool", "n2", &["rabbitmq-upgrade", "revive"]);
    eventually("it is over", || async { says(cluster, "n1", &["fail"]).await.is_empty().then_some(()) })
        .await;
}
