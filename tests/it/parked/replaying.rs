//! Replaying: every message ends as what it should, once.

use std::collections::BTreeSet;

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::FieldTable;
use milepost::domain::envelope::Envelope;
use milepost::domain::history::History;
use milepost::ports::Outbound;
use serde_json::Value;
use uuid::Uuid;

use super::{ask, drained, exhausted, json, listed, park, parked};
use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{
    Real, Subscriber, drained as drained_work, receipt, run, telyport, telyport_body,
};
use crate::support::servers::Vhost;

async fn subscriber(real: &Real) -> Subscriber {
    Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await
}

/// The receipts of all published updates, each once.
fn published(subscriber: &Subscriber) -> BTreeSet<String> {
    assert_eq!(subscriber.order.len(), subscriber.events.len(), "an event was published twice");
    subscriber.events.values().map(|bodies| receipt(&bodies[0]).to_string()).collect()
}

#[tokio::test]
async fn one_is_replayed_by_its_id_and_some_by_a_filter() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let ids = park(&real, (0..6).map(exhausted).collect()).await;
    let worker = run(telyport(&real.backends));
    eventually("the worker has subscribed", || async {
        let (_, _, errors) = ask(&real, "replay --delivery nothing").await;
        (!errors.join("").contains("no worker")).then_some(())
    })
    .await;

    let (code, lines, _) = ask(&real, &format!("replay --dry-run {}", ids[4])).await;
    assert_eq!((code, lines), (Some(0), vec![ids[4].clone()]));
    assert_eq!(listed(&real, "").await, ids);

    let (code, _, errors) = ask(&real, &format!("replay {}", ids[4])).await;
    assert_eq!(code, Some(0), "{errors:?}");
    assert!(errors.join("").contains("replayed 1: 1 seen published"), "{errors:?}");
    assert_eq!(listed(&real, "").await, [&ids[..4], &ids[5..]].concat());

    assert_eq!(ask(&real, "replay --delivery D0 --delivery D2").await.0, Some(0));
    assert_eq!(listed(&real, "").await, [ids[1].clone(), ids[3].clone(), ids[5].clone()]);
    subscriber.take_until(|seen| seen.events.len() == 3).await;
    assert_eq!(published(&subscriber), BTreeSet::from([ids[0].clone(), ids[2].clone(), ids[4].clone()]));

    assert_eq!(ask(&real, &format!("replay {}", ids[4])).await.0, Some(1), "it is no longer parked");
    assert_eq!(ask(&real, "replay").await.0, Some(2), "which?");
    worker.stop().await;
}

/// Ramp, windows and pipelining: each of ten thousand is accounted for by its id.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_are_replayed_and_none_is_lost_or_doubled() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let ids = park(&real, (0..10_000).map(exhausted).collect()).await;
    let worker = run(telyport(&real.backends));
    eventually("the worker has subscribed", || async {
        (ask(&real, "replay --delivery nothing").await.0 == Some(0)).then_some(())
    })
    .await;
    let (code, _, errors) = ask(&real, "replay --all").await;
    assert_eq!(code, Some(0), "{errors:?}");
    assert!(errors.join("").contains("replayed 10000: 10000 seen published, 0 failed"), "{errors:?}");
    subscriber.take_until(|seen| seen.events.len() == 10_000).await;
    assert_eq!(published(&subscriber), ids.into_iter().collect());
    assert_eq!(subscriber.unread().await, 0);
    assert_eq!(listed(&real, "").await, Vec::<String>::new());
    worker.stop().await;
}

/// While a replay runs, workers work, the provider sends some of the same events again, and new webhooks come.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_races_a_live_worker_and_the_providers_own_resends() {
    const PARKED: usize = 600;
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    park(&real, (0..PARKED).map(exhausted).collect()).await;
    let (worker, other) = (run(telyport(&real.backends)), run(telyport(&real.backends)));
    let replay = parked(&real, "replay --all --no-ramp").spawn();
    for number in 0..PARKED {
        // The provider's resend has a receipt of its own and the same event.
        let resend = Envelope {
            attempt: 0,
            crashes: 0,
            history: History::default(),
            ..exhausted(PARKED - 1 - number)
        };
        real.publish(resend).await;
        let new = telyport_body(&format!("N{number}"), &format!("n{number}"), "NEW");
        real.publish(envelope(TELYPORT, new)).await;
    }
    let mut replay = replay;
    assert_eq!(replay.exit().await, Some(0), "{:?}", replay.stderr.all());
    subscriber.take_until(|seen| seen.events.len() == 2 * PARKED).await;
    drained_work(&real).await;
    worker.stop().await;
    other.stop().await;
    published(&subscriber);
    let subjects: BTreeSet<_> = subscriber.events.values().map(|bodies| subject(&bodies[0])).collect();
    assert_eq!(subjects.len(), 2 * PARKED, "each delivery's one event");
    assert_eq!(subscriber.unread().await, 0);
    assert_eq!(drained(&real).await, Vec::<String>::new());
}

fn subject(event: &[u8]) -> String {
    let event: Value = serde_json::from_slice(event).expect("JSON");
    event["subject"].as_str().expect("a subject").to_owned()
}

/// What is parked again while the command runs is not replayed by it again; its history grows by one.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_is_replayed_once_and_remembers() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let poison: Vec<_> = (0..30).map(|_| Envelope { body: "no JSON".into(), ..exhausted(0) }).collect();
    let ids = park(&real, poison).await;
    let worker = run(telyport(&real.backends));
    let (code, _, errors) = ask(&real, "replay --all --no-ramp --rate 100").await;
    assert_eq!(code, Some(0), "{errors:?}");
    assert!(errors.join("").contains("replayed 30:"), "{errors:?}");
    eventually("all are parked again", || async { (listed(&real, "").await.len() == 30).then_some(()) })
        .await;
    let entries = json(&real, "list --json").await;
    let found: BTreeSet<_> = entries.iter().map(|entry| entry["id"].as_str().expect("an id")).collect();
    assert_eq!(found, ids.iter().map(String::as_str).collect());
    let shown = json(&real, &format!("show --json {}", ids[0])).await;
    let reasons: Vec<_> = shown[0]["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|failure| (failure["attempt"].as_u64(), failure["reason"].as_str()))
        .collect();
    assert_eq!(reasons, [(Some(5), Some("retries_exhausted")), (Some(0), Some("malformed"))]);
    assert_eq!(shown[0]["crashes"], 0);
    assert!(shown[0]["parked_at"].as_str() > Some("2026-10"), "{shown:?}");
    worker.stop().await;
}

/// A done event stays done, unless it is forced.
#[tokio::test(flavor = "multi_thread")]
async fn a_published_event_is_published_again_only_by_force() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    let webhook = exhausted(1);
    real.publish(Envelope { attempt: 0, crashes: 0, ..webhook.clone() }).await;
    let worker = run(telyport(&real.backends));
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    for (words, copies) in [("replay --all", 1), ("replay --all --force", 2)] {
        park(&real, vec![webhook.clone()]).await;
        assert_eq!(ask(&real, words).await.0, Some(0), "{words}");
        subscriber.take_until(|seen| seen.order.len() == copies).await;
        drained_work(&real).await;
        assert_eq!(subscriber.unread().await, 0, "{words}");
    }
    // The same replay, as when a killed command is run again.
    park(&real, vec![webhook.clone()]).await;
    assert_eq!(ask(&real, "replay --all --force").await.0, Some(0));
    real.backends
        .publisher
        .publish(Outbound::Raw(envelope(TELYPORT, telyport_body("M", "m", "NEW"))))
        .await
        .expect("confirmed");
    subscriber.take_until(|seen| seen.events.len() == 2).await;
    assert_eq!(subscriber.order.len(), 3, "one forced copy, and the marker");
    worker.stop().await;
    // What it says of its delivery's course it says anew; all else is as it was.
    let without_course = |body: &Vec<u8>| {
        let mut event: Value = serde_json::from_slice(body).expect("JSON");
        let data = event["data"].as_object_mut().expect("an object");
        for name in ["sequence", "order", "changes", "previous_status"] {
            data.remove(name);
        }
        event
    };
    let copies = subscriber.events.values().find(|copies| copies.len() == 2).expect("a forced copy");
    assert_eq!(without_course(&copies[0]), without_course(&copies[1]));
}

/// A worker makes up what an envelope lacks so that it can park it. That is not replayed unless it is meant.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_a_webhook_is_replayed_only_by_its_id() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = subscriber(&real).await;
    // The made-up account is the same in every run of this test.
    let body = telyport_body(&Uuid::new_v4().to_string(), "e1", "NEW");
    let publishing = real.channel.basic_publish(
        "milepost.webhooks".into(),
        "telyport".into(),
        BasicPublishOptions::default(),
        &body,
        BasicProperties::default(),
    );
    publishing.await.expect("sent");
    let worker = run(telyport(&real.backends));
    let ids = eventually("it is parked", || async {
        Some(listed(&real, "--reason bad_envelope").await).filter(|ids| !ids.is_empty())
    })
    .await;
    let (code, _, errors) = ask(&real, "replay --all").await;
    assert_eq!(code, Some(0));
    assert!(errors.join("").contains("replayed 0:") && errors.join("").contains("1 left"), "{errors:?}");
    assert_eq!(listed(&real, "").await, ids);
    assert_eq!(ask(&real, &format!("replay {}", ids[0])).await.0, Some(0));
    subscriber.take_until(|seen| seen.events.len() == 1).await;
    assert_eq!(published(&subscriber), ids.into_iter().collect());
    worker.stop().await;
}
