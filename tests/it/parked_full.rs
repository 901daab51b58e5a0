//! A parked queue that is full: nothing is lost, no attempt is spent, and the messages of other accounts go on.

use std::collections::BTreeSet;
use std::time::Duration;

use lapin::options::{BasicGetOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use milepost::adapters::rabbit::topology::{parked_queue, work_queue};
use milepost::domain::envelope::Envelope;
use milepost::domain::retry::RetrySchedule;
use milepost::pipeline::parking::Parker;
use milepost::pipeline::worker::Worker;
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;

use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{Real, Subscriber, header, rejecting, run, telyport, telyport_body, worker};
use crate::support::process::Program;
use crate::support::servers::{Vhost, depth};
use crate::support::{SOON, eventually};

/// Room for ten small messages. A burst is taken whole: the broker tells a publisher a little late.
const BOUND: u64 = 10 * 1024;
const FILLING: usize = 15;
const GARBAGE: usize = 25;

/// What is put off comes again within a second.
fn impatient(mut worker: Worker) -> Worker {
    worker.processor.parker = Parker::with_rounds_of(Duration::from_secs(1));
    worker
}

/// Takes what is parked off the queue until `count` receipts were seen: their attempts and their failures.
async fn take_parked(real: &Real, count: usize) -> Vec<(String, Option<String>, usize)> {
    let mut taken = Vec::new();
    let taking = async {
        while taken.len() < count {
            for (properties, _) in real.parked(TELYPORT).await {
                let receipt = properties.message_id().as_ref().expect("a receipt").to_string();
                let history = header(&properties, "mp-history").expect("a history");
                let failures: serde_json::Value = serde_json::from_str(&history).expect("JSON");
                let failures = failures.as_array().expect("a list").len();
                taken.push((receipt, header(&properties, "mp-attempt"), failures));
            }
            tokio::time::sleep(Duration::from_millis(20)).await; // The interval of a poll.
        }
    };
    tokio::time::timeout(SOON, taking).await.expect("all are parked in the end");
    taken
}

/// Fills the queue beyond its bound, in one burst, which the broker takes whole.
async fn fill(real: &Real) {
    publish_garbage(real, FILLING).await;
    let worker = run(telyport(&real.backends));
    eventually("the queue is full", || async { (parked_now(real).await as usize == FILLING).then_some(()) })
        .await;
    worker.stop().await;
}

async fn publish_garbage(real: &Real, count: usize) -> BTreeSet<String> {
    let mut receipts = BTreeSet::new();
    for _ in 0..count {
        let garbage =
            Envelope { account: "flood".parse().expect("an account"), ..envelope(TELYPORT, "no JSON") };
        receipts.insert(garbage.receipt.to_string());
        real.publish(garbage).await;
    }
    receipts
}

async fn parked_now(real: &Real) -> u32 {
    depth(&real.channel, &parked_queue(TELYPORT)).await
}

#[tokio::test]
async fn what_does_not_fit_waits_and_other_accounts_go_on() {
    let vhost = Vhost::new().await;
    let real = Real::with_parked_bound(&vhost, BOUND).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "test.subscriber", FieldTable::default()).await;
    fill(&real).await;
    let receipts = publish_garbage(&real, GARBAGE).await;
    for number in 0..5 {
        let body = telyport_body(&format!("D{number}"), &format!("e{number}"), "NEW");
        real.publish(envelope(TELYPORT, body)).await;
    }
    let worker = run(impatient(telyport(&real.backends)));
    subscriber.take_until(|seen| seen.events.len() == 5).await;
    eventually("the rest is put off", || async { (real.waiting(TELYPORT).await == 0).then_some(()) }).await;
    assert_eq!(parked_now(&real).await as usize, FILLING, "the queue takes no more");

    let taken = take_parked(&real, FILLING + GARBAGE).await;
    worker.stop().await;
    assert_eq!(taken.len(), FILLING + GARBAGE);
    let taken: Vec<_> = taken.into_iter().filter(|(receipt, ..)| receipts.contains(receipt)).collect();
    assert_eq!(taken.len(), GARBAGE, "each once");
    // However often it was put off, it failed once.
    assert!(taken.iter().all(|(_, attempt, failures)| attempt.is_none() && *failures == 1), "{taken:?}");
}

#[tokio::test]
async fn an_event_whose_retries_are_over_waits_with_its_attempts() {
    let vhost = Vhost::new().await;
    let real = Real::with_parked_bound(&vhost, BOUND).await;
    fill(&real).await;
    // A subscriber that takes one update and refuses the next, and a schedule that ends soon.
    let full = Subscriber::bind(&vhost.amqp_url, "test.full", rejecting(0)).await;
    let second = Duration::from_secs(1);
    let schedule = RetrySchedule::try_new(second, 2.0, second, 0.0).expect("a schedule");
    let running = run(impatient(worker(&real.backends, &TELYPORT_PROVIDER, schedule)));
    real.publish(envelope(TELYPORT, telyport_body("FILLS", "e0", "NEW"))).await;
    eventually("the subscriber is full", || async { (full.unread().await == 1).then_some(()) }).await;
    let event = envelope(TELYPORT, telyport_body("D1", "e1", "NEW"));
    real.publish(event.clone()).await;
    // Refused, retried, refused, and put off at least once.
    tokio::time::sleep(5 * second).await;
    assert_eq!(parked_now(&real).await as usize, FILLING, "the queue takes no more");

    let parked = take_parked(&real, FILLING + 1).await;
    running.stop().await;
    let found = parked.iter().find(|(receipt, ..)| *receipt == event.receipt.to_string());
    let (_, attempt, failures) = found.expect("it is parked in the end");
    let attempt: usize = attempt.as_deref().expect("it was retried").parse().expect("a number");
    assert!((1..=2).contains(&attempt), "attempt {attempt}");
    assert_eq!(*failures, attempt + 1, "each of its attempts failed once");
}

#[tokio::test]
async fn a_dead_letter_stays_where_it_is_until_there_is_room() {
    let vhost = Vhost::new().await;
    let real = Real::with_parked_bound(&vhost, BOUND).await;
    fill(&real).await;
    // Milepost rejects nothing; an operator's policy may.
    let dead = envelope(TELYPORT, telyport_body("DEAD", "e1", "NEW"));
    real.publish(dead.clone()).await;
    let getting = real.channel.basic_get(work_queue(TELYPORT).as_str().into(), BasicGetOptions::default());
    let message = getting.await.expect("the queue is there").expect("it has the message");
    message.acker.reject(BasicRejectOptions { requeue: false }).await.expect("rejected");
    // The broker says so with its next statistics.
    eventually("the broker keeps it for the parked queue", || async {
        let queues = vhost.list("queues").await;
        let work = queues.as_array()?.iter().find(|queue| queue["name"] == work_queue(TELYPORT))?.clone();
        (work["messages_dlx"].as_u64() == Some(1)).then_some(())
    })
    .await;
    assert_eq!(parked_now(&real).await as usize, FILLING, "the queue takes no more");
    eventually("it is parked", || async {
        let parked = real.parked(TELYPORT).await;
        let is_it = |id: &lapin::types::ShortString| id.as_str() == dead.receipt.to_string();
        parked.iter().any(|(properties, _)| properties.message_id().as_ref().is_some_and(is_it)).then_some(())
    })
    .await;
}

/// As the roles are: what the metrics and the log say.
#[tokio::test]
async fn a_refusal_is_counted_and_logged_and_the_account_is_named() {
    let vhost = Vhost::new().await;
    let real = Real::with_parked_bound(&vhost, BOUND).await;
    let worker = Program::worker(TELYPORT, &vhost.amqp_url)
        .env("MILEPOST__TOPOLOGY__MODE", "verify")
        .env("MILEPOST__TOPOLOGY__PARKED_MAX_BYTES", &BOUND.to_string())
        .spawn();
    let measures =
        |name: &str, label: &str, count: usize| format!(r#"{name}{{provider="telyport",{label}}} {count}"#);
    publish_garbage(&real, FILLING).await;
    worker.measures(&measures("milepost_account_parked_total", r#"account="flood""#, FILLING)).await;
    publish_garbage(&real, GARBAGE).await;
    worker.measures(&measures("milepost_parks_refused_total", r#"result="put_off""#, GARBAGE)).await;
    let line = worker.says("the parked queue is full").await;
    assert_eq!((line["provider"].as_str(), line["account"].as_str()), (Some("telyport"), Some("flood")));
    assert_eq!(worker.metric("milepost_parked_limit_bytes", &[]).await.to_string(), BOUND.to_string());
}
