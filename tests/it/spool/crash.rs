//! Invariants 1 and 3 where the second store is: a receiver's process ends hard at every step between the two stores, and no
//! webhook that was accepted is lost; one at most is published again, with the same receipt.
//!
//! As in `it::crash`, the process that ends is this test binary, executed again, with ports in a wrapper that aborts.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use lapin::options::BasicGetOptions;
use milepost::adapters::clock::SystemClock;
use milepost::adapters::rabbit::topology::work_queue;
use milepost::adapters::redis::{RedisConnection, RedisSettings, spooled};
use milepost::domain::authentication::{AuthScheme, Authentication, Credentials, Headers};
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::Account;
use milepost::domain::provider::Provider as _;
use milepost::domain::samples::{SampleSource as _, SignedWebhook, Signing};
use milepost::domain::secret::Secret;
use milepost::pipeline::receive::{Accounts, Endpoint, Receiver};
use milepost::pipeline::spooling::Spooling;
use milepost::ports::{
    Next, Outbound, PublishError, Publisher, Spool, SpoolError, SpoolLimits, SpoolState, Spooled,
};
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::contract::spool::redis_spool;
use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::fleet::{Real, telyport_body};
use crate::support::process::SECRET;
use crate::support::servers::{OwnServers, Vhost, depth};

const POINT: &str = "MILEPOST_TEST_CRASH_POINT";
const AMQP_URL: &str = "MILEPOST_TEST_CRASH_AMQP_URL";
const REDIS_URL: &str = "MILEPOST_TEST_CRASH_REDIS_URL";
const LIMITS: SpoolLimits = SpoolLimits { max_entries: 100, max_bytes: 1 << 20 };
/// A lease of one that crashed is over soon.
const LEASE: Duration = Duration::from_secs(1);
const WEBHOOKS: usize = 12;
/// The process ends at this webhook.
const FATAL: usize = 5;

/// Ports that end the process.
struct Crashing {
    point: String,
    spool: Arc<dyn Spool>,
    publisher: Arc<dyn Publisher>,
    /// Appends, or publishes, so far.
    count: AtomicUsize,
    redis_url: String,
    /// For looking at the work queue; a receiver whose broker is away has none.
    channel: Option<lapin::Channel>,
}

impl Crashing {
    /// Counts one more; whether it is the fatal one.
    fn is_fatal(&self) -> bool {
        self.count.fetch_add(1, Ordering::SeqCst) + 1 == FATAL
    }

    fn at(&self, point: &str) -> bool {
        self.point == point && self.count.load(Ordering::SeqCst) == FATAL
    }
}

#[async_trait]
impl Spool for Crashing {
    async fn append(&self, webhook: &Envelope) -> Result<(), SpoolError> {
        self.is_fatal();
        if self.at("between append and proof") {
            let mut appending = self.spool.append(webhook);
            assert!((&mut appending).now_or_never().is_none(), "no proof can be here yet");
            let settings = RedisSettings {
                url: self.redis_url.as_str().into(),
                response_timeout: Duration::from_secs(5),
            };
            let connection = RedisConnection::new(&settings).expect("a Redis URL");
            eventually("Redis has it", || async {
                let count = spooled(&connection, TELYPORT).await.expect("it answers");
                (count == Some(FATAL as u64)).then_some(())
            })
            .await;
            std::process::abort();
        }
        let result = self.spool.append(webhook).await;
        if self.at("between proof and answer") {
            std::process::abort();
        }
        result
    }

    async fn next(&self, lease: Duration, confirmed: Option<&Spooled>) -> Result<Next, SpoolError> {
        if confirmed.is_some() && self.at("between confirm and removal") {
            std::process::abort();
        }
        let next = self.spool.next(lease, confirmed).await;
        if confirmed.is_some() && self.at("after the removal") {
            std::process::abort();
        }
        next
    }

    async fn release(&self, confirmed: Option<&Spooled>) -> Result<(), SpoolError> {
        self.spool.release(confirmed).await
    }

    async fn look(&self) -> Result<SpoolState, SpoolError> {
        self.spool.look().await
    }
}

#[async_trait]
impl Publisher for Crashing {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        self.is_fatal();
        if self.at("before the publish") {
            std::process::abort();
        }
        if self.at("between publish and confirm") {
            let mut publishing = self.publisher.publish(outbound);
            assert!((&mut publishing).now_or_never().is_none(), "no confirm can be here yet");
            let channel = self.channel.as_ref().expect("a drainer's");
            eventually("the broker has it", || async {
                (depth(channel, &work_queue(TELYPORT)).await as usize == FATAL).then_some(())
            })
            .await;
            std::process::abort();
        }
        self.publisher.publish(outbound).await
    }

    fn ready(&self) -> bool {
        self.publisher.ready()
    }
}

/// A broker that is away.
struct Away;

#[async_trait]
impl Publisher for Away {
    async fn publish(&self, _: Outbound) -> Result<(), PublishError> {
        Err(PublishError::Unavailable)
    }

    fn ready(&self) -> bool {
        false
    }
}

struct Sent(SignedWebhook);

impl Headers for Sent {
    fn values<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        let name = name.to_owned();
        let ours = self.0.headers.iter().filter(move |(known, _)| *known == name);
        Box::new(ours.map(|(_, value)| value.as_bytes()))
    }
}

/// The settings of a process that has to crash; none in an ordinary run of the tests.
async fn told() -> Option<Crashing> {
    let [point, amqp_url, redis_url] = [POINT, AMQP_URL, REDIS_URL].map(std::env::var);
    let (Ok(point), Ok(amqp_url), Ok(redis_url)) = (point, amqp_url, redis_url) else { return None };
    let spool = Arc::new(redis_spool(&redis_url, TELYPORT, LIMITS));
    let (publisher, channel): (Arc<dyn Publisher>, _) = if amqp_url.is_empty() {
        (Arc::new(Away), None)
    } else {
        let real = Real::at(&amqp_url, &redis_url).await;
        let ports = (Arc::clone(&real.backends.publisher), Some(real.channel.clone()));
        // It lives as long as the process.
        std::mem::forget(real);
        ports
    };
    Some(Crashing { point, spool, publisher, count: AtomicUsize::new(0), redis_url, channel })
}

/// A receiver whose broker is away. Says the receipt of each webhook that it accepted.
#[tokio::test]
async fn the_receiver_that_crashes() {
    let Some(crashing) = told().await.filter(|crashing| crashing.channel.is_none()) else { return };
    let secret = Secret::new(SECRET.as_bytes()).expect("not empty");
    let authentication: Authentication = TELYPORT_PROVIDER.authentication()[0].clone();
    let credentials = Credentials { authentication, secrets: vec![secret.clone()] };
    let known = BTreeMap::from([(Account::default_account(), Arc::new(credentials))]);
    let accounts = watch::channel(Accounts { known, incomplete: false }).1;
    let endpoint = Endpoint { provider: &TELYPORT_PROVIDER, accounts };
    let spooling = Arc::new(Spooling::new(TELYPORT, Arc::new(crashing), LIMITS));
    let receiver = Receiver::new(vec![endpoint], Arc::new(Away), Arc::new(SystemClock))
        .with_spools(BTreeMap::from([(TELYPORT, spooling)]));
    for number in 0..WEBHOOKS {
        let signing = Signing { scheme: AuthScheme::Hmac, header: None, secret: &secret };
        let sent =
            Sent(TELYPORT_PROVIDER.sign(telyport_body(&format!("D{number}"), "e", "NEW").into(), &signing));
        let destination = receiver.named("telyport", None).expect("it is known");
        let addressed = destination.check_headers(&sent).expect("authentic");
        let webhook = addressed.check_body(sent.0.body.clone()).expect("authentic");
        let receipt = receiver.receipt();
        let stored_as =
            receiver.store(webhook, receipt, &tracing::Span::none(), &sent).await.expect("spooled");
        println!("accepted {stored_as}");
        std::io::stdout().flush().expect("a pipe");
    }
}

/// A drainer.
#[tokio::test]
async fn the_drainer_that_crashes() {
    let Some(crashing) = told().await.filter(|crashing| crashing.channel.is_some()) else { return };
    let crashing = Arc::new(crashing);
    let spooling = Spooling::new(TELYPORT, crashing.clone(), LIMITS);
    spooling.drain(crashing.as_ref(), LEASE, CancellationToken::new()).await;
}

/// Runs a process that crashes until it has; what it said.
async fn crash(test: &str, point: &str, amqp_url: &str, redis_url: &str) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this binary"));
    child.args(["--exact", &format!("spool::crash::{test}"), "--nocapture"]);
    child.env(POINT, point).env(AMQP_URL, amqp_url).env(REDIS_URL, redis_url);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.expect("no panic");
    let output = output.expect("its output");
    assert!(!output.status.success(), "it was to crash {point}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Drains what is left; the receipts in the work queue, in order.
async fn drained(real: &Real, redis: &OwnServers) -> Vec<String> {
    let spool = Arc::new(redis_spool(&redis.redis_url, TELYPORT, LIMITS));
    let (spooling, stop) = (Spooling::new(TELYPORT, spool.clone(), LIMITS), CancellationToken::new());
    let (publisher, stopping) = (Arc::clone(&real.backends.publisher), stop.clone());
    let draining = tokio::spawn(async move { spooling.drain(publisher.as_ref(), LEASE, stopping).await });
    eventually("the spool is empty", || async {
        (spool.look().await.expect("it answers").entries == 0).then_some(())
    })
    .await;
    stop.cancel();
    draining.await.expect("it ends");
    let mut receipts = Vec::new();
    let (queue, options) = (work_queue(TELYPORT), BasicGetOptions { no_ack: true });
    while let Some(message) =
        real.channel.basic_get(queue.as_str().into(), options).await.expect("the queue is there")
    {
        receipts.push(message.properties.message_id().as_ref().expect("a receipt").to_string());
    }
    receipts
}

/// In the order in which each came first, with how many came again.
fn merged(receipts: &[String]) -> (Vec<String>, usize) {
    let mut first = Vec::new();
    for receipt in receipts {
        if !first.contains(receipt) {
            first.push(receipt.clone());
        }
    }
    let again = receipts.len() - first.len();
    (first, again)
}

/// Of a test's own servers: tests run side by side.
fn name(point: &str) -> String {
    format!("spool-crash-{}", point.replace(' ', "-"))
}

async fn a_receiver_ends(point: &str) {
    let (redis, vhost) = (OwnServers::proving_redis(&name(point)), Vhost::new().await);
    let said = crash("the_receiver_that_crashes", point, "", &redis.redis_url).await;
    let accepted: Vec<_> = said.iter().filter_map(|line| line.split("accepted ").nth(1)).collect();
    assert_eq!(accepted.len(), FATAL - 1, "{said:?}");
    let real = Real::at(&vhost.amqp_url, &redis.redis_url).await;
    let (published, again) = merged(&drained(&real, &redis).await);
    // The one that got no answer is there too: its sender may send it again.
    assert_eq!((published.len(), again), (FATAL, 0), "{point}");
    assert_eq!(published[..FATAL - 1], accepted, "{point}");
}

#[tokio::test]
async fn a_receiver_that_ends_between_append_and_proof_has_accepted_nothing_that_is_lost() {
    a_receiver_ends("between append and proof").await;
}

#[tokio::test]
async fn a_receiver_that_ends_between_proof_and_answer_has_accepted_nothing_that_is_lost() {
    a_receiver_ends("between proof and answer").await;
}

async fn a_drainer_ends(point: &str, repeats: usize) {
    let (redis, vhost) = (OwnServers::proving_redis(&name(point)), Vhost::new().await);
    let real = Real::at(&vhost.amqp_url, &redis.redis_url).await;
    let spool = redis_spool(&redis.redis_url, TELYPORT, LIMITS);
    let mut receipts = Vec::new();
    for number in 0..WEBHOOKS {
        let webhook = envelope(TELYPORT, telyport_body(&format!("D{number}"), "e", "NEW"));
        receipts.push(webhook.receipt.to_string());
        spool.append(&webhook).await.expect("durable");
    }
    crash("the_drainer_that_crashes", point, &vhost.amqp_url, &redis.redis_url).await;
    assert_eq!(merged(&drained(&real, &redis).await), (receipts, repeats), "{point}");
}

#[tokio::test]
async fn a_drainer_that_ends_before_the_publish_loses_and_repeats_nothing() {
    a_drainer_ends("before the publish", 0).await;
}

#[tokio::test]
async fn a_drainer_that_ends_between_publish_and_confirm_repeats_that_one() {
    a_drainer_ends("between publish and confirm", 1).await;
}

#[tokio::test]
async fn a_drainer_that_ends_between_confirm_and_removal_repeats_that_one() {
    a_drainer_ends("between confirm and removal", 1).await;
}

#[tokio::test]
async fn a_drainer_that_ends_after_the_removal_loses_and_repeats_nothing() {
    a_drainer_ends("after the removal", 0).await;
}
