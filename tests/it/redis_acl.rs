//! The user that `deploy/components/redis/users.acl` gives Milepost may do all that it does, and no more.

use std::process::Command;

use milepost::providers::TELYPORT as TELYPORT_PROVIDER;
use serde_json::Value;
use tokio::task::block_in_place;

use crate::sinks::stand_in::{StandIn, sink, variable};
use crate::support::fixtures::{TELYPORT, account};
use crate::support::fleet::{Subscriber, rejecting};
use crate::support::process::{Program, SECRET};
use crate::support::redis_group::RedisGroup;
use crate::support::servers::{OwnServers, Vhost};

fn redis_cli(url: &str, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-u", url, "--no-auth-warning"]).args(words).output();
    String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).trim().to_owned()
}

const USERS: &str = include_str!("../../deploy/components/redis/users.acl");

/// The rule of one user of the file. A Redis that does not know a command refuses the rule.
fn rule(user: &str, server: &str) -> Vec<&'static str> {
    let line = USERS.lines().find_map(|line| line.strip_prefix(&format!("user {user} ")));
    let known = redis_cli(server, &["COMMAND", "LIST"]).lines().any(|command| command == "waitaof");
    let words = line.expect("the file has it").split(' ');
    words.filter(|word| known || *word != "+waitaof").collect()
}

/// What a Sentinel's user of ours must be allowed, as docs/deploy.md has it.
const OF_SENTINEL: [&str; 5] = ["on", ">PASSWORD", "-@all", "+sentinel|masters", "+role"];

#[tokio::test]
async fn a_fleet_and_its_operator_need_no_more_than_the_shipped_user_may() {
    let servers = OwnServers::start_with("redis-acl", &["--without-rabbit"]);
    let url = servers.redis_url.replace("redis://", "redis://milepost:PASSWORD@");
    need_no_more(&[&servers.redis_url], &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_sentinels_they_need_no_more() {
    let group = block_in_place(|| RedisGroup::sentinel("redis-acl-sentinel"));
    let (_, hosts) = group.url.split_once("://").expect("a URL");
    let (hosts, _) = hosts.split_once('/').expect("a database");
    let sentinels: Vec<_> = hosts.split(',').map(|host| format!("redis://{host}/")).collect();
    for sentinel in &sentinels {
        let set = [&["ACL", "SETUSER", "watcher"], &OF_SENTINEL[..]].concat();
        assert_eq!(redis_cli(sentinel, &set), "OK");
    }
    let url = group.url.replace("://", "://milepost:PASSWORD@");
    let url = format!("{url}?sentinel_user=watcher&sentinel_password=PASSWORD");
    need_no_more(&group.servers.values().map(String::as_str).collect::<Vec<_>>(), &url).await;
    for sentinel in &sentinels {
        nothing_was_denied(sentinel);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_they_need_no_more() {
    let group = block_in_place(|| RedisGroup::cluster("redis-acl-cluster"));
    let url = group.url.replace("://", "://milepost:PASSWORD@");
    need_no_more(&group.servers.values().map(String::as_str).collect::<Vec<_>>(), &url).await;
}

/// Redis logs every command that it denied. That our library may not be named does not matter.
fn nothing_was_denied(server: &str) {
    let denied = redis_cli(server, &["ACL", "LOG"]);
    let entries = denied.split("count").skip(1).filter(|entry| !entry.contains("client|setinfo"));
    assert_eq!(entries.count(), 0, "denied: {denied}");
}

/// A fleet and its operator as the user of the file, which each of `servers` has, at `url`.
async fn need_no_more(servers: &[&str], url: &str) {
    let vhost = Vhost::new().await;
    for server in servers {
        let set = [vec!["ACL", "SETUSER", "milepost"], rule("milepost", server)].concat();
        assert_eq!(redis_cli(server, &set), "OK");
    }
    let receiver = Program::receiver(&vhost.amqp_url).spawn();
    let worker = Program::worker(TELYPORT, &vhost.amqp_url).env("MILEPOST_REDIS_URL", url).spawn();
    let hubrise = StandIn::start().await;
    let sink = hubrise.connected(sink(&vhost), "shop", &TELYPORT_PROVIDER).env("MILEPOST_REDIS_URL", url);
    let sink = sink.env(&variable("shop", "PATTERN"), "{order}-0").spawn();
    receiver.ready().await;
    sink.ready().await;
    worker.ready().await;
    let full = Subscriber::bind(&vhost.amqp_url, "full", rejecting(1)).await;
    let send = format!(
        "send telyport --journey --count 4 --duplicates 0.5 --seed 7 --json --account {} --to http://{}",
        account(),
        receiver.webhooks().await
    );
    let (code, sent, stderr) = Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET).output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    // What the full queue refuses is retried, and so noted as waiting.
    crate::support::eventually("updates are retried", || async {
        (worker.metric("milepost_retries_total", &[]).await >= 3.0).then_some(())
    })
    .await;

    let operator = |words: &str| {
        let program = Program::milepost(words).env("MILEPOST_AMQP_URL", &vhost.amqp_url);
        program.env("MILEPOST_REDIS_URL", url).output()
    };
    let (code, waiting, stderr) = operator("waiting --json").await;
    assert!(code == Some(0) && !waiting.is_empty(), "{waiting:?} {stderr:?}");
    let first: Value = serde_json::from_str(&sent[0]).expect("JSON");
    let receipt = first["receipt"].as_str().expect("a receipt");
    let (_, why, stderr) = operator(&format!("why {receipt}")).await;
    assert!(why.join("\n").contains(receipt), "{why:?} {stderr:?}");
    let (_, checked, _) = operator("topology check").await;
    let of_redis = checked.iter().filter(|line| line.contains("redis")).collect::<Vec<_>>();
    assert!(!of_redis.is_empty() && of_redis.iter().all(|line| !line.starts_with("fail")), "{checked:?}");
    crate::support::eventually("HubRise shows a delivery", || async {
        let state = hubrise.stub.state();
        state.world.orders.values().any(|order| order.delivery.is_some()).then_some(())
    })
    .await;
    let link = format!("hubrise link telyport {} D1 5dpm9", account());
    let linked = hubrise.connected(Program::milepost(&link), "shop", &TELYPORT_PROVIDER);
    let linked = linked.env("MILEPOST_AMQP_URL", &vhost.amqp_url).env("MILEPOST_REDIS_URL", url);
    let (code, _, stderr) = linked.output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    drop((full, worker, sink));

    for server in servers {
        nothing_was_denied(server);
    }
}

#[tokio::test]
async fn other_keys_and_commands_are_denied() {
    let servers = OwnServers::start_with("redis-acl-denied", &["--without-rabbit"]);
    let url = servers.with_shipped_user("milepost", "PASSWORD");
    assert_eq!(redis_cli(&url, &["PING"]), "PONG");
    for words in [
        &["HSET", "other", "field", "value"][..],
        &["FLUSHALL"],
        &["DEL", "mp:{x}"],
        &["KEYS", "*"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["EVAL", "return 1", "0"],
        &["ACL", "LIST"],
        &["SUBSCRIBE", "x"],
    ] {
        assert!(redis_cli(&url, words).starts_with("NOPERM"), "{words:?}");
    }
}
