//! Invariant 3: a worker's process ends hard at every step of the protocol, and no accepted webhook is lost; an
//! update is repeated only if it was sent and not yet marked done, and then with the same id and bytes.
//!
//! The process that ends is this test binary, executed again with a crash point in its environment; its ports are
//! the real ones in a wrapper that aborts. `src` has no hook for it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use lapin::Channel;
use lapin::types::FieldTable;
use milepost::app::backends::Backends;
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use milepost::domain::identity::ReceiptId;
use milepost::ports::{Ledger, LedgerError, Outbound, PublishError, Publisher};

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{Real, Subscriber, header, receipt, run, telyport, telyport_body};
use crate::support::servers::{Vhost, depth, redis_url};

const POINT: &str = "MILEPOST_TEST_CRASH_POINT";
const AMQP_URL: &str = "MILEPOST_TEST_CRASH_AMQP_URL";
/// The process ends at this message, one at a time being in flight.
const FATAL: u32 = 5;
const WEBHOOKS: usize = 12;
const SUBSCRIBER: &str = "test.subscriber";

/// Real ports that end the process.
struct Crashing {
    point: String,
    publisher: Arc<dyn Publisher>,
    ledger: Arc<dyn Ledger>,
    updates: AtomicU32,
    /// For looking at what the subscriber has.
    channel: Channel,
}

impl Crashing {
    /// Whether the process is to end here: it is the fatal message's turn, at this point.
    fn at(&self, point: &str) -> bool {
        self.point == point && self.updates.load(Ordering::SeqCst) == FATAL
    }
}

#[async_trait]
impl Publisher for Crashing {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        if matches!(outbound, Outbound::Update(_)) {
            self.updates.fetch_add(1, Ordering::SeqCst);
            if self.at("between claim and publish") {
                std::process::abort();
            }
            if self.at("between publish and confirm") {
                // Its frames are on their way, and the answer is not awaited.
                let mut publishing = self.publisher.publish(outbound);
                assert!((&mut publishing).now_or_never().is_none(), "no confirm can be here yet");
                eventually("the broker has it", || async {
                    (depth(&self.channel, SUBSCRIBER).await == FATAL).then_some(())
                })
                .await;
                std::process::abort();
            }
            if self.at("between delayed copy and its record") || self.at("between retry record and ack") {
                return Err(PublishError::Refused);
            }
        }
        let copy = matches!(outbound, Outbound::Later(..) | Outbound::Parked(..));
        let result = self.publisher.publish(outbound).await;
        if copy
            && (self.at("between delayed copy and its record") || self.point == "between parked copy and ack")
        {
            std::process::abort();
        }
        result
    }

    fn ready(&self) -> bool {
        self.publisher.ready()
    }
}

#[async_trait]
impl Ledger for Crashing {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError> {
        self.ledger.claim(request).await
    }

    async fn mark(&self, event: &EventRef, mark: Mark) -> Result<bool, LedgerError> {
        if self.at("between confirm and done") {
            std::process::abort();
        }
        let marked = self.ledger.mark(event, mark).await;
        if self.at("between done and ack") || self.at("between retry record and ack") {
            std::process::abort();
        }
        marked
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.ledger.ping().await
    }
}

/// The process that crashes. In an ordinary run of the tests it has no crash point and is nothing.
#[tokio::test]
async fn the_process_that_crashes() {
    let (Ok(point), Ok(amqp_url)) = (std::env::var(POINT), std::env::var(AMQP_URL)) else { return };
    let real = Real::at(&amqp_url, &redis_url()).await;
    let crashing = Arc::new(Crashing {
        point,
        publisher: Arc::clone(&real.backends.publisher),
        ledger: Arc::clone(&real.backends.ledger),
        updates: AtomicU32::new(0),
        channel: real.channel.clone(),
    });
    let backends = Backends { publisher: crashing.clone(), ledger: crashing, ..real.backends.clone() };
    let mut worker = telyport(&backends);
    worker.settings.prefetch = 1;
    worker.run(tokio_util::sync::CancellationToken::new()).await;
}

/// Runs the process that crashes until it has crashed.
async fn crash(point: &str, amqp_url: &str) {
    let mut child = Command::new(std::env::current_exe().expect("this binary"));
    child.args(["--exact", "crash::the_process_that_crashes", "--nocapture"]);
    child.env(POINT, point).env(AMQP_URL, amqp_url).stdout(std::process::Stdio::null());
    let mut child = child.stderr(std::process::Stdio::null()).spawn().expect("it starts");
    let status = eventually("the process crashes", || {
        let status = child.try_wait().expect("its status");
        async move { status }
    })
    .await;
    assert!(!status.success(), "it was to crash {point}");
}

/// Publishes webhooks, crashes a worker among them, lets another finish, and accounts for each by its receipt.
async fn no_webhook_is_lost(point: &str, publications: usize) {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let mut subscriber = Subscriber::bind(&vhost.amqp_url, SUBSCRIBER, FieldTable::default()).await;
    let mut receipts = BTreeSet::new();
    for number in 0..WEBHOOKS {
        let webhook = envelope(TELYPORT, telyport_body(&format!("D{number}"), &format!("e{number}"), "NEW"));
        receipts.insert(webhook.receipt);
        real.publish(webhook).await;
    }
    crash(point, &vhost.amqp_url).await;
    let worker = run(telyport(&real.backends));
    subscriber.take_until(|seen| seen.events.len() == WEBHOOKS).await;
    eventually("every copy ends", || async { everything_is_quiet(&vhost).await.then_some(()) }).await;
    let unread = subscriber.unread().await as usize;
    subscriber.take_until(|seen| seen.order.len() >= WEBHOOKS + unread).await;
    worker.stop().await;

    let published: BTreeSet<ReceiptId> =
        subscriber.events.values().map(|bodies| receipt(&bodies[0])).collect();
    assert_eq!(published, receipts);
    subscriber.assert_repeats_are_identical();
    assert_eq!(subscriber.order.len(), publications, "{point}");
    assert!(real.parked(TELYPORT).await.is_empty());
}

/// Nothing waits, is delayed, or is being worked on.
pub async fn everything_is_quiet(vhost: &Vhost) -> bool {
    let queues = vhost.list("queues").await;
    queues.as_array().expect("a list").iter().all(|queue| {
        let name = queue["name"].as_str().unwrap_or_default();
        let ours = name.starts_with("milepost.delay") || name.starts_with("milepost.webhooks");
        !ours || queue["messages"].as_u64() == Some(0)
    })
}

#[tokio::test]
async fn a_crash_between_claim_and_publish_loses_and_repeats_nothing() {
    no_webhook_is_lost("between claim and publish", 12).await;
}

#[tokio::test]
async fn a_crash_between_publish_and_confirm_repeats_that_one() {
    no_webhook_is_lost("between publish and confirm", 13).await;
}

#[tokio::test]
async fn a_crash_between_confirm_and_done_repeats_that_one() {
    no_webhook_is_lost("between confirm and done", 13).await;
}

#[tokio::test]
async fn a_crash_between_done_and_ack_loses_and_repeats_nothing() {
    no_webhook_is_lost("between done and ack", 12).await;
}

#[tokio::test]
async fn a_crash_between_delayed_copy_and_its_record_leaves_one_chain() {
    no_webhook_is_lost("between delayed copy and its record", 12).await;
}

#[tokio::test]
async fn a_crash_between_retry_record_and_ack_leaves_one_chain() {
    no_webhook_is_lost("between retry record and ack", 12).await;
}

#[tokio::test]
async fn a_crash_between_parked_copy_and_ack_parks_the_same_receipt_again() {
    let vhost = Vhost::new().await;
    let real = Real::on(&vhost).await;
    let poison = envelope(TELYPORT, "no JSON");
    real.publish(poison.clone()).await;
    crash("between parked copy and ack", &vhost.amqp_url).await;
    let worker = run(telyport(&real.backends));
    let parked = real.eventually_parked(2).await;
    worker.stop().await;
    assert_eq!(real.waiting(TELYPORT).await, 0);
    for (properties, _) in &parked {
        assert_eq!(
            properties.message_id().as_ref().map(ToString::to_string),
            Some(poison.receipt.to_string())
        );
        assert_eq!(header(properties, "mp-reason").as_deref(), Some("malformed"));
    }
}
