//! Counts the open deliveries, and keeps their number bounded.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::provider::ProviderId;
use crate::domain::silence::{OPEN_PHASES, UsualSilence};
use crate::ports::{Clock, LedgerError, OpenDeliveries};
use crate::telemetry::metrics as m;

/// Between two counts. Silence is a matter of hours.
const EVERY: Duration = Duration::from_mins(1);

/// Counts a provider's open deliveries.
pub struct Census {
    pub provider: ProviderId,
    /// For how long it is usually silent.
    pub usual: UsualSilence,
    /// For how long after its last update a delivery counts as open.
    pub max_age: Duration,
    /// How many of an account count as open.
    pub max_deliveries: u64,
    pub open: Arc<dyn OpenDeliveries>,
    pub clock: Arc<dyn Clock>,
}

impl Census {
    /// Counts for ever. While Redis is away the gauges say what they said last.
    pub async fn run(self) {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tick.tick().await;
            let _away = self.count().await;
        }
    }

    /// Trims each account's deliveries, and shows how many there are in each phase, and how many of these are silent.
    ///
    /// # Errors
    /// When the ledger is away.
    pub async fn count(&self) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let oldest = now.checked_sub(self.max_age).unwrap_or_default();
        let cutoffs = self.usual.cutoffs(now);
        let mut sums = [(0, 0); OPEN_PHASES.len()];
        for account in self.open.accounts(self.provider).await? {
            self.open.trim(self.provider, &account, oldest, self.max_deliveries).await?;
            let counts = self.open.count(self.provider, &account, &cutoffs).await?;
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = (sum.0 + count.open, sum.1 + count.silent);
            }
        }
        for (phase, (open, silent)) in OPEN_PHASES.into_iter().zip(sums) {
            let labels = [("provider", self.provider.as_str()), ("phase", phase.as_str())];
            #[allow(clippy::cast_precision_loss)] // No Redis holds 2^53 deliveries.
            for (metric, number) in [(m::OPEN_DELIVERIES, open), (m::SILENT_DELIVERIES, silent)] {
                metrics::gauge!(metric, &labels).set(number as f64);
            }
        }
        Ok(())
    }
}
