//! What the receiver holds of each thing it bounds, shown as it changes.

use metrics::{Gauge, gauge};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::telemetry::metrics::{RECEIVER_LIMIT, RECEIVER_USED};

/// A gauge of what is held, beside its limit.
pub(super) fn shown(of: &'static str, limit: usize) -> Gauge {
    #[allow(clippy::cast_precision_loss)] // A configured limit, not 2^53.
    gauge!(RECEIVER_LIMIT, "of" => of).set(limit as f64);
    gauge!(RECEIVER_USED, "of" => of)
}

/// A bound of which nothing waits for a share.
pub(super) struct Bound {
    free: Semaphore,
    used: Gauge,
}

/// A share of a [`Bound`], given back when dropped.
pub(super) struct Share<'a> {
    _permits: SemaphorePermit<'a>,
    _held: Held<'a>,
}

impl Bound {
    pub(super) fn new(of: &'static str, limit: usize) -> Self {
        Self { free: Semaphore::new(limit), used: shown(of, limit) }
    }

    /// So much of it, if it is free.
    pub(super) fn take(&self, amount: u32) -> Option<Share<'_>> {
        let permits = self.free.try_acquire_many(amount).ok()?;
        Some(Share { _permits: permits, _held: Held::new(&self.used, amount) })
    }
}

/// Counted in a gauge until dropped.
pub(super) struct Held<'a> {
    used: &'a Gauge,
    amount: f64,
}

impl<'a> Held<'a> {
    pub(super) fn new(used: &'a Gauge, amount: u32) -> Self {
        used.increment(f64::from(amount));
        Self { used, amount: f64::from(amount) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.used.decrement(self.amount);
    }
}
