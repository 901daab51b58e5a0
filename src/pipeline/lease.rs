//! One of several replicas is active: the one that has the lease. It is on the store's own clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::{Cells, CellsError};
use crate::sinks::cells;

/// Who has it, and until when, in ms.
type LeaseHolder = Option<(String, i64)>;

/// A lease that replicas compete for.
pub struct Lease {
    cells: Arc<dyn Cells>,
    key: &'static str,
    holder: String,
    ttl: Duration,
}

impl Lease {
    /// `holder` is this replica's own name. The holder has the lease for `ttl` after its last renewal.
    #[must_use]
    pub fn new(cells: Arc<dyn Cells>, key: &'static str, holder: String, ttl: Duration) -> Self {
        Self { cells, key, holder, ttl }
    }

    /// Takes or renews it. Until when it is certainly ours; nothing while another replica has it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn renew(&self) -> Result<Option<Instant>, CellsError> {
        let asked = Instant::now();
        let ttl_ms = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX / 2);
        let take = |held: &mut LeaseHolder, now_ms: i64| {
            // A lease that is longer than any that is given is over: the store's clock jumped back.
            let is_taken = held.as_ref().is_some_and(|(by, until)| {
                *by != self.holder && *until > now_ms && *until <= now_ms.saturating_add(ttl_ms)
            });
            if !is_taken {
                *held = Some((self.holder.clone(), now_ms + ttl_ms));
            }
            !is_taken
        };
        let ours = cells::update(self.cells.as_ref(), self.key, self.ttl * 2, take).await?;
        Ok(ours.then_some(asked + self.ttl))
    }

    /// Gives it up, so that another replica takes it at once. Should that fail, it runs out.
    pub async fn release(&self) {
        let give_up = |held: &mut LeaseHolder, _| {
            if held.as_ref().is_some_and(|(by, _)| *by == self.holder) {
                *held = None;
            }
        };
        let _runs_out = cells::update(self.cells.as_ref(), self.key, self.ttl * 2, give_up).await;
    }

    #[must_use]
    pub fn renew_every(&self) -> Duration {
        self.ttl / 3
    }
}
