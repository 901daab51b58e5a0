//! What the receiver holds of each thing it bounds, shown as it changes.

use metrics::{Gauge, gauge};

use crate::telemetry::metrics::{RECEIVER_LIMIT, RECEIVER_USED};

/// A gauge of what is held of a provider's share, beside its limit.
pub(super) fn shown(of: &'static str, provider: &'static str, limit: usize) -> Gauge {
    #[allow(clippy::cast_precision_loss)] // A configured limit, not 2^53.
    gauge!(RECEIVER_LIMIT, "of" => of, "provider" => provider).set(limit as f64);
    gauge!(RECEIVER_USED, "of" => of, "provider" => provider)
}

/// Counted in a gauge until dropped.
pub(super) struct InUse<'a>(&'a Gauge);

impl<'a> InUse<'a> {
    pub(super) fn new(used: &'a Gauge) -> Self {
        used.increment(1.0);
        Self(used)
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
