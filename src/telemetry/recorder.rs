//! Collects the metrics and writes them as Prometheus reads them. The admin port hosts the text, so the
//! exporter's own listener is off and its upkeep is ours to run.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval};

use super::metrics::{self as table, MetricKind};
use super::{usage, zero};
use crate::domain::provider::{Provider, ProviderId};

/// Between two upkeeps. Samples wait in memory until the next one or the next scrape.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// What a process is, and so which metrics it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Receiver,
    /// Works on one provider's queue.
    Worker(ProviderId),
    /// Writes updates to another system.
    Sink(ProviderId),
    /// Asks providers for what did not come.
    Reconciler,
    Console,
    /// The whole fleet in one process.
    Run,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receiver => f.write_str("receiver"),
            Self::Worker(provider) => write!(f, "worker-{provider}"),
            Self::Sink(sink) => write!(f, "{sink}"),
            Self::Reconciler => f.write_str("reconciler"),
            Self::Console => f.write_str("console"),
            Self::Run => f.write_str("run"),
        }
    }
}

/// The process already sends its metrics elsewhere.
#[derive(Debug, Error)]
#[error("another metrics recorder is installed in this process")]
pub struct ForeignRecorder;

#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Makes this the process's metrics, with everything `role` uses there from the start. Done again, it
    /// adds what that role uses and returns the same metrics.
    ///
    /// # Errors
    /// When the process has a recorder already.
    pub fn install(role: Role, providers: &[&dyn Provider]) -> Result<Self, ForeignRecorder> {
        static INSTALLED: OnceLock<Option<Metrics>> = OnceLock::new();
        let installed = INSTALLED.get_or_init(|| {
            let recorder = recorder();
            let metrics = Self::of(&recorder);
            metrics::set_global_recorder(recorder).ok().map(|()| metrics)
        });
        let installed = installed.clone().ok_or(ForeignRecorder)?;
        prepare(role, providers);
        Ok(installed)
    }

    /// The metrics that `recorder` collects.
    #[must_use]
    pub fn of(recorder: &PrometheusRecorder) -> Self {
        Self(recorder.handle())
    }

    /// The text for `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Does the exporter's housekeeping, until dropped: without it samples pile up while nothing scrapes. Shows what the
    /// process uses as often.
    pub async fn upkeep(self) {
        let mut ticks = interval(UPKEEP_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            usage::show();
            self.0.run_upkeep();
        }
    }
}

/// A recorder with our buckets, installed nowhere.
#[must_use]
pub fn recorder() -> PrometheusRecorder {
    let histograms = table::ALL.iter().filter(|metric| metric.kind == MetricKind::Histogram);
    let builder = histograms.fold(PrometheusBuilder::new(), |builder, metric| {
        let name = Matcher::Full(metric.name.to_owned());
        // Unwrap safety: only an empty list is refused.
        builder.set_buckets_for_metric(name, buckets(metric.name)).expect("buckets")
    });
    builder.build_recorder()
}

/// Tells the current recorder every metric's help, and creates everything `role` uses.
pub fn prepare(role: Role, providers: &[&dyn Provider]) {
    metrics::with_recorder(|recorder| {
        for metric in table::ALL {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, metric.unit, help),
                MetricKind::Gauge => recorder.describe_gauge(name, metric.unit, help),
                MetricKind::Histogram => recorder.describe_histogram(name, metric.unit, help),
            }
        }
    });
    zero::create_all(role, providers);
}

/// The bounds of a histogram's buckets, in seconds. Without any, the exporter would make it a summary, which
/// cannot be added up over a fleet.
fn buckets(name: &str) -> &'static [f64] {
    match name {
        // A round trip to Redis is a fraction of a millisecond; its timeout ends it at half a second.
        table::REDIS_OP_DURATION => {
            &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]
        }
        // From one hop through the broker to the whole retry schedule.
        table::END_TO_END | table::SINK_AGE => &[
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
            7200.0,
        ],
        // The default schedule's own intervals.
        table::RETRY_DELAY => {
            &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2100.0, 4095.0]
        }
        // Also waits for Redis or RabbitMQ to come back.
        table::PROCESS_DURATION => {
            &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0]
        }
        _ => &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    }
}
