//! Asks providers for deliveries that are silent, and after a gap for the events that they could not hand over; and puts the
//! answers into the intake as webhooks.
//!
//! It remembers nothing that has to survive: whom to ask is read from the ledger's index and from the gaps, and an answer
//! counts once a worker has processed it. A crash at any step asks again, and what is put in twice is one event for the
//! worker: nothing is lost, and subscribers get no more than a repeat.

mod account;
mod asking;
mod missed_events;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::account::AskedAccount;
pub use self::account::Source;
use super::lease::Lease;
use crate::ports::{Clock, Gaps, OpenDeliveries, ProviderApi, Publisher};
use crate::telemetry::metrics as m;

#[derive(Debug, Clone)]
pub struct ReconcilerSettings {
    /// Between two looks at what is silent.
    pub look_every: Duration,
    /// How long after a gap's end its deliveries are asked for: the provider may send again what was refused.
    pub after_gap: Duration,
    /// How far back gaps count.
    pub gaps_count_for: Duration,
}

/// What the reconciler works on.
#[derive(Clone)]
pub struct ReconcilerPorts {
    pub open: Arc<dyn OpenDeliveries>,
    /// When webhooks may have been missed.
    pub gaps: Arc<dyn Gaps>,
    pub api: Arc<dyn ProviderApi>,
    pub publisher: Arc<dyn Publisher>,
    pub clock: Arc<dyn Clock>,
}

/// Asks, as long as it has the lease.
pub struct Reconciler {
    pub ports: ReconcilerPorts,
    /// So that one replica is active.
    pub lease: Lease,
    pub sources: Vec<Source>,
    pub settings: ReconcilerSettings,
}

impl Reconciler {
    /// Asks until `stopping`. What is under way then is dropped: another replica asks again. `beat` is called as long as
    /// it is alive.
    pub async fn run(self, stopping: CancellationToken, beat: impl Fn() + Send) {
        let Self { ports, lease, sources, settings } = self;
        let (held, holding) = watch::channel(None);
        let mut accounts = JoinSet::new();
        for source in sources {
            let account = AskedAccount::new(source, ports.clone(), settings.clone(), holding.clone());
            accounts.spawn(account.run());
        }
        let keeping = keep(&lease, &held, beat);
        stopping.run_until_cancelled(keeping).await;
        accounts.shutdown().await;
        lease.release().await;
        metrics::gauge!(m::RECONCILER_ACTIVE).set(0.0);
    }
}

/// Keeps the lease for ever, and says until when it is ours.
async fn keep(lease: &Lease, held: &watch::Sender<Option<Instant>>, beat: impl Fn()) {
    let mut tick = tokio::time::interval(lease.renew_every());
    loop {
        tick.tick().await;
        beat();
        // While the store is away, what was said last holds until it runs out.
        if let Ok(until) = lease.renew().await {
            let was_active = held.send_replace(until).is_some();
            match (was_active, until.is_some()) {
                (false, true) => tracing::info!("reconciler: active"),
                (true, false) => tracing::info!("reconciler: another replica is active"),
                _ => {}
            }
        }
        let active = held.borrow().is_some_and(|until| Instant::now() < until);
        metrics::gauge!(m::RECONCILER_ACTIVE).set(if active { 1.0 } else { 0.0 });
    }
}
