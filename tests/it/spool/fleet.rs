//! A fleet whose broker goes away: Deliverect's webhooks are taken all the same, and come out once.

use std::collections::BTreeSet;

use lapin::types::FieldTable;
use milepost::domain::identity::{Account, ReceiptId, Way};
use milepost::domain::provider::{Provider as _, ProviderId};
use milepost::domain::samples::SampleSource;
use milepost::providers::{DELIVERECT, TELYPORT};
use reqwest::Client;
use serde_json::Value;

use crate::support::eventually;
use crate::support::fixtures::account;
use crate::support::fleet::{Subscriber, receipt, telyport_body};
use crate::support::process::{Process, Program};
use crate::support::proxy::Proxy;
use crate::support::sender;
use crate::support::servers::{OwnServers, Vhost, client};

const SPOOL: &str = "MILEPOST__PROVIDERS__DELIVERECT__SPOOL";
const OF_DELIVERECT: &str = r#"provider="deliverect""#;

fn deliverect_body(delivery: &str, status: u16) -> String {
    format!(
        r#"{{"orderId":"{delivery}","channelOrderId":"C1","status":{status},"courierName":"A","courierId":"1"}}"#
    )
}

/// Posts a webhook to the test's account: the code, and the receipt of the request.
async fn post(client: &Client, to: &str, provider: &dyn SampleSource, body: String) -> Option<(u16, String)> {
    post_as(client, to, provider, &account(), body).await
}

/// The same, from a task: the test's account is its thread's.
async fn post_as(
    client: &Client,
    to: &str,
    provider: &dyn SampleSource,
    account: &Account,
    body: String,
) -> Option<(u16, String)> {
    let reply = sender::post(client, to, provider, account, body).await?;
    let receipt = reply.headers()["milepost-receipt"].to_str().expect("ASCII").to_owned();
    Some((reply.status().as_u16(), receipt))
}

fn receiver(amqp_url: &str, redis_url: &str) -> Process {
    let program = Program::receiver(amqp_url).env("MILEPOST_REDIS_URL", redis_url).env(SPOOL, "true");
    program.env("MILEPOST__AMQP__CONFIRM_TIMEOUT_MS", "1000").spawn()
}

async fn spooled(receiver: &Process) -> f64 {
    receiver.metric("milepost_spool_appends_total", &[OF_DELIVERECT, r#"result="stored""#]).await
}

async fn entries(receiver: &Process) -> f64 {
    receiver.metric("milepost_spool_used", &[OF_DELIVERECT, r#"of="entries""#]).await
}

async fn is_away(receiver: &Process) {
    eventually("the receiver sees that the broker is away", || async {
        (receiver.metric("milepost_broker_connected", &[]).await < 1.0).then_some(())
    })
    .await;
}

fn worker(provider: ProviderId, vhost: &Vhost, redis: &OwnServers) -> Process {
    Program::worker(provider, &vhost.amqp_url).env("MILEPOST_REDIS_URL", &redis.redis_url).spawn()
}

#[tokio::test]
async fn what_is_spooled_in_an_outage_is_published_once_and_in_order() {
    let (redis, vhost) = (OwnServers::proving_redis("spool-fleet"), Vhost::new().await);
    let mut way = Proxy::to(&vhost.amqp_url);
    way.open();
    let receivers = [receiver(&way.url(), &redis.redis_url), receiver(&way.url(), &redis.redis_url)];
    for receiver in &receivers {
        receiver.ready().await;
    }
    let worker = worker(DELIVERECT.id(), &vhost, &redis);
    worker.ready().await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "subscriber", FieldTable::default()).await;
    let (to, http) = ([receivers[0].webhooks().await, receivers[1].webhooks().await], client());
    let (code, first) = post(&http, &to[0], &DELIVERECT, deliverect_body("D0", 81)).await.expect("an answer");
    assert_eq!(code, 200);

    way.cut();
    for receiver in &receivers {
        is_away(receiver).await;
        receiver.measures(r#"milepost_spool_durable{provider="deliverect"} 1"#).await;
    }
    let mut receipts = vec![first];
    let statuses = [80, 83, 84, 85, 87, 89, 90];
    for (number, status) in statuses.into_iter().enumerate() {
        let body = deliverect_body("D0", status);
        let (code, receipt) = post(&http, &to[number % 2], &DELIVERECT, body).await.expect("an answer");
        assert_eq!(code, 200, "{status}");
        receipts.push(receipt);
    }
    let refused = post(&http, &to[0], &TELYPORT, telyport_body_text("D1")).await.expect("an answer");
    assert_eq!(refused.0, 503, "Telyport sends again");
    eventually("the depth is shown", || async { (entries(&receivers[0]).await >= 7.0).then_some(()) }).await;
    assert!(spooled(&receivers[0]).await + spooled(&receivers[1]).await >= 7.0);
    let since =
        |provider: &str| format!(r#"milepost_refusing_since_timestamp_seconds{{provider="{provider}"}}"#);
    let (_, text) = receivers[0].ask("/metrics").await;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).expect("a line").trim();
    assert_eq!(value(&since("deliverect")), "0", "it is not refused");
    assert_ne!(value(&since("telyport")), "0");

    way.open();
    subscriber.take_until(|seen| seen.events.len() == receipts.len()).await;
    for receiver in &receivers {
        receiver.measures(r#"milepost_spool_used{of="entries",provider="deliverect"} 0"#).await;
        receiver.measures(r#"milepost_spool_used{of="bytes",provider="deliverect"} 0"#).await;
    }
    let published: Vec<_> =
        subscriber.order.iter().map(|id| receipt(&subscriber.events[id][0]).to_string()).collect();
    assert_eq!(published, receipts, "each once, in the order received");
    let ways: Vec<_> =
        receipts.iter().map(|receipt| receipt.parse::<ReceiptId>().expect("a receipt").way()).collect();
    assert_eq!((ways[0], &ways[1..]), (Way::Push, &[Way::Spool; 7][..]));
    let why = Program::milepost("why D0 --json").env("MILEPOST_AMQP_URL", &vhost.amqp_url);
    let (_, said, stderr) = why.env("MILEPOST_REDIS_URL", &redis.redis_url).output().await;
    let known: Value =
        serde_json::from_str(said.first().unwrap_or_else(|| panic!("{stderr:?}"))).expect("JSON");
    let ways: Vec<_> =
        known["events"].as_array().expect("a list").iter().map(|event| &event["way"]).collect();
    assert_eq!(ways, ["push", "spool", "spool", "spool", "spool", "spool", "spool", "spool"]);
}

fn telyport_body_text(delivery: &str) -> String {
    String::from_utf8(telyport_body(delivery, "e", "NEW")).expect("UTF-8")
}

#[tokio::test]
async fn a_broker_that_falls_silent_delays_the_first_webhooks_and_loses_none() {
    let (redis, vhost) = (OwnServers::proving_redis("spool-silent"), Vhost::new().await);
    let mut way = Proxy::to(&vhost.amqp_url);
    way.open();
    let receiver = receiver(&way.url(), &redis.redis_url);
    receiver.ready().await;
    let worker = worker(DELIVERECT.id(), &vhost, &redis);
    worker.ready().await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "subscriber", FieldTable::default()).await;
    let (to, http) = (receiver.webhooks().await, client());
    receiver.measures(r#"milepost_spool_durable{provider="deliverect"} 1"#).await;
    way.silence();
    let mut receipts = BTreeSet::new();
    for number in 0..3 {
        let body = deliverect_body(&format!("S{number}"), 81);
        let (code, receipt) = post(&http, &to, &DELIVERECT, body).await.expect("an answer");
        assert_eq!(code, 200);
        receipts.insert(receipt);
    }
    subscriber.take_until(|seen| seen.events.len() == receipts.len()).await;
    receiver.measures(r#"milepost_spool_used{of="entries",provider="deliverect"} 0"#).await;
    let published: BTreeSet<_> =
        subscriber.events.values().map(|bodies| receipt(&bodies[0]).to_string()).collect();
    assert_eq!(published, receipts);
}

#[tokio::test]
async fn a_full_spool_and_a_redis_that_is_away_are_503() {
    let (redis, vhost) = (OwnServers::proving_redis("spool-full"), Vhost::new().await);
    let mut way = Proxy::to(&vhost.amqp_url);
    way.open();
    let program =
        Program::receiver(&way.url()).env("MILEPOST_REDIS_URL", &redis.redis_url).env(SPOOL, "true");
    let receiver = program.env("MILEPOST__SPOOL__MAX_ENTRIES", "2").spawn();
    receiver.ready().await;
    let (to, http) = (receiver.webhooks().await, client());
    receiver.measures(r#"milepost_spool_durable{provider="deliverect"} 1"#).await;
    way.cut();
    is_away(&receiver).await;
    for (number, code) in [200, 200, 503].into_iter().enumerate() {
        let answer = post(&http, &to, &DELIVERECT, deliverect_body(&format!("F{number}"), 81)).await;
        assert_eq!(answer.expect("an answer").0, code, "{number}");
    }
    let refused = [OF_DELIVERECT, r#"result="full""#];
    assert!(receiver.metric("milepost_spool_appends_total", &refused).await >= 1.0);
    eventually("the loss clock runs", || async {
        let since = receiver.metric("milepost_refusing_since_timestamp_seconds", &[OF_DELIVERECT]).await;
        (since > 0.0).then_some(())
    })
    .await;
    redis.run(&["kill-redis"]);
    let answer = post(&http, &to, &DELIVERECT, deliverect_body("F9", 81)).await;
    assert_eq!(answer.expect("an answer").0, 503);
    receiver.measures(r#"milepost_spool_durable{provider="deliverect"} 0"#).await;
    assert_eq!(receiver.ask("/readyz").await.0, 200, "it is ready without both");
}

/// Receivers and Redis are killed again and again, under load, while the broker comes and goes.
#[tokio::test]
async fn killed_receivers_and_a_killed_redis_lose_nothing_that_was_accepted() {
    let (redis, vhost) = (OwnServers::proving_redis("spool-kill"), Vhost::new().await);
    let mut way = Proxy::to(&vhost.amqp_url);
    way.open();
    let start = || receiver(&way.url(), &redis.redis_url);
    let (stays, mut killed) = (start(), start());
    let worker = worker(DELIVERECT.id(), &vhost, &redis);
    worker.ready().await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "subscriber", FieldTable::default()).await;
    stays.ready().await;
    let (http, mut accepted, mut number) = (client(), BTreeSet::new(), 0);
    for round in 0..4 {
        killed.ready().await;
        let to = [stays.webhooks().await, killed.webhooks().await];
        way.cut();
        is_away(&stays).await;
        is_away(&killed).await;
        let mut posts = tokio::task::JoinSet::new();
        for _ in 0..40 {
            number += 1;
            let (http, to) = (http.clone(), to[number % 2].clone());
            let (account, body) = (account(), deliverect_body(&format!("K{number}"), 81));
            posts.spawn(async move { post_as(&http, &to, &DELIVERECT, &account, body).await });
        }
        // In the midst of it.
        let mut answered = 0;
        while let Some(done) = posts.join_next().await {
            answered += 1;
            if answered == 10 + round {
                killed.signal("KILL");
                if round == 2 {
                    redis.run(&["kill-redis"]);
                }
            }
            if let Some((200, receipt)) = done.expect("no panic") {
                accepted.insert(receipt);
            }
        }
        if round == 2 {
            redis.run(&["start-redis"]);
            if !redis.has_waitaof() {
                redis.redis_cli(&["CONFIG", "SET", "appendfsync", "always"]);
            }
        }
        way.open();
        killed = receiver(&way.url(), &redis.redis_url);
    }
    assert!(accepted.len() > 40, "{} accepted", accepted.len());
    killed.ready().await;
    killed.measures(r#"milepost_spool_used{of="entries",provider="deliverect"} 0"#).await;
    subscriber
        .take_until(|seen| {
            let published: BTreeSet<_> =
                seen.events.values().map(|bodies| receipt(&bodies[0]).to_string()).collect();
            accepted.is_subset(&published)
        })
        .await;
    subscriber.assert_repeats_are_identical();
}
