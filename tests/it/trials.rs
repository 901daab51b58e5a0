//! Messages are redelivered whenever their worker's connection is lost. However often, those that are not to
//! blame are not parked; the one that kills its worker is.
//!
//! The worker that dies is this test binary, executed again, as in `crash.rs`.

use std::process::{Child, Command, Stdio};

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use milepost::adapters::rabbit::topology::{parked_queue, work_queue};
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::DeliveryKey;
use milepost::domain::provider::ProviderId;
use milepost::pipeline::message::{Message, Processor};
use milepost::pipeline::session::Session;
use milepost::pipeline::work::Work;
use milepost::pipeline::worker::Worker;

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{Real, Subscriber, header, run, telyport, telyport_body};
use crate::support::servers::{Vhost, depth, redis_url};

const AMQP_URL: &str = "MILEPOST_TEST_TRIALS_AMQP_URL";
/// What the body that kills has in it.
const KILLS: &str = "KILLS";
const INNOCENT: usize = 30;
/// More than the 20 of RabbitMQ 4's default, and than the 100 that the queues had.
const LOSSES: usize = 120;

/// A worker's work, but for one body that ends the process when it is read.
struct Fragile(Processor);

impl Work for Fragile {
    type Item = Message;

    const STORE: &'static str = Processor::STORE;

    fn queue(&self) -> ProviderId {
        self.0.queue()
    }

    async fn ask_store(&self) -> Result<(), String> {
        self.0.ask_store().await
    }

    fn can_publish(&self) -> bool {
        self.0.can_publish()
    }

    fn read(&self, envelope: Envelope, defect: Option<&'static str>) -> Message {
        if envelope.body.windows(KILLS.len()).any(|part| part == KILLS.as_bytes()) {
            std::process::abort();
        }
        self.0.read(envelope, defect)
    }

    fn lane(message: &Message) -> Option<&DeliveryKey> {
        Processor::lane(message)
    }

    fn into_lane(message: Message) -> Option<DeliveryKey> {
        Processor::into_lane(message)
    }

    async fn park_unread(
        &self,
        envelope: &Envelope,
        detail: &'static str,
        session: &Session,
    ) -> Option<&'static str> {
        Work::park_unread(&self.0, envelope, detail, session).await
    }

    async fn process(&self, message: &Message, session: &Session) -> Option<&'static str> {
        Work::process(&self.0, message, session).await
    }
}

/// The process that dies. In an ordinary run of the tests it is not told where its broker is, and is nothing.
#[tokio::test]
async fn the_worker_that_dies() {
    let Ok(amqp_url) = std::env::var(AMQP_URL) else { return };
    let real = Real::at(&amqp_url, &redis_url()).await;
    let Worker { inbox, processor, trials, settings, heartbeat, subscribed } = telyport(&real.backends);
    let worker = Worker { inbox, processor: Fragile(processor), trials, settings, heartbeat, subscribed };
    worker.run(tokio_util::sync::CancellationToken::new()).await;
}

fn start(amqp_url: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this binary"));
    child.args(["--exact", "trials::the_worker_that_dies", "--nocapture"]).env(AMQP_URL, amqp_url);
    child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

async fn publish_innocent(real: &Real, from: usize) {
    for number in from..from + INNOCENT {
        let body = telyport_body(&format!("D{number}"), &format!("e{number}"), "NEW");
        real.publish(envelope(TELYPORT, body)).await;
    }
}

#[tokio::test]
async fn lost_connections_park_nothing() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "test.subscriber", FieldTable::default()).await;
    publish_innocent(&real, 0).await;
    let queue = work_queue(TELYPORT);
    for loss in 0..LOSSES {
        let connection =
            Connection::connect(&vhost.amqp_url, ConnectionProperties::default()).await.expect("connects");
        let channel = connection.create_channel().await.expect("a channel");
        channel.basic_qos(256, BasicQosOptions::default()).await.expect("prefetch");
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(queue.as_str().into(), "".into(), options, none);
        let mut consumer = consuming.await.expect("consumes");
        let mut returns = None;
        for _ in 0..INNOCENT {
            let next = tokio::time::timeout(crate::support::SOON, consumer.next()).await;
            let message = next.unwrap_or_else(|_| panic!("nothing is left after {loss} losses"));
            let message = message.expect("still consuming").expect("no error");
            let headers = message.properties.headers().clone().unwrap_or_default();
            returns = headers.inner().get("x-delivery-count").cloned();
        }
        if loss == LOSSES - 1 {
            println!("after {loss} losses the broker says {returns:?}");
        }
        // It ends as it does with its process: nothing is acknowledged.
        connection.close(200, "bye".into()).await.expect("closed");
    }
    let worker = run(telyport(&real.backends));
    subscriber.take_until(|seen| seen.events.len() == INNOCENT).await;
    worker.stop().await;
    assert_eq!(depth(&real.channel, &parked_queue(TELYPORT)).await, 0);
    assert_eq!(real.waiting(TELYPORT).await, 0);
}

#[tokio::test]
async fn what_kills_its_worker_before_its_claim_is_parked_alone() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, "test.subscriber", FieldTable::default()).await;
    publish_innocent(&real, 0).await;
    let fatal =
        envelope(TELYPORT, telyport_body(&format!("{KILLS}{}", uuid::Uuid::new_v4()), "fatal", "NEW"));
    real.publish(fatal.clone()).await;
    publish_innocent(&real, INNOCENT).await;

    let (mut deaths, mut child) = (0, start(&vhost.amqp_url));
    eventually("it is parked", || {
        if child.try_wait().expect("its status").is_some() {
            deaths += 1;
            child = start(&vhost.amqp_url);
        }
        async { (depth(&real.channel, &parked_queue(TELYPORT)).await > 0).then_some(()) }
    })
    .await;
    subscriber.take_until(|seen| seen.events.len() == 2 * INNOCENT).await;
    let _ = child.kill();
    let _ = child.wait();
    println!("{deaths} workers died");
    assert!((5..=8).contains(&deaths), "{deaths} workers died");
    subscriber.assert_repeats_are_identical();

    let parked = real.parked(TELYPORT).await;
    let [(properties, body)] = &parked[..] else { panic!("one is parked: {}", parked.len()) };
    assert_eq!(*body, fatal.body);
    assert_eq!(header(properties, "mp-reason").as_deref(), Some("crash_loop"));
    let id = properties.message_id().as_ref().map(ToString::to_string);
    assert_eq!(id, Some(fatal.receipt.to_string()));
}
