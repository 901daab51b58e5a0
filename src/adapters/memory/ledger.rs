//! The ledger in memory: a record for each delivery, forgotten some time after its last claim.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use crate::domain::delivery_record::DeliveryRecord;
use crate::domain::identity::{Account, DeliveryKey};
use crate::domain::provider::ProviderId;
use crate::domain::silence::{Cutoffs, OPEN_PHASES};
use crate::domain::state::DeliveryState;
use crate::domain::status::Phase;
use crate::ports::{Clock, Ledger, LedgerError, OpenCount, OpenDeliveries, OpenDelivery, TRIMMED_AT_ONCE};

/// Expired records are swept out each time this many steps were done.
const SWEEP_EVERY: u64 = 4096;

#[derive(Default)]
struct Deliveries {
    records: HashMap<DeliveryKey, Expiring>,
    /// Those that are not closed, and where the last update left each.
    open: HashMap<DeliveryKey, OpenDelivery>,
    steps: u64,
}

struct Expiring {
    record: DeliveryRecord,
    expires_at: Timestamp,
}

pub struct MemoryLedger {
    clock: Arc<dyn Clock>,
    deliveries: Mutex<Deliveries>,
}

impl MemoryLedger {
    /// An empty ledger whose leases are on `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, deliveries: Mutex::default() }
    }

    fn deliveries(&self, now: Timestamp) -> MutexGuard<'_, Deliveries> {
        // Each step leaves the records whole, so one that panicked elsewhere does no harm.
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        deliveries.steps += 1;
        if deliveries.steps.is_multiple_of(SWEEP_EVERY) {
            deliveries.records.retain(|_, kept| kept.expires_at > now);
        }
        deliveries
    }
}

impl Deliveries {
    fn index_open(&mut self, event: &EventRef, after: &DeliveryState) {
        let phase = after.status().phase();
        if after.is_terminal() || phase == Phase::Closed {
            self.open.remove(&event.delivery);
            return;
        }
        let (delivery, address) = (event.delivery.clone(), event.address.clone());
        let updated_at = after.moment().received_at;
        self.open.insert(delivery.clone(), OpenDelivery { delivery, address, phase, updated_at });
    }

    /// Those of an account, the longest silent first, and those of one moment by their ids, as a sorted set has them.
    fn open(&self, provider: ProviderId, account: &Account) -> Vec<OpenDelivery> {
        let is_own = |key: &DeliveryKey| key.provider == provider && key.account == *account;
        let mut open: Vec<_> = self.open.values().filter(|open| is_own(&open.delivery)).cloned().collect();
        open.sort_by(|one, other| {
            (one.updated_at, &one.delivery.delivery_id).cmp(&(other.updated_at, &other.delivery.delivery_id))
        });
        open
    }

    /// The live record of `delivery`, an empty one if there is none.
    fn record(&mut self, delivery: &DeliveryKey, fresh: Timestamp, now: Timestamp) -> &mut Expiring {
        let empty = || Expiring { record: DeliveryRecord::default(), expires_at: fresh };
        let kept = self.records.entry(delivery.clone()).or_insert_with(empty);
        if kept.expires_at <= now {
            *kept = empty();
        }
        kept
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError> {
        let now = self.clock.now();
        let mut deliveries = self.deliveries(now);
        let kept = deliveries.record(&request.delivery, now + request.ttl, now);
        let claim = kept.record.claim(request, now);
        if let Claim::Granted(_) = claim {
            kept.expires_at = now + request.ttl;
        }
        Ok(claim)
    }

    async fn mark(&self, event: &EventRef, mark: Mark) -> Result<bool, LedgerError> {
        let now = self.clock.now();
        let mut deliveries = self.deliveries(now);
        if let Mark::Published(Some(after)) = mark {
            deliveries.index_open(event, &after);
        }
        Ok(deliveries.record(&event.delivery, now + event.ttl, now).record.mark(event, mark))
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}

#[async_trait]
impl OpenDeliveries for MemoryLedger {
    async fn accounts(&self, provider: ProviderId) -> Result<Vec<Account>, LedgerError> {
        let deliveries = self.deliveries(self.clock.now());
        let own = deliveries.open.keys().filter(|key| key.provider == provider);
        let mut accounts: Vec<_> = own.map(|key| key.account.clone()).collect();
        accounts.sort();
        accounts.dedup();
        Ok(accounts)
    }

    async fn count(
        &self,
        provider: ProviderId,
        account: &Account,
        cutoffs: &Cutoffs,
    ) -> Result<Vec<OpenCount>, LedgerError> {
        let all = self.deliveries(self.clock.now()).open(provider, account);
        let count = |phase| {
            let within = all.iter().filter(|open| open.phase == phase);
            let silent = within.clone().filter(|open| cutoffs.include(phase, open.updated_at)).count();
            OpenCount { phase, open: within.count() as u64, silent: silent as u64 }
        };
        Ok(OPEN_PHASES.map(count).to_vec())
    }

    async fn silent(
        &self,
        provider: ProviderId,
        account: &Account,
        cutoffs: &Cutoffs,
        most: usize,
    ) -> Result<Vec<OpenDelivery>, LedgerError> {
        let mut silent = self.deliveries(self.clock.now()).open(provider, account);
        silent.retain(|open| cutoffs.include(open.phase, open.updated_at));
        silent.truncate(most);
        Ok(silent)
    }

    async fn forget(&self, delivery: &DeliveryKey) -> Result<(), LedgerError> {
        self.deliveries(self.clock.now()).open.remove(delivery);
        Ok(())
    }

    async fn trim(
        &self,
        provider: ProviderId,
        account: &Account,
        oldest: Timestamp,
        most: u64,
    ) -> Result<(), LedgerError> {
        let mut deliveries = self.deliveries(self.clock.now());
        let (old, all): (Vec<_>, Vec<_>) =
            deliveries.open(provider, account).into_iter().partition(|open| open.updated_at < oldest);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let surplus = all.len().saturating_sub(most).min(TRIMMED_AT_ONCE);
        for open in old.iter().take(TRIMMED_AT_ONCE).chain(all.iter().take(surplus)) {
            deliveries.open.remove(&open.delivery);
        }
        Ok(())
    }
}
