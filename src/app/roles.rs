//! The roles: a receiver, a worker of one provider, and the workers of a sink; each from the backends and the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::backends::Backends;
use super::reload::Reload;
use crate::adapters::hubrise::{self, HubriseClient};
use crate::adapters::provider_api::{self, ProviderClient};
use crate::config::{self, Config, HubriseSink, Recovery};
use crate::domain::identity::Account;
use crate::domain::order::StatusOrder;
use crate::domain::provider::{Provider, ProviderId};
use crate::pipeline::census::Census;
use crate::pipeline::lease::Lease;
use crate::pipeline::message::{ProcessSettings, Processor};
use crate::pipeline::parking::Parker;
use crate::pipeline::receive::{Endpoint, Receiver};
use crate::pipeline::reconciler::{Reconciler, ReconcilerPorts, ReconcilerSettings, Source};
use crate::pipeline::sink::SinkProcessor;
use crate::pipeline::spooling::Spooling;
use crate::pipeline::trials::Trials;
use crate::pipeline::work::Work;
use crate::pipeline::worker::{Worker, WorkerSettings};
use crate::ports::chance;
use crate::sinks::Sink;
use crate::sinks::hubrise::Hubrise;
use crate::sinks::hubrise::announced::Announced;
use crate::telemetry::health::Heartbeat;
use crate::telemetry::metrics::{INFLIGHT_LIMIT, PARKED_LIMIT_BYTES};

/// Which reconciler is the active one.
const RECONCILER_LEASE: &str = "mp:reconciler";

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

/// The second store of each of these providers that has one.
#[must_use]
pub fn spools(
    backends: &Backends,
    config: &Config,
    providers: &[&'static dyn Provider],
) -> BTreeMap<ProviderId, Arc<Spooling>> {
    let spooling = |provider: &&'static dyn Provider| {
        let id = provider.id();
        let spool = Arc::clone(backends.spools.get(&id)?);
        Some((id, Arc::new(Spooling::new(id, spool, config.spool.limits))))
    };
    providers.iter().filter_map(spooling).collect()
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
    metrics::gauge!(PARKED_LIMIT_BYTES, "provider" => name)
        .set(config.topology.settings.parked_max_bytes as f64);
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

/// What asks the configured providers.
///
/// # Errors
/// When TLS cannot be set up.
pub fn reconciler(
    backends: &Backends,
    config: &Config,
    served: &[&'static dyn Provider],
    reload: &mut Reload,
) -> anyhow::Result<Reconciler> {
    let Recovery { look_every, after_gap, lease, request_timeout, ref sources } = config.recovery;
    let (mut asked, mut remotes) = (Vec::new(), BTreeMap::new());
    for &provider in served {
        let id = provider.id();
        let Some((pull, settings)) = provider.pull().zip(sources.get(&id)) else { continue };
        let source = |account: &Account| Source {
            provider: id,
            pull,
            path: settings.path.clone(),
            timeline_path: settings.timeline_path.clone(),
            account: account.clone(),
            usual: config.provider(id).usual_silence,
            schedule: config.provider(id).retry.clone(),
            per_minute: settings.per_minute,
            most_deliveries: usize::try_from(config.open.max_deliveries).unwrap_or(usize::MAX),
        };
        asked.extend(settings.accounts.keys().map(source));
        let credential = |(account, remote): (&Account, &config::RemoteConfig)| {
            let name = format!("recovery.providers.{id}.accounts.{account}");
            (account.clone(), reload.token(name, remote))
        };
        let credentials = settings.accounts.iter().map(credential).collect();
        remotes.insert(id, provider_api::ProviderRemote { base: settings.base.clone(), credentials });
    }
    let api = ProviderClient::new(remotes, request_timeout).map_err(anyhow::Error::msg)?;
    let holder = format!("{:016x}", chance::random::<u64>());
    Ok(Reconciler {
        ports: ReconcilerPorts {
            open: Arc::clone(&backends.open),
            gaps: Arc::clone(&backends.gaps),
            api: Arc::new(api),
            publisher: Arc::clone(&backends.publisher),
            clock: Arc::clone(&backends.clock),
        },
        lease: Lease::new(Arc::clone(&backends.cells), RECONCILER_LEASE, holder, lease),
        sources: asked,
        settings: ReconcilerSettings { look_every, after_gap, gaps_count_for: config.open.max_age },
    })
}

/// What counts a provider's open deliveries.
#[must_use]
pub fn census(backends: &Backends, config: &Config, provider: &'static dyn Provider) -> Census {
    Census {
        provider: provider.id(),
        usual: config.provider(provider.id()).usual_silence,
        max_age: config.open.max_age,
        max_deliveries: config.open.max_deliveries,
        open: Arc::clone(&backends.open),
        clock: Arc::clone(&backends.clock),
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
    let live = |(name, remote): (&String, &config::RemoteConfig)| {
        let token = reload.token(format!("sinks.hubrise.connections.{name}"), remote);
        (name.clone(), hubrise::HubriseRemote { base: remote.base.clone(), token })
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
