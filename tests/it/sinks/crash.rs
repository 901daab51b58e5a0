//! The sink's process ends hard before and after each call of a port, and no update is lost, and no delivery made twice.
//!
//! As in `crash`, the process that ends is this test binary, executed again; its ports are the real ones in a wrapper
//! that aborts at the step that its environment names.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use milepost::adapters::hubrise::{HubriseClient, HubriseRemote};
use milepost::adapters::tls::install_crypto_provider;
use milepost::app::backends::Backends;
use milepost::cli::fake::hubrise::{SAMPLE_LOCATION, SAMPLE_TOKEN};
use milepost::domain::retry::RetrySchedule;
use milepost::domain::secret::Secret;
use milepost::pipeline::parking::Parker;
use milepost::pipeline::sink::SinkProcessor;
use milepost::pipeline::trials::Trials;
use milepost::pipeline::worker::{Worker, WorkerSettings};
use milepost::ports::{Cell, Cells, CellsError, Outbound, PublishError, Publisher, Swap};
use milepost::sinks::hubrise::Hubrise;
use milepost::sinks::hubrise::api::Api;
use milepost::sinks::hubrise::core::answer::RawAnswer;
use milepost::sinks::hubrise::core::desk::Budget;
use milepost::sinks::hubrise::core::record::Style;
use milepost::sinks::hubrise::core::request::Request;
use milepost::sinks::hubrise::core::rule::{OrderId, ReferenceKind, ReferencePattern, Rule};
use milepost::sinks::hubrise::settings::{Connection, LIMITS, Settings};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::stand_in::{QUEUE, StandIn, is_quiet, parked, publish, quiet, update};
use crate::support::eventually;
use crate::support::fixtures::account;
use crate::support::fleet::Real;
use crate::support::servers::{Vhost, depth, redis_url};

const STEP: &str = "MILEPOST_TEST_SINK_CRASH_STEP";
const AMQP_URL: &str = "MILEPOST_TEST_SINK_CRASH_AMQP_URL";
const HUBRISE_URL: &str = "MILEPOST_TEST_SINK_CRASH_HUBRISE_URL";
const ACCOUNT: &str = "MILEPOST_TEST_SINK_CRASH_ACCOUNT";
/// Far more than a delivery's three updates take.
const MOST_STEPS: u32 = 120;
/// The signal of an abort.
const SIGABRT: i32 = 6;
/// A process, a virtual host and a stand-in each.
const AT_ONCE: u32 = 6;

/// Ends the process at a step. A step is the moment before, or after, a port's effect.
#[derive(Default)]
struct Steps {
    fatal: u32,
    taken: AtomicU32,
}

impl Steps {
    fn step(&self) {
        if self.taken.fetch_add(1, Ordering::SeqCst) + 1 == self.fatal {
            std::process::abort();
        }
    }

    async fn around<T>(&self, effect: impl Future<Output = T>) -> T {
        self.step();
        let result = effect.await;
        self.step();
        result
    }
}

struct Crashing<P: ?Sized> {
    steps: Arc<Steps>,
    port: Arc<P>,
}

#[async_trait]
impl Publisher for Crashing<dyn Publisher> {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        self.steps.around(self.port.publish(outbound)).await
    }

    fn ready(&self) -> bool {
        self.port.ready()
    }
}

#[async_trait]
impl Cells for Crashing<dyn Cells> {
    async fn read(&self, key: &str) -> Result<Cell, CellsError> {
        self.port.read(key).await
    }

    async fn swap(&self, key: &str, old: Option<&str>, new: &str, ttl: Duration) -> Result<Swap, CellsError> {
        self.steps.around(self.port.swap(key, old, new, ttl)).await
    }
}

#[async_trait]
impl Api for Crashing<dyn Api> {
    fn token(&self, connection: &str) -> Option<String> {
        self.port.token(connection)
    }

    async fn send(
        &self,
        connection: &str,
        order: &OrderId,
        request: &Request,
    ) -> Result<RawAnswer, &'static str> {
        self.steps.around(self.port.send(connection, order, request)).await
    }
}

fn settings(account: &str) -> Settings {
    let connection = Connection {
        name: account.to_owned(),
        locations: vec![SAMPLE_LOCATION.to_owned()],
        accounts: vec![("telyport".to_owned(), account.to_owned())],
        rule: Rule {
            from: vec![ReferenceKind::MerchantOrder],
            pattern: ReferencePattern::parse("{order}").expect("a pattern"),
        },
        style: Style::default(),
        budget: Budget { limits: LIMITS.to_vec(), reserve: 0.2 },
        interval: Duration::from_secs(1),
    };
    Settings {
        connections: vec![connection],
        // A lease of a process that was killed is over soon.
        lease: Duration::from_secs(2),
        memory: Duration::from_hours(1),
        unlinked_for: Duration::from_hours(1),
        unlinked_most: 100,
    }
}

fn client(url: &str, account: &str) -> HubriseClient {
    install_crypto_provider();
    let token = Secret::new(SAMPLE_TOKEN.as_bytes()).expect("a token");
    let (told, token) = watch::channel(Some(Arc::new(token)));
    std::mem::forget(told);
    let remote = HubriseRemote { base: url.parse().expect("a URL"), token };
    HubriseClient::new([(account.to_owned(), remote)].into(), Duration::from_millis(900)).expect("a client")
}

/// A worker of the sink whose process ends at the step `fatal`, if there is one.
fn worker(backends: &Backends, hubrise: &str, account: &str, fatal: u32) -> Worker<SinkProcessor> {
    let steps = Arc::new(Steps { fatal, ..Steps::default() });
    let port: Arc<dyn Cells> = Arc::clone(&backends.cells);
    let cells: Arc<dyn Cells> = Arc::new(Crashing { steps: Arc::clone(&steps), port });
    let port: Arc<dyn Api> = Arc::new(client(hubrise, account));
    let api = Arc::new(Crashing { steps: Arc::clone(&steps), port });
    let port: Arc<dyn Publisher> = Arc::clone(&backends.publisher);
    Worker {
        inbox: Arc::clone(&backends.inbox),
        processor: SinkProcessor {
            sink: Arc::new(Hubrise::new(settings(account), Arc::clone(&cells), api)),
            publisher: Arc::new(Crashing { steps, port }),
            store: Arc::clone(&backends.cells),
            clock: Arc::clone(&backends.clock),
            schedule: RetrySchedule::default(),
            parker: Parker::default(),
        },
        trials: Trials::new(Arc::clone(&backends.cells)),
        settings: WorkerSettings {
            prefetch: 16,
            drain_deadline: Duration::from_secs(5),
            outage_patience: Duration::from_secs(60),
        },
        heartbeat: Arc::new(|| {}),
        subscribed: Arc::new(|_| {}),
    }
}

/// The process that crashes. In an ordinary run of the tests it has no step and is nothing.
#[tokio::test]
async fn the_sink_that_crashes() {
    let variable = |name| std::env::var(name).ok();
    let (Some(step), Some(amqp), Some(hubrise), Some(account)) =
        (variable(STEP), variable(AMQP_URL), variable(HUBRISE_URL), variable(ACCOUNT))
    else {
        return;
    };
    let real = Real::with_sinks(&amqp, &redis_url()).await;
    let fatal = step.parse().expect("a number");
    worker(&real.backends, &hubrise, &account, fatal).run(CancellationToken::new()).await;
}

/// Crashes a sink at a step and lets another finish; whether it crashed.
async fn crashes_at(step: u32, account: &str) -> bool {
    let (vhost, hubrise) = (Vhost::new().await, StandIn::start().await);
    let real = Real::with_sinks(&vhost.amqp_url, &redis_url()).await;
    let order = format!("o{step}");
    for (sequence, status) in [(1, "created"), (2, "assigned"), (3, "delivered")] {
        let mut event = update(&format!("D{step}"), &order, sequence, status);
        event["data"]["account"] = account.into();
        publish(&vhost, &event).await;
    }
    assert_eq!(depth(&real.channel, QUEUE).await, 3);

    let mut child = Command::new(std::env::current_exe().expect("this binary"));
    child.args(["--exact", "sinks::crash::the_sink_that_crashes", "--nocapture"]);
    child.env(STEP, step.to_string()).env(AMQP_URL, &vhost.amqp_url).env(HUBRISE_URL, &hubrise.url);
    child.env(ACCOUNT, account).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = child.spawn().expect("it starts");
    // One that has no such step finishes, and is ended then.
    let crashed = eventually("the process crashes or finishes", || {
        let ended = child.try_wait().expect("its status");
        assert!(ended.is_none_or(|status| status.signal() == Some(SIGABRT)), "it ended by itself: {ended:?}");
        let crashed = ended.is_some();
        let delivered = hubrise.delivery(&order).is_some_and(|delivery| delivery["status"] == "delivered");
        let vhost = &vhost;
        async move {
            if crashed {
                return Some(true);
            }
            (delivered && is_quiet(vhost).await).then_some(false)
        }
    })
    .await;
    let _ = child.kill();
    let _ = child.wait();

    let worker = crate::support::fleet::run(worker(&real.backends, &hubrise.url, account, 0));
    hubrise.shows(&order, "delivered").await;
    quiet(&vhost).await;
    worker.stop().await;
    assert_eq!(hubrise.stub.state().world.posts, 1, "step {step}: one delivery is made");
    assert_eq!(parked(&vhost).await, 0, "step {step}: nothing is parked");
    crashed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_loses_no_update_and_makes_no_second_delivery() {
    let account = account();
    let mut crashes = 0;
    for first in (1..=MOST_STEPS).step_by(AT_ONCE as usize) {
        let steps = (first..first + AT_ONCE).map(|step| crashes_at(step, account.as_str()));
        let crashed =
            futures_util::future::join_all(steps).await.into_iter().filter(|crashed| *crashed).count();
        crashes += crashed;
        if crashed == 0 {
            // A run without a crash has some thirty steps: which updates are sent together is up to chance.
            assert!(crashes >= 20, "only {crashes} steps were reached");
            return;
        }
    }
    panic!("there are more steps than were tried");
}
