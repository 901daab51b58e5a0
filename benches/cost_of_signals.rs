//! What metrics and traces cost: the CPU time of one webhook from its HTTP request to its published update, with and
//! without them. Everything is in one process and one thread, RabbitMQ and Redis are in memory, and logs are at `info`,
//! so that little else is measured. `cargo run --release --example cost_of_signals` runs each mode some times in a process
//! of its own, in turns, and prints the least of each.
#![allow(clippy::disallowed_methods)] // It is no part of Milepost, and has no configuration.

use std::future::ready;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use milepost::adapters::http::webhooks::WebhookPort;
use milepost::adapters::http::{Stopping, server};
use milepost::app::backends::Backends;
use milepost::app::reload::Reload;
use milepost::app::roles;
use milepost::config::Sources;
use milepost::domain::authentication::AuthScheme;
use milepost::domain::samples::{SampleSource as _, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::TELYPORT;
use milepost::telemetry::health::{HEARTBEAT_LIMIT, Heartbeat};
use milepost::telemetry::logging::{self, LogFormat};
use milepost::telemetry::recorder::{Metrics, Role};
use milepost::telemetry::traces::Traces;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const MODES: [&str; 4] = ["nothing", "metrics", "metrics and unsampled traces", "metrics and sampled traces"];
const ROUNDS: usize = 5;
const WARM_UP: usize = 2_000;
const EVENTS: usize = 40_000;
const SECRET: &str = "a secret";
const MINUTE: Duration = Duration::from_secs(60);

fn main() {
    match std::env::args().nth(1) {
        Some(mode) => println!("{}", measure(&mode)),
        None => compare(),
    }
}

fn compare() {
    let mut least = [f64::INFINITY; MODES.len()];
    for _ in 0..ROUNDS {
        for (mode, least) in MODES.iter().zip(&mut least) {
            let this = std::env::current_exe().expect("it runs");
            let output = Command::new(this).arg(mode).output().expect("it runs again");
            let text = String::from_utf8_lossy(&output.stdout);
            *least = least.min(text.trim().parse().expect("a number"));
        }
    }
    for (mode, least) in MODES.iter().zip(least) {
        println!("{mode:30} {least:6.1} us of CPU per event");
    }
}

/// Microseconds of CPU per event.
fn measure(mode: &str) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let sample_ratio = if mode == "metrics and sampled traces" { 1.0 } else { 0.0 };
        let traces = mode.ends_with("traces").then(|| Traces::with_exporter(Nowhere, "bench"));
        logging::init(LogFormat::Json, "info", traces.as_ref()).expect("the first");
        if mode != "nothing" {
            let metrics = Metrics::install(Role::Run, &[&TELYPORT]).expect("the first");
            tokio::spawn(metrics.upkeep());
        }
        let mut fleet = Fleet::start(sample_ratio).await;
        fleet.deliver(0..WARM_UP).await;
        let before = cpu_time();
        fleet.deliver(WARM_UP..WARM_UP + EVENTS).await;
        #[allow(clippy::cast_precision_loss)] // Thousands.
        let events = EVENTS as f64;
        (cpu_time() - before).as_secs_f64() * 1e6 / events
    })
}

/// What the process has used so far, to the kernel's hundredth of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("the name is in brackets");
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// A receiver, a worker, and a provider that calls.
struct Fleet {
    provider: TcpStream,
    updates: tokio::sync::broadcast::Receiver<milepost::domain::event::UpdateEvent>,
}

impl Fleet {
    async fn start(sample_ratio: f64) -> Self {
        let accounts = format!("[providers.telyport.accounts.default]\nsecrets = [\"{SECRET}\"]\n");
        let sources = Sources { base: accounts, ..Sources::default() };
        let config = milepost::config::load(&sources, milepost::providers::ALL).expect("it is valid").config;
        let (backends, broker) = Backends::memory(&config);
        let beat = Arc::new(Heartbeat::new("worker", HEARTBEAT_LIMIT));
        let (processor, prefetch) = (roles::processor(&backends, &config, &TELYPORT), config.worker.prefetch);
        let subscribed = Arc::new(AtomicBool::new(false));
        let worker = roles::worker(&backends, &config, processor, prefetch, beat, subscribed);
        tokio::spawn(async move { worker.run(CancellationToken::new()).await });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let limits = config.http.limits.within_open_files();
        let receiver = roles::receiver(&backends, &config, &[&TELYPORT], &mut Reload::default());
        let webhooks = WebhookPort::new(receiver, limits, sample_ratio);
        let stopping = Stopping { delay: Duration::ZERO, drain: MINUTE };
        tokio::spawn(server::serve(listener, webhooks, limits, CancellationToken::new(), stopping));
        Self { provider: TcpStream::connect(address).await.expect("it listens"), updates: broker.updates() }
    }

    /// Sends a webhook for each number, one after the other, and waits until all their updates are published.
    async fn deliver(&mut self, numbers: std::ops::Range<usize>) {
        let mut answer = [0; 1024];
        for number in numbers.clone() {
            self.provider.write_all(&request(number)).await.expect("connected");
            let length = self.provider.read(&mut answer).await.expect("connected");
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "it is accepted");
        }
        for _ in numbers {
            self.updates.recv().await.expect("an update");
        }
    }
}

/// A delivery of its own for each number.
fn request(number: usize) -> Vec<u8> {
    let body = format!(
        r#"{{"timestamp":1739365639201,"event":"ORDER.STATUS_UPDATED","webhookEventID":"e{number}","data":{{"orderID":"d{number}","status":"STARTED","updatedAt":1739365639201}}}}"#
    );
    let secret = Secret::new(SECRET.as_bytes()).expect("not empty");
    let signing = Signing { scheme: AuthScheme::Hmac, header: None, secret: &secret };
    let signed = TELYPORT.sign(body.into(), &signing);
    let headers = signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = headers.collect::<String>();
    let length = signed.body.len();
    let head =
        format!("POST /webhooks/telyport HTTP/1.1\r\nhost: m\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), &signed.body].concat()
}

/// Takes spans and forgets them.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    fn export(&self, _: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        ready(Ok(()))
    }
}
