//! The gate: a process that is asked to is not ready until the doctor has once found nothing that fails.
//!
//! It holds back a new replica on a broker that is not in order, so that a rollout stops there. Once open it stays
//! open and looks no more: a fleet at work is never taken away by a check. A cluster that has lost a node works, and needs
//! its replicas: that holds none back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::doctor::{Finding, Level, Probe, diagnose};
use crate::domain::retry::reconnect_delay;

/// Every wait of the doctor's is bounded; this bounds their sum.
const PATIENCE: Duration = Duration::from_mins(1);

/// Looks until nothing fails, then opens. What fails is logged whenever it has changed.
pub async fn hold(probe: Probe, open: &AtomicBool) {
    let (mut said, mut tries) = (Vec::new(), 0);
    loop {
        if let Ok(facts) = tokio::time::timeout(PATIENCE, Box::pin(probe.facts())).await {
            let holds = |finding: &Finding| finding.level == Level::Fail && !finding.is_of_the_cluster();
            let failing: Vec<_> = diagnose(&facts).into_iter().filter(holds).collect();
            if failing.is_empty() {
                tracing::info!("topology gate: open");
                return open.store(true, Ordering::Relaxed);
            }
            if failing != said {
                failing.iter().for_each(log);
                said = failing;
            }
        } else {
            tracing::warn!("topology gate: the servers take too long to answer");
        }
        tokio::time::sleep(reconnect_delay(tries, rand::random())).await;
        tries += 1;
    }
}

fn log(Finding { check, subject, says, remedy, .. }: &Finding) {
    tracing::error!(check, subject, says, remedy, "topology gate: not ready");
}
