//! The operator's `send`, a receiver, a worker that is killed on the way, and the operator's `tail`.

use std::collections::{BTreeMap, BTreeSet};

use milepost::domain::provider::ProviderId;
use serde_json::Value;

use crate::support::eventually;
use crate::support::fixtures::{EXPRESS, TELYPORT, account};
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::Vhost;

/// Sends `count` webhooks, the same ones each time; returns the receipts of those accepted.
async fn send(provider: ProviderId, receiver: &Process, count: usize, rate: usize) -> BTreeSet<String> {
    let to = receiver.webhooks().await;
    let send = format!(
        "send {provider} --count {count} --rate {rate} --seed 7 --to http://{to} --account {} --json",
        account()
    );
    let (code, stdout, stderr) = Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET).output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    let receipt = |line: &String| {
        let sent: Value = serde_json::from_str(line).expect("JSON");
        sent["receipt"].as_str().expect("a receipt").to_owned()
    };
    let receipts: BTreeSet<_> = stdout.iter().map(receipt).collect();
    assert_eq!(receipts.len(), count);
    receipts
}

/// All that was ever published: the events of each id.
async fn tail(vhost: &Vhost) -> BTreeMap<String, Vec<String>> {
    let tail = Program::milepost("tail --since all --json --until-idle 5s --amqp").arg(&vhost.amqp_url);
    let (code, stdout, stderr) = tail.output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in stdout {
        let event: Value = serde_json::from_str(&line).expect("JSON");
        events.entry(event["id"].as_str().expect("an id").to_owned()).or_default().push(line);
    }
    events
}

async fn settled(worker: &Process, outcome: &str) -> f64 {
    worker.metric("milepost_messages_settled_total", &[&format!(r#"outcome="{outcome}""#)]).await
}

async fn every_webhook_is_published_once_in_effect(provider: ProviderId, count: usize) {
    let vhost = Vhost::new().await;
    let receiver = Program::receiver(&vhost.amqp_url).spawn();
    let killed = Program::worker(provider, &vhost.amqp_url).spawn();
    receiver.ready().await;
    killed.ready().await;
    // The worker is killed midway, and another takes over.
    let killing = async {
        eventually("some are published", || async {
            (settled(&killed, "published").await >= 10.0).then_some(())
        })
        .await;
        drop(killed);
        let worker = Program::worker(provider, &vhost.amqp_url).spawn();
        worker.ready().await;
        worker
    };
    let (receipts, worker) = tokio::join!(send(provider, &receiver, count, count / 3), killing);
    let events = tail(&vhost).await;
    assert_eq!(events.len(), count);
    let mut published = BTreeSet::new();
    for (id, copies) in &events {
        assert!(copies.iter().all(|copy| *copy == copies[0]), "{id} was published with different bodies");
        let event: Value = serde_json::from_str(&copies[0]).expect("JSON");
        published.insert(event["data"]["receipt_id"].as_str().expect("a receipt").to_owned());
    }
    assert_eq!(published, receipts);

    // The same webhooks again: the provider resends, with receipts of their own, and nothing new is published.
    let before = settled(&worker, "duplicate").await;
    let resent = send(provider, &receiver, count, 10_000).await;
    assert!(resent.is_disjoint(&receipts));
    eventually("the worker saw them all", || async {
        #[allow(clippy::cast_precision_loss)] // Hundreds.
        let all = before + count as f64;
        (settled(&worker, "duplicate").await >= all).then_some(())
    })
    .await;
    assert_eq!(tail(&vhost).await, events);
}

#[tokio::test]
async fn telyport_from_the_provider_to_the_subscriber() {
    every_webhook_is_published_once_in_effect(TELYPORT, 300).await;
}

#[tokio::test]
async fn express_from_the_provider_to_the_subscriber() {
    every_webhook_is_published_once_in_effect(EXPRESS, 60).await;
}
