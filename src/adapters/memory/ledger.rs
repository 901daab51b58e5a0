//! The ledger in memory: a record for each delivery, forgotten some time after its last claim.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use crate::domain::delivery_record::DeliveryRecord;
use crate::domain::identity::DeliveryKey;
use crate::ports::{Clock, Ledger, LedgerError};

/// Expired records are swept out each time this many steps were done.
const SWEEP_EVERY: u64 = 4096;

#[derive(Default)]
struct Deliveries {
    records: HashMap<DeliveryKey, Expiring>,
    steps: u64,
}

struct Expiring {
    record: DeliveryRecord,
    expires_at: Timestamp,
}

/// The ledger in memory.
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
        Ok(self.deliveries(now).record(&event.delivery, now + event.ttl, now).record.mark(event, mark))
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}
