//! The roles: a receiver, a worker of one provider, and the workers of a sink; each from the backends and the configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::backends::Backends;
use super::reload::Reload;
use crate::adapters::hubrise::{self, HubriseClient};
use crate::config::{self, Config, HubriseSink};
use crate::domain::order::StatusOrder;
use crate::domain::provider::Provider;
use crate::pipeline::message::{ProcessSettings, Processor};
use crate::pipeline::parking::Parker;
use crate::pipeline::receive::{Endpoint, Receiver};
use crate::pipeline::sink::SinkProcessor;
use crate::pipeline::trials::Trials;
use crate::pipeline::work::Work;
use crate::pipeline::worker::{Worker, WorkerSettings};
use crate::sinks::Sink;
use crate::sinks::hubrise::Hubrise;
use crate::sinks::hubrise::announced::Announced;
use crate::telemetry::health::Heartbeat;
use crate::telemetry::metrics::{INFLIGHT_LIMIT, PARKED_LIMIT_BYTES};

/// A receiver of these providers' webhooks, whose secrets `reload` keeps.
#[must_use]
pub fn receiver(
    backends: &Backends,
    config: &Config,
    providers: &[&'static dyn Provider],
    reload: &mut Reload,
) -> Receiver {
    let mut endpoint = |&provider: &&'static dyn Provider| {
        let accounts = reload.accounts(provider.id(), config.provider(provider.id()));
        Endpoint { provider, accounts }
    };
    let endpoints = providers.iter().map(&mut endpoint).collect();
    Receiver::new(endpoints, Arc::clone(&backends.publisher), Arc::clone(&backends.clock))
}

/// A worker that does `work`, and has at most `prefetch` messages of its queue in hand. `subscribed` is kept true while it
/// has a subscription.
#[must_use]
pub fn worker<W: Work>(
    backends: &Backends,
    config: &Config,
    work: W,
    prefetch: u16,
    heartbeat: Arc<Heartbeat>,
    subscribed: Arc<AtomicBool>,
) -> Worker<W> {
    let name = work.queue().as_str();
    metrics::gauge!(INFLIGHT_LIMIT, "provider" => name).set(f64::from(prefetch));
    #[allow(clippy::cast_precision_loss)] // Of 8 PiB and more.
    metrics::gauge!(PARKED_LIMIT_BYTES, "provider" => name).set(config.topology.parked_max_bytes as f64);
    Worker {
        inbox: Arc::clone(&backends.inbox),
        processor: work,
        trials: Trials::new(Arc::clone(&backends.cells)),
        settings: WorkerSettings {
            prefetch,
            drain_deadline: config.worker.drain_deadline,
            outage_patience: config.worker.outage_patience,
        },
        heartbeat: Arc::new(move || heartbeat.beat()),
        subscribed: Arc::new(move |yes| subscribed.store(yes, Ordering::Relaxed)),
    }
}

/// What is done with a provider's webhooks.
#[must_use]
pub fn processor(backends: &Backends, config: &Config, provider: &'static dyn Provider) -> Processor {
    let settings = config.provider(provider.id());
    Processor {
        provider,
        publisher: Arc::clone(&backends.publisher),
        ledger: Arc::clone(&backends.ledger),
        clock: Arc::clone(&backends.clock),
        settings: ProcessSettings {
            processing_deadline: config.worker.processing_deadline,
            lease: config.worker.claim_lease,
            ttl: settings.dedup_ttl,
            resend_horizon: settings.resend_horizon,
            schedule: settings.retry.clone(),
        },
        status_order: StatusOrder::new(provider.transitions()),
        parker: Parker::default(),
    }
}

/// The HubRise sink: what takes its updates, and what takes the links that services announce.
///
/// # Errors
/// When TLS cannot be set up.
pub fn hubrise_sink(
    backends: &Backends,
    config: &Config,
    reload: &mut Reload,
) -> anyhow::Result<Vec<Arc<dyn Sink>>> {
    let HubriseSink { settings, remotes, request_timeout, .. } = &config.hubrise_sink;
    let live = |(name, remote): (&String, &config::Remote)| {
        let token = reload.token(format!("sinks.hubrise.connections.{name}"), remote);
        (name.clone(), hubrise::Remote { base: remote.base.clone(), token })
    };
    let remotes = remotes.iter().map(live).collect();
    let client = HubriseClient::new(remotes, *request_timeout).map_err(anyhow::Error::msg)?;
    let cells = &backends.cells;
    Ok(vec![
        Arc::new(Hubrise::new(settings.clone(), Arc::clone(cells), Arc::new(client))),
        Arc::new(Announced::new(settings.clone(), Arc::clone(cells))),
    ])
}

/// What is done with a sink's updates.
#[must_use]
pub fn sink_processor(backends: &Backends, config: &Config, sink: Arc<dyn Sink>) -> SinkProcessor {
    SinkProcessor {
        sink,
        publisher: Arc::clone(&backends.publisher),
        store: Arc::clone(&backends.cells),
        clock: Arc::clone(&backends.clock),
        schedule: config.hubrise_sink.retry.clone(),
        parker: Parker::default(),
    }
}
