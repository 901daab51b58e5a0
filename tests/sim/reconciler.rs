//! The reconciler in the fleet: its parts, and its ports but for the provider's API.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use milepost::domain::gap::{ContentDigest, Gap, RefusedContent, Witness};
use milepost::domain::identity::{Account, DeliveryKey};
use milepost::domain::provider::{Provider, ProviderId};
use milepost::domain::retry::RetrySchedule;
use milepost::domain::silence::{Cutoffs, OPEN_PHASES, UsualSilence};
use milepost::pipeline::lease::Lease;
use milepost::pipeline::reconciler::{Reconciler, ReconcilerPorts, ReconcilerSettings, Source};
use milepost::ports::{Clock as _, Gaps, LedgerError, OpenCount, OpenDeliveries, OpenDelivery, chance};
use tokio::time::sleep;

use crate::api::TIMELINE_PATH;
use crate::plan::{Plan, RecoveryPlan};
use crate::ports::{Ports, away};
use crate::process::Process;
use crate::world::World;

/// Between two tries to note a gap, as receivers make them.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// The longest wait after a failed request.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// One replica.
pub fn reconciler(ports: &Ports, plan: &Plan, recovery: &RecoveryPlan) -> Option<Reconciler> {
    let provider = plan.providers.iter().find(|provider| provider.id() == recovery.asked)?;
    let pull = provider.pull()?;
    let usual = |usual: UsualSilence, phase| usual.with(phase, recovery.silent_after);
    let source = Source {
        provider: provider.id(),
        pull,
        path: pull.path().to_owned(),
        timeline_path: recovery.timeline.then(|| TIMELINE_PATH.to_owned()),
        account: Account::default_account(),
        usual: OPEN_PHASES.into_iter().fold(UsualSilence::IN_A_CITY, usual),
        schedule: RetrySchedule::try_new(Duration::from_secs(1), 2.0, LONGEST_PAUSE, 0.2)
            .expect("a schedule"),
        per_minute: recovery.per_minute,
        most_deliveries: 100,
    };
    Some(Reconciler {
        ports: ReconcilerPorts {
            open: Arc::new(ports.clone()),
            gaps: Arc::new(ports.clone()),
            api: Arc::new(ports.clone()),
            publisher: Arc::new(ports.clone()),
            clock: Arc::new(ports.clone()),
        },
        lease: Lease::new(
            Arc::new(ports.clone()),
            "mp:reconciler",
            format!("{:016x}", chance::random::<u64>()),
            recovery.lease,
        ),
        // One: of two that wait for the lease, chance says which goes on first, and not the seed's.
        sources: vec![source],
        settings: ReconcilerSettings {
            look_every: recovery.look_every,
            after_gap: recovery.after_gap,
            gaps_count_for: Duration::from_hours(1),
        },
    })
}

#[async_trait]
impl OpenDeliveries for Ports {
    async fn accounts(&self, provider: ProviderId) -> Result<Vec<Account>, LedgerError> {
        let accounts = move |world: &World, _: &Process| {
            let of = world.redis.open(provider).into_iter().map(|open| open.delivery.account);
            of.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
        };
        self.asked(accounts).await.map_err(away)
    }

    /// What the workers' census asks, which does not run here.
    async fn count(&self, _: ProviderId, _: &Account, _: &Cutoffs) -> Result<Vec<OpenCount>, LedgerError> {
        Ok(Vec::new())
    }

    async fn silent(
        &self,
        provider: ProviderId,
        _: &Account,
        cutoffs: &Cutoffs,
        most: usize,
    ) -> Result<Vec<OpenDelivery>, LedgerError> {
        let cutoffs = *cutoffs;
        let silent = move |world: &World, _: &Process| {
            let open = world.redis.open(provider).into_iter();
            open.filter(|open| cutoffs.include(open.phase, open.updated_at)).take(most).collect()
        };
        self.asked(silent).await.map_err(away)
    }

    async fn forget(&self, _: &DeliveryKey) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn trim(&self, _: ProviderId, _: &Account, _: Timestamp, _: u64) -> Result<(), LedgerError> {
        Ok(())
    }
}

#[async_trait]
impl Gaps for Ports {
    async fn note(&self, provider: ProviderId, name: &str, gap: &Gap) -> Result<(), LedgerError> {
        let (name, gap) = (name.to_owned(), gap.clone());
        let note = move |world: &World, process: &Process| {
            world.book().trace.note(None, || format!("p{} notes a gap of {provider}: {gap}", process.id));
            world.redis.note_gap(provider, &name, &gap);
        };
        self.asked(note).await.map_err(away)
    }

    async fn since(&self, provider: ProviderId, since: Timestamp) -> Result<Vec<Gap>, LedgerError> {
        self.asked(move |world, _| world.redis.gaps_since(provider, since)).await.map_err(away)
    }

    /// Which webhooks came again is for the account of an outage, which is not looked at here.
    async fn refused(&self, _: ProviderId, _: &[(ContentDigest, Timestamp)]) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn accepted(&self, _: ProviderId, _: &[(ContentDigest, Timestamp)]) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn contents(&self, _: ProviderId, _: Timestamp) -> Result<Vec<RefusedContent>, LedgerError> {
        Ok(Vec::new())
    }

    async fn alive(&self, _: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        Ok(None)
    }
}

/// A receiver refused a webhook, through no fault of its sender's: it notes that until it is noted, as `app/gaps.rs` does.
pub fn refused(world: &Arc<World>, process: &Arc<Process>, provider: &dyn Provider) {
    if world.plan.recovery.is_none() {
        return;
    }
    let ports = Ports { world: Arc::clone(world), process: Arc::clone(process) };
    let (provider, at) = (provider.id(), ports.now());
    let gap = Gap { witness: Witness::Receiver, account: None, from: at, until: at, refused: 1 };
    let name = format!("{}-{}", process.id, at.as_microsecond());
    let noting = tokio::spawn(async move {
        for _ in 0..20 {
            sleep(NOTE_EVERY).await;
            if ports.note(provider, &name, &gap).await.is_ok() {
                return;
            }
        }
    });
    process.owns(noting.abort_handle());
}

/// The operator says that webhooks may have been missed.
pub async fn recover(ports: &Ports, since: Duration) {
    let Some(recovery) = &ports.world.plan.recovery else { return };
    let until = ports.now();
    let from = until.checked_sub(since).unwrap_or_default();
    let gap = Gap { witness: Witness::Operator, account: None, from, until, refused: 0 };
    let _may_be_run_again =
        ports.note(recovery.asked, &format!("operator-{}", until.as_microsecond()), &gap).await;
}
