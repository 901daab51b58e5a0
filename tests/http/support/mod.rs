//! A provider, a publisher, a server and a client to test with.

mod client;
mod fakes;
mod log;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use milepost::adapters::http::server::serve;
use milepost::adapters::http::webhooks::WebhookPort;
use milepost::adapters::http::{Handler, HttpLimits, Stopping};
use milepost::app::reload::Reload;
use milepost::config::{Sources, load};
use milepost::domain::answer::Answer;
use milepost::domain::authentication::Credentials;
use milepost::domain::identity::Account;
use milepost::domain::provider::ProviderId;
use milepost::domain::secret::Secret;
use milepost::pipeline::receive::{Accounts, Endpoint, LiveAccounts, Receiver};
use milepost::pipeline::spooling::Spooling;
use milepost::ports::{Clock, SpoolLimits};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use client::{Client, Reply, UNPROVEN, signature, signed, signed_with, unfinished};
use fakes::{Answers, BY_SIGNATURE, StoppedClock};
pub use fakes::{FakePublisher, FakeSpool, TestProvider};
pub use log::{Log, log};

/// Nothing in here takes this long unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// For how long something that must not happen is waited for.
pub const MOMENT: Duration = Duration::from_millis(150);

pub const SECRET: &str = "s3cret";
/// 2026-01-02T03:04:05.678Z and some microseconds; `MILLIS_HEX` begins every receipt made then.
pub const NOW: &str = "2026-01-02T03:04:05.678912Z";
pub const MILLIS_HEX: &str = "019b7ca9-8f2e-7";

/// What a server is started with.
pub struct Setup {
    /// Also the metrics label, so each test that counts has its own.
    pub provider: &'static str,
    /// Another provider, with the same accounts.
    pub beside: Option<&'static str>,
    pub path: Option<&'static str>,
    pub answers: Answers,
    pub limits: HttpLimits,
    pub stopping: Stopping,
    /// Whether publishes wait for [`FakePublisher::release`].
    pub held: bool,
    /// Where the provider's webhooks go that are not confirmed.
    pub spool: Option<Arc<FakeSpool>>,
    pub clock: Arc<dyn Clock>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            provider: "acme",
            beside: None,
            path: None,
            answers: |_, outcome| Answer::plain(outcome),
            limits: HttpLimits {
                max_body_bytes: 1000,
                header_timeout: DEADLINE,
                idle_timeout: DEADLINE,
                body_timeout: DEADLINE,
                min_body_rate: None,
                max_requests_in_flight: 100,
                max_bytes_in_flight: 100_000,
                max_connections: 100,
                max_connections_per_peer: None,
                max_connection_age: Duration::from_secs(600),
                refusal_log_pause: Duration::from_secs(60),
                retry_after: Duration::from_secs(7),
            },
            stopping: Stopping { delay: Duration::ZERO, drain: DEADLINE },
            held: false,
            spool: None,
            clock: Arc::new(StoppedClock),
        }
    }
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub done: JoinHandle<()>,
}

impl Server {
    pub async fn start<H: Handler>(handler: Arc<H>, setup: &Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let done = tokio::spawn(serve(listener, handler, setup.limits, stop.clone(), setup.stopping));
        Self { address, stop, done }
    }

    pub async fn connect(&self) -> Client {
        Client(within(TcpStream::connect(self.address)).await.unwrap())
    }

    /// One request on a connection of its own.
    pub async fn exchange(&self, request: impl Into<Vec<u8>>) -> Reply {
        let mut client = self.connect().await;
        client.send(request).await;
        client.reply().await
    }
}

/// A running webhook port. Accounts: `default` and `shop-1` with a secret, `lost` without a readable one.
pub async fn start(setup: Setup) -> (Server, Arc<FakePublisher>) {
    let (server, publisher, _) = start_port(setup).await;
    (server, publisher)
}

/// The same, and the port itself.
pub async fn start_port(setup: Setup) -> (Server, Arc<FakePublisher>, Arc<WebhookPort>) {
    let credentials = |named: &[&str]| {
        let secrets = named.iter().filter_map(|secret| Secret::new(secret.as_bytes())).collect();
        Arc::new(Credentials { authentication: BY_SIGNATURE, secrets })
    };
    let account = |name: &str| name.parse::<Account>().unwrap();
    let known = BTreeMap::from([
        (account("default"), credentials(&[SECRET])),
        (account("shop-1"), credentials(&[SECRET])),
        (account("lost"), credentials(&[])),
    ]);
    let (port, publisher) = port_with(&setup, |_| watch::channel(Accounts { known, incomplete: false }).1);
    (Server::start(Arc::clone(&port), &setup).await, publisher, port)
}

/// A running webhook port whose provider's accounts are configured by this TOML, and followed on change.
pub async fn start_configured(provider: &'static str, base: String) -> Server {
    let (server, _) = start_with(Setup { provider, ..Setup::default() }, |provider| {
        let loaded = load(&Sources { base, ..Sources::default() }, &[provider]).expect("usable");
        let mut reload = Reload::default();
        let live = reload.accounts(provider.id, loaded.config.provider(provider.id));
        tokio::spawn(reload.run());
        live
    })
    .await;
    server
}

/// A running webhook port with these accounts of the test's provider.
pub async fn start_with(
    setup: Setup,
    accounts: impl FnOnce(&'static TestProvider) -> LiveAccounts,
) -> (Server, Arc<FakePublisher>) {
    let (port, publisher) = port_with(&setup, accounts);
    (Server::start(port, &setup).await, publisher)
}

/// The same port, before it runs.
fn port_with(
    setup: &Setup,
    accounts: impl FnOnce(&'static TestProvider) -> LiveAccounts,
) -> (Arc<WebhookPort>, Arc<FakePublisher>) {
    recorder();
    let provider = |name, path| -> &'static TestProvider {
        Box::leak(Box::new(TestProvider { id: ProviderId::new(name), path, answers: setup.answers }))
    };
    let publisher = Arc::new(FakePublisher::new(setup.held));
    let provided = provider(setup.provider, setup.path);
    let accounts = accounts(provided);
    let beside =
        setup.beside.map(|name| Endpoint { provider: provider(name, None), accounts: accounts.clone() });
    let endpoints = std::iter::once(Endpoint { provider: provided, accounts }).chain(beside).collect();
    let limits = SpoolLimits { max_entries: 10, max_bytes: 10_000 };
    let spooling =
        |spool: &Arc<FakeSpool>| (provided.id, Arc::new(Spooling::new(provided.id, spool.clone(), limits)));
    let receiver = Receiver::new(endpoints, publisher.clone(), Arc::clone(&setup.clock))
        .with_spools(setup.spool.iter().map(spooling).collect());
    (WebhookPort::new(receiver, setup.limits, 0.0), publisher)
}

/// Fails instead of hanging.
pub async fn within<F: IntoFuture>(future: F) -> F::Output {
    timeout(DEADLINE, future).await.expect("within the deadline")
}

/// The metrics of this test binary.
pub fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// The value of a series, written as it is exposed.
pub fn metric(series: &str) -> Option<u64> {
    let rendered = recorder().render();
    let line = rendered.lines().find_map(|line| line.strip_prefix(series))?;
    Some(line.trim().parse().unwrap())
}
