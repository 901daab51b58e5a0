//! One process: its logs, metrics and admin port, and the roles in it.

use std::net::SocketAddr;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::backends::Backends;
use super::doctor::Probe;
use super::life::Life;
use super::reload::{self, Reload};
use super::{gaps, gate, refusals, roles};
use crate::adapters::http::admin::AdminPort;
use crate::adapters::http::webhooks::WebhookPort;
use crate::adapters::http::{Handler, HttpLimits, Stopping, server};
use crate::config::{Config, Problem};
use crate::domain::provider::{Provider, ProviderId};
use crate::pipeline::{self, spooling::Spooling, work::Work};
use crate::sinks::{REPORT_PERIOD, Sink};
use crate::telemetry::health::{HEARTBEAT_LIMIT, Heartbeat, Readiness};
use crate::telemetry::logging;
use crate::telemetry::recorder::{Metrics, Role};
use crate::telemetry::traces::Traces;

/// How long the requests of a port of its own may take once it stops.
const PORT_DRAIN: Duration = Duration::from_secs(5);
/// How long the last spans may take to leave.
const FLUSH: Duration = Duration::from_secs(3);
/// Between the longest publish and the end of a drainer's lease, for removing what was published.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// A process being put together.
pub struct Process {
    pub life: Life,
    /// What it reads again while it lives.
    pub reload: Reload,
    operators: TcpListener,
    metrics: Metrics,
    traces: Option<Traces>,
    readiness: Readiness,
    heartbeats: Vec<Arc<Heartbeat>>,
}

impl Process {
    /// Sets up signals, logs, traces and metrics, and takes the admin port.
    ///
    /// # Errors
    /// When one of them cannot be.
    pub async fn start(
        role: Role,
        served: &[&'static dyn Provider],
        config: &Config,
        warnings: &[Problem],
    ) -> anyhow::Result<Self> {
        let life = Life::new().context("cannot listen for signals")?;
        let traces = match &config.tracing.otlp_endpoint {
            Some(endpoint) => {
                let service = format!("milepost-{role}");
                Some(Traces::otlp(endpoint.expose(), &service)?)
            }
            None => None,
        };
        logging::init(config.log.format, &config.log.filter, traces.as_ref())?;
        std::panic::set_hook(Box::new(log_panic));
        let borrowed: Vec<&dyn Provider> = served.iter().map(|&provider| provider as _).collect();
        let metrics = Metrics::install(role, &borrowed)?;
        reload::note();
        for warning in warnings {
            tracing::warn!(%warning, "configuration");
        }
        tracing::info!(role = %role, version = env!("CARGO_PKG_VERSION"), "starting");
        let operators = listen(config.admin.addr, "admin.addr").await?;
        let (readiness, heartbeats, reload) = (Readiness::new(), Vec::new(), Reload::default());
        Ok(Self { life, reload, operators, metrics, traces, readiness, heartbeats })
    }

    /// Adds a receiver. Returns where it listens.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn receiver(
        &mut self,
        backends: &Backends,
        config: &Config,
        served: &[&'static dyn Provider],
    ) -> anyhow::Result<SocketAddr> {
        let listener = listen(config.http.addr, "http.addr").await?;
        let addr = listener.local_addr()?;
        // Once is enough: in an outage it answers in the providers' own words, which a proxy before it cannot.
        let connected_once = {
            let (publisher, connected) = (Arc::clone(&backends.publisher), Arc::new(AtomicBool::new(false)));
            move || {
                connected.load(Ordering::Relaxed) || {
                    let ready = publisher.ready();
                    connected.fetch_or(ready, Ordering::Relaxed) || ready
                }
            }
        };
        self.require("broker", connected_once.clone());
        let limits = config.http.limits.within_open_files();
        let spools = roles::spools(backends, config, served);
        let spooling = if spools.is_empty() { Duration::ZERO } else { config.spool.timeout };
        for spool in spools.values() {
            self.spool(spool, backends, config);
        }
        let receiver = roles::receiver(backends, config, served, &mut self.reload).with_spools(spools);
        let webhooks = WebhookPort::new(receiver, limits, config.tracing.sample_ratio);
        // Every request ends by itself within its own timeouts.
        let storing = config.amqp.confirm_timeout + spooling;
        let drain = limits.header_timeout + limits.body_timeout + storing;
        let stopping = Stopping { delay: config.http.shutdown_delay, drain };
        let noted = Arc::clone(&webhooks);
        let (watched, publisher) = (Arc::clone(&webhooks), Arc::clone(&backends.publisher));
        let serving = server::serve(listener, webhooks, limits, self.life.stopping.clone(), stopping);
        self.life.role("receiver", serving);
        let heartbeat = self.heartbeat("receiver");
        // It beats until the last webhook is answered: stopping may take longer than a heartbeat may be missing.
        let closing = self.life.closing.clone();
        self.life.plumbing("receiver heartbeat", async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            while closing.run_until_cancelled(tick.tick()).await.is_some() {
                heartbeat.beat();
                if connected_once() {
                    watched.broker(publisher.ready());
                }
            }
        });
        let (gaps, closing) = (Arc::clone(&backends.gaps), self.life.closing.clone());
        let (clock, port) = (Arc::clone(&backends.clock), noted);
        let horizons: Vec<_> = served
            .iter()
            .map(|provider| (provider.id(), config.provider(provider.id()).resend_horizon))
            .collect();
        self.life.plumbing("gaps", async move {
            gaps::note(&port, gaps.as_ref(), clock.as_ref(), &horizons, &closing).await;
        });
        tracing::info!(%addr, "listening for webhooks");
        Ok(addr)
    }

    /// Watches a spool, and drains it.
    fn spool(&mut self, spool: &Arc<Spooling>, backends: &Backends, config: &Config) {
        let watched = Arc::clone(spool);
        self.life.background("spool metrics", async move { watched.watch().await });
        let (drained, publisher) = (Arc::clone(spool), Arc::clone(&backends.publisher));
        let lease = config.amqp.confirm_timeout + LEASE_MARGIN;
        let stopping = self.life.stopping.clone();
        self.life.role("drainer", async move { drained.drain(publisher.as_ref(), lease, stopping).await });
    }

    pub fn workers(&mut self, backends: &Backends, config: &Config, served: &[&'static dyn Provider]) {
        for &provider in served {
            let processor = roles::processor(backends, config, provider);
            self.worker(backends, config, processor, config.worker.prefetch);
            let census = roles::census(backends, config, provider);
            self.life.background("open deliveries", async move { census.run().await });
        }
        let publisher = Arc::clone(&backends.publisher);
        self.require("broker", move || publisher.ready());
        let readiness = std::mem::take(&mut self.readiness);
        self.readiness = readiness.notes("a subscriber refuses updates", pipeline::refusals::lately);
    }

    /// Adds the worker of one queue: the process is ready while it has a subscription.
    fn worker<W: Work + 'static>(&mut self, backends: &Backends, config: &Config, work: W, prefetch: u16) {
        let name = work.queue().as_str();
        let subscribed = Arc::new(AtomicBool::new(false));
        let condition = Arc::clone(&subscribed);
        self.require(name, move || condition.load(Ordering::Relaxed));
        let heartbeat = self.heartbeat(name);
        let worker = roles::worker(backends, config, work, prefetch, heartbeat, subscribed);
        let stopping = self.life.stopping.clone();
        self.life.role(name, async move { worker.run(stopping).await });
    }

    /// Names in the log the queues that refuse updates, where the management API can be asked.
    ///
    /// # Errors
    /// When a URL cannot be used.
    pub fn name_refusals(
        &mut self,
        config: &Config,
        role: Role,
        providers: &[ProviderId],
    ) -> anyhow::Result<()> {
        if config.amqp.management_url.is_some() {
            let probe = Probe::new(config, role, providers)?;
            self.life.once("refusals", refusals::name(probe));
        }
        Ok(())
    }

    /// Adds the workers of the configured sinks.
    ///
    /// # Errors
    /// When one of them cannot be set up.
    pub fn sinks(&mut self, backends: &Backends, config: &Config) -> anyhow::Result<()> {
        if !config.hubrise_sink.is_used() {
            return Ok(());
        }
        for sink in roles::hubrise_sink(backends, config, &mut self.reload)? {
            let reported = Arc::clone(&sink);
            self.life.background("sink metrics", async move { report(reported.as_ref()).await });
            let processor = roles::sink_processor(backends, config, sink);
            self.worker(backends, config, processor, config.hubrise_sink.prefetch);
        }
        let publisher = Arc::clone(&backends.publisher);
        self.require("broker", move || publisher.ready());
        Ok(())
    }

    /// Adds the reconciler of the configured providers. It is ready while it can publish, whether or not it is the active
    /// one.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn reconciler(
        &mut self,
        backends: &Backends,
        config: &Config,
        served: &[&'static dyn Provider],
    ) -> anyhow::Result<()> {
        if config.recovery.sources.is_empty() {
            return Ok(());
        }
        let reconciler = roles::reconciler(backends, config, served, &mut self.reload)?;
        let heartbeat = self.heartbeat("reconciler");
        let stopping = self.life.stopping.clone();
        self.life.role("reconciler", reconciler.run(stopping, move || heartbeat.beat()));
        let publisher = Arc::clone(&backends.publisher);
        self.require("broker", move || publisher.ready());
        Ok(())
    }

    /// Is not ready until the doctor has found nothing that fails.
    ///
    /// # Errors
    /// When a URL cannot be used.
    pub fn gate(&mut self, config: &Config, role: Role, providers: &[ProviderId]) -> anyhow::Result<()> {
        let probe = Probe::new(config, role, providers)?;
        let open = Arc::new(AtomicBool::new(false));
        let condition = Arc::clone(&open);
        self.require("topology", move || condition.load(Ordering::Relaxed));
        self.life.once("topology gate", async move { gate::hold(probe, &open).await });
        Ok(())
    }

    /// Where operators ask.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn admin_addr(&self) -> std::io::Result<SocketAddr> {
        self.operators.local_addr()
    }

    /// Answers operators and lives until told to stop. Returns whether it ended as it should.
    ///
    /// # Errors
    /// When the system does not say where the admin port is.
    pub async fn run(mut self, config: &Config) -> anyhow::Result<bool> {
        tracing::info!(addr = %self.admin_addr()?, "listening for operators");
        let readiness = Arc::new(self.readiness);
        let rendering = self.metrics.clone();
        let admin = AdminPort::new(move || rendering.render(), Arc::clone(&readiness), self.heartbeats);
        let (closing, limits) = (self.life.closing.clone(), config.http.limits.within_open_files());
        let stopping = Stopping { delay: Duration::ZERO, drain: Duration::from_secs(1) };
        self.life.plumbing("admin", server::serve(self.operators, admin, limits, closing, stopping));
        self.life.background("metrics", self.metrics.upkeep());
        let reload = self.reload;
        self.life.background("secrets", async move { reload.run().await });
        let ended = self.life.run(readiness).await;
        if let Some(traces) = self.traces {
            traces.shutdown(FLUSH).await;
        }
        Ok(ended)
    }

    fn require(&mut self, name: &'static str, holds: impl Fn() -> bool + Send + Sync + 'static) {
        let readiness = std::mem::take(&mut self.readiness);
        self.readiness = readiness.requires(name, holds);
    }

    /// Adds a port of its own: it stops with the roles. Returns where it listens.
    ///
    /// # Errors
    /// When it cannot listen there; `key` is the configuration's for the address.
    pub async fn port<H: Handler>(
        &mut self,
        (addr, key): (SocketAddr, &str),
        limits: HttpLimits,
        handler: Arc<H>,
    ) -> anyhow::Result<SocketAddr> {
        let listener = listen(addr, key).await?;
        let addr = listener.local_addr()?;
        let stopping = Stopping { delay: Duration::ZERO, drain: PORT_DRAIN };
        let serving = server::serve(listener, handler, limits, self.life.stopping.clone(), stopping);
        self.life.role("port", serving);
        Ok(addr)
    }

    /// Adds a heartbeat of the process's own: it stops when something blocks every task.
    pub fn beats(&mut self, name: &'static str) {
        let (heartbeat, closing) = (self.heartbeat(name), self.life.closing.clone());
        self.life.plumbing(name, async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            while closing.run_until_cancelled(tick.tick()).await.is_some() {
                heartbeat.beat();
            }
        });
    }

    fn heartbeat(&mut self, name: &'static str) -> Arc<Heartbeat> {
        let heartbeat = Arc::new(Heartbeat::new(name, HEARTBEAT_LIMIT));
        self.heartbeats.push(Arc::clone(&heartbeat));
        heartbeat
    }
}

async fn listen(addr: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr} ({key})"))
}

/// Keeps the gauges of what a sink's replicas share up to date. While Redis is away they say what they said last.
async fn report(sink: &dyn Sink) {
    let mut tick = tokio::time::interval(REPORT_PERIOD);
    loop {
        tick.tick().await;
        let _away = sink.report().await;
    }
}

/// Says where a panic was, and never its message: that may quote a webhook (invariant 9).
fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    tracing::error!(place, "panic");
}
