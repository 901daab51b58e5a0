//! What two workers of one provider leave out of order. It is counted: docs/ARCHITECTURE.md has the figures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use lapin::types::FieldTable;
use metrics_exporter_prometheus::PrometheusBuilder;
use milepost::adapters::rabbit::topology::work_queue;
use milepost::app::backends::Backends;
use milepost::ports::{Outbound, PublishError, Publisher};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{Real, Subscriber, run, telyport, telyport_body};
use crate::support::process::sum;
use crate::support::servers::{Vhost, consumers};

const DELIVERIES: usize = 200;
/// Odd, so that the queue, which gives to the two workers by turns, splits each delivery between them.
const AT_ONCE: usize = 25;
const STEPS: [&str; 6] =
    ["NEW", "STARTED", "PICKUPREACHED", "PICKUPCOMPLETED", "DROPREACHED", "DROPCOMPLETED"];

/// Between two steps of a delivery: longer than a busy machine takes to ask for a claim.
const APART: Duration = Duration::from_millis(20);
/// A broker whose disk takes so long for each update: further steps of its delivery arrive meanwhile.
const CONFIRM: Duration = Duration::from_millis(100);
/// Longer than a step waits in place behind another one, which is some 1.5 s.
const LONG_CONFIRM: Duration = Duration::from_secs(3);

/// Takes its time for each update, and notes the attempts of the copies that it puts off.
struct Slow {
    publisher: Arc<dyn Publisher>,
    confirm: Duration,
    put_off: Mutex<Vec<u32>>,
}

#[async_trait]
impl Publisher for Slow {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        match &outbound {
            Outbound::Update(_) => tokio::time::sleep(self.confirm).await,
            Outbound::Later(copy, _) => self.put_off.lock().expect("no panic").push(copy.attempt),
            Outbound::Raw(_) | Outbound::Parked(..) => {}
        }
        self.publisher.publish(outbound).await
    }

    fn ready(&self) -> bool {
        self.publisher.ready()
    }
}

fn slow(real: &Real, confirm: Duration) -> (Arc<Slow>, Backends) {
    let publisher = Arc::clone(&real.backends.publisher);
    let slow = Arc::new(Slow { publisher, confirm, put_off: Mutex::default() });
    (Arc::clone(&slow), Backends { publisher: slow, ..real.backends.clone() })
}

/// Sends a delivery's steps, milliseconds apart.
async fn send(real: &Real, delivery: usize) {
    for (at, status) in STEPS.iter().enumerate() {
        let body = telyport_body(&format!("D{delivery}"), &format!("e{delivery}-{at}"), status);
        let text = String::from_utf8(body).expect("text");
        let time = 1_739_365_639_201 + at;
        let body = text.replace(r#""updatedAt":1739365639201"#, &format!(r#""updatedAt":{time}"#));
        real.publish(envelope(TELYPORT, body)).await;
        tokio::time::sleep(APART).await;
    }
}

/// The queue gives the steps of a delivery to the workers by turns. While one of them has a step in hand the
/// next waits, and is claimed before the one after that, in whichever order the workers ask. What is left is
/// a step whose worker had not asked at all when the other one claimed the next.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_leave_hardly_any_update_late_or_unexpected() {
    let vhost = Vhost::new().await;
    let (one, other) = (Real::on(&vhost).await, Real::on(&vhost).await);
    let mut subscriber = Subscriber::bind(&one.amqp_url, "test.subscriber", FieldTable::default()).await;
    let workers = [&one, &other].map(|real| {
        let mut worker = telyport(&slow(real, CONFIRM).1);
        // As in production: a step that waits is waited for as long as a share of it.
        worker.processor.settings.lease = Duration::from_secs(15);
        run(worker)
    });
    let sending = async {
        for wave in (0..DELIVERIES).collect::<Vec<_>>().chunks(AT_ONCE) {
            join_all(wave.iter().map(|&delivery| send(&one, delivery))).await;
        }
    };
    let all = DELIVERIES * STEPS.len();
    tokio::join!(sending, subscriber.take_until(|seen| seen.events.len() == all));
    for worker in workers {
        worker.stop().await;
    }
    let mut orders: BTreeMap<String, usize> = BTreeMap::new();
    for bodies in subscriber.events.values() {
        let event: Value = serde_json::from_slice(&bodies[0]).expect("JSON");
        *orders.entry(event["data"]["order"].as_str().expect("said").to_owned()).or_default() += 1;
    }
    println!("of {all} updates: {orders:?}");
    // 735 to 756 while the one that asked next was next; 0 to 14 since.
    let flagged = all - orders["in_order"];
    assert!(flagged <= all / 20, "{orders:?}");
}

/// A step that waits longer than a worker waits in place is put off, as often as it takes: that is no failure of its own.
#[tokio::test]
async fn a_step_that_waits_long_for_the_one_before_it_spends_no_attempt() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // This test runs on one thread, so its workers count here.
    let _measured = metrics::set_default_local_recorder(&recorder);
    let vhost = Vhost::new().await;
    let (one, other) = (Real::on(&vhost).await, Real::on(&vhost).await);
    let mut subscriber = Subscriber::bind(&one.amqp_url, "test.subscriber", FieldTable::default()).await;
    let slow = [&one, &other].map(|real| slow(real, LONG_CONFIRM));
    let workers = slow.each_ref().map(|(_, backends)| {
        let mut worker = telyport(backends);
        // As in production: longer than a confirm takes.
        worker.processor.settings.processing_deadline = Duration::from_secs(10);
        worker.processor.settings.lease = Duration::from_secs(15);
        run(worker)
    });
    eventually("the queue gives to both by turns", || async {
        (consumers(&one.channel, &work_queue(TELYPORT)).await == 2).then_some(())
    })
    .await;
    for status in ["NEW", "STARTED"] {
        let body = telyport_body("D", status, status);
        one.publish(envelope(TELYPORT, body)).await;
    }
    subscriber.take_until(|seen| seen.order.len() == 2).await;
    for worker in workers {
        worker.stop().await;
    }
    let seen = |id: &String| {
        let event: Value = serde_json::from_slice(&subscriber.events[id][0]).expect("JSON");
        json!([event["data"]["raw_status"], event["data"]["order"]])
    };
    let seen: Vec<_> = subscriber.order.iter().map(seen).collect();
    assert_eq!(seen, [json!(["NEW", "in_order"]), json!(["STARTED", "in_order"])]);
    let rendered = recorder.handle().render();
    let settled = |outcome| sum(&rendered, "milepost_messages_settled_total", &[outcome]);
    assert!(settled("outcome=\"deferred\"") >= 1.0, "{rendered}");
    assert_eq!(settled("outcome=\"published\""), 2.0);
    assert_eq!(sum(&rendered, "milepost_retries_total", &[]), 0.0, "{rendered}");
    let put_off: Vec<_> =
        slow.iter().flat_map(|(slow, _)| slow.put_off.lock().expect("no panic").clone()).collect();
    assert!(!put_off.is_empty() && put_off.iter().all(|attempt| *attempt == 0), "{put_off:?}");
    assert!(one.parked(TELYPORT).await.is_empty());
}
