//! What ends a replay before its time, and that it costs nothing.

use std::collections::BTreeSet;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation};
use milepost::adapters::rabbit::topology::parked_queue;
use milepost::domain::envelope::{Envelope, Replay};

use crate::crash::everything_is_quiet;

use super::{ask, drained, exhausted, listed, park, parked};
use crate::support::eventually;
use crate::support::fixtures::TELYPORT;
use crate::support::fleet::{Real, Subscriber, drained as drained_work, receipt, rejecting, run, telyport};
use crate::support::servers::{Vhost, depth};

#[tokio::test(flavor = "multi_thread")]
async fn replays_that_fail_again_stop_it() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    // Three sound ones, and then one of three fails.
    let mut webhooks: Vec<_> = (0..30).map(exhausted).collect();
    for webhook in webhooks.iter_mut().skip(3).step_by(3) {
        webhook.body = "no JSON".into();
    }
    let ids = park(&real, webhooks).await;
    let worker = run(telyport(&real.backends));
    eventually("the worker has subscribed", || async {
        (ask(&real, "replay --delivery nothing").await.0 == Some(0)).then_some(())
    })
    .await;
    let (code, _, errors) = ask(&real, "replay --all").await;
    assert_eq!(code, Some(1), "{errors:?}");
    assert!(errors.join("").contains("stopped: 2 of 5 replays failed again"), "{errors:?}");
    let left: BTreeSet<_> = listed(&real, "").await.into_iter().collect();
    let mut expected: BTreeSet<_> = ids[8..].iter().cloned().collect();
    expected.extend([ids[3].clone(), ids[6].clone()]);
    assert_eq!(left, expected);
    // Who knows better says so.
    assert_eq!(ask(&real, "replay --all --max-failures 1").await.0, Some(0));
    eventually("only the poison is left", || async { (listed(&real, "").await.len() == 9).then_some(()) })
        .await;
    worker.stop().await;
}

/// A subscriber's full queue that refuses: the update reaches all others, and is retried.
#[tokio::test(flavor = "multi_thread")]
async fn replays_that_are_retried_stop_it_too() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park(&real, (0..10).map(exhausted).collect()).await;
    Subscriber::bind(&real.amqp_url, "test.full", rejecting(1)).await;
    let filling = vhost.channel().await;
    filling.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    eventually("it is full", || async {
        let (options, nothing) = (BasicPublishOptions::default(), BasicProperties::default());
        let publishing = filling.basic_publish("".into(), "test.full".into(), options, b"x", nothing);
        let confirm = publishing.await.expect("sent").await.expect("answered");
        matches!(confirm, Confirmation::Nack(_)).then_some(())
    })
    .await;
    let worker = run(telyport(&real.backends));
    eventually("the worker has subscribed", || async {
        (ask(&real, "replay --delivery nothing").await.0 == Some(0)).then_some(())
    })
    .await;
    let (code, _, errors) = ask(&real, "replay --all").await;
    assert_eq!(code, Some(1), "{errors:?}");
    assert!(errors.join("").contains("stopped: 1 of 1 replays failed again"), "{errors:?}");
    assert_eq!(listed(&real, "").await, ids[1..]);
    worker.stop().await;
}

#[tokio::test]
async fn without_a_worker_nothing_is_replayed_unless_it_is_said() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park(&real, (0..5).map(exhausted).collect()).await;
    let (code, _, errors) = ask(&real, "replay --all").await;
    assert_eq!(code, Some(1));
    assert!(errors.join("").contains("no worker"), "{errors:?}");
    assert_eq!(listed(&real, "").await, ids);
    assert_eq!(ask(&real, "replay --all --no-ramp").await.0, Some(0));
    assert_eq!(listed(&real, "").await, Vec::<String>::new());
    assert_eq!(real.waiting(TELYPORT).await, 5);
}

/// A message that is neither on the parked queue nor on the work queue is lost. No worker runs here.
async fn everyone_is_somewhere(real: &Real, ids: &[String]) -> (usize, u32) {
    eventually("the broker has given back what was held", || async {
        let (parked, queued) =
            (depth(&real.channel, &parked_queue(TELYPORT)).await, real.waiting(TELYPORT).await);
        ((parked + queued) as usize >= ids.len()).then_some((parked as usize, queued))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_replay_leaves_each_message_parked_or_queued() {
    for signal in ["INT", "TERM"] {
        let vhost = Vhost::new().await;
        let real = Real::on(&vhost).await;
        let ids = park(&real, (0..2000).map(exhausted).collect()).await;
        // What was looked at before keeps its order too.
        assert_eq!(listed(&real, "").await, ids);
        let mut replay = parked(&real, "replay --all --no-ramp --rate 500").spawn();
        eventually("some are replayed", || async { (real.waiting(TELYPORT).await > 50).then_some(()) }).await;
        replay.signal(signal);
        assert_eq!(replay.exit().await, Some(1));
        assert!(replay.stderr.all().join("").contains("stopped: interrupted"), "{:?}", replay.stderr.all());
        let (parked, queued) = everyone_is_somewhere(&real, &ids).await;
        assert_eq!(parked + queued as usize, ids.len(), "each exactly once");
        assert!(queued > 0 && parked > 0);
        assert_eq!(drained(&real).await, ids[queued as usize..]);
    }
}

async fn subscriber_depth(real: &Real) -> u32 {
    depth(&real.channel, "test.subscriber").await
}

/// A kill leaves at most a few both parked and queued; the ledger publishes each once.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_killed_in_the_middle_loses_and_doubles_nothing() {
    const PARKED: usize = 5000;
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let poisoned = |number| if number % 100 == 7 { "no JSON".into() } else { exhausted(number).body };
    let webhooks: Vec<_> =
        (0..PARKED).map(|number| Envelope { body: poisoned(number), ..exhausted(number) }).collect();
    let ids = park(&real, webhooks).await;
    let poison: BTreeSet<_> = ids.iter().skip(7).step_by(100).cloned().collect();
    let worker = run(telyport(&real.backends));
    // Killed again and again, with a third of the rest replayed each time.
    // What the command has replayed, whether or not the worker has come to it: a slow worker must not let it end.
    let replayed = async || subscriber_depth(&real).await + real.waiting(TELYPORT).await;
    for _ in 0..3 {
        drained_work(&real).await;
        let before = replayed().await;
        let third = (PARKED as u32 - before) / 3;
        let mut replay = parked(&real, "replay --all --no-ramp --rate 1500").spawn();
        eventually("it is under way", || async { (replayed().await > before + third).then_some(()) }).await;
        replay.signal("KILL");
        assert_eq!(replay.exit().await, None, "it was not through");
    }
    eventually("only the poison is parked", || async {
        let (code, _, _) = ask(&real, "replay --all --no-ramp").await;
        let parked = listed(&real, "").await;
        (code == Some(0) && parked.iter().all(|id| poison.contains(id))).then_some(())
    })
    .await;
    subscriber.take_until(|seen| seen.events.len() == PARKED - poison.len()).await;
    eventually("the work queue is empty", || async { (real.waiting(TELYPORT).await == 0).then_some(()) })
        .await;
    worker.stop().await;
    let published: BTreeSet<_> =
        subscriber.events.values().map(|bodies| receipt(&bodies[0]).to_string()).collect();
    let parked: BTreeSet<_> = drained(&real).await.into_iter().collect();
    assert_eq!(parked, poison);
    assert_eq!(&published | &parked, ids.into_iter().collect());
    assert_eq!(subscriber.order.len(), PARKED - poison.len(), "none is published twice");
    assert_eq!(subscriber.unread().await, 0);
}

/// Just what a crash between the confirm and the acknowledgement leaves: every message parked, and with the workers.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_both_parked_and_queued_is_published_once() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&real.amqp_url, "test.subscriber", FieldTable::default()).await;
    let webhooks: Vec<_> = (0..200).map(exhausted).collect();
    let ids = park(&real, webhooks.clone()).await;
    for webhook in webhooks {
        real.publish(Envelope { attempt: 0, crashes: 0, replay: Some(Replay::Normal), ..webhook }).await;
    }
    assert_eq!(ask(&real, "replay --all --no-ramp").await.0, Some(0));
    assert_eq!(real.waiting(TELYPORT).await, 400);
    let worker = run(telyport(&real.backends));
    subscriber.take_until(|seen| seen.events.len() == ids.len()).await;
    eventually("every copy ends", || async { everything_is_quiet(&vhost).await.then_some(()) }).await;
    worker.stop().await;
    assert_eq!(subscriber.order.len(), ids.len(), "none is published twice");
    assert_eq!(subscriber.unread().await, 0);
    assert_eq!(listed(&real, "").await, Vec::<String>::new());
}

/// A message leaves the parked queue only once the work queue has it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_stays_parked() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let ids = park(&real, (0..500).map(exhausted).collect()).await;
    vhost.set_policy("bound", "^milepost.webhooks.telyport$", serde_json::json!({ "max-length": 20 })).await;
    let bounded = || async {
        let queues = vhost.list("queues").await;
        let work = queues.as_array()?.iter().find(|queue| queue["name"] == "milepost.webhooks.telyport")?;
        (work["effective_policy_definition"]["max-length"] == 20).then_some(())
    };
    eventually("the policy holds", bounded).await;
    let (code, _, errors) = ask(&real, "replay --all --no-ramp").await;
    assert_eq!(code, Some(1));
    assert!(errors.join("").contains("stopped: the broker refused the message"), "{errors:?}");
    let (parked, queued) = everyone_is_somewhere(&real, &ids).await;
    assert_eq!(parked + queued as usize, ids.len(), "each exactly once");
    assert!(queued > 0 && parked > 0);
}
