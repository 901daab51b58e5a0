//! Names the queues that refuse updates, while any does: the broker says only that one did, and its management API has to
//! be asked which can.

use std::time::Duration;

use super::doctor::{Finding, Level, Probe, diagnose};
use crate::pipeline::refusals;

/// How soon a refusal is noticed.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// Between two looks, each of which asks the management API a handful of questions.
const EVERY: Duration = Duration::from_mins(1);
/// Every wait of the doctor's is bounded; this bounds their sum.
const PATIENCE: Duration = Duration::from_mins(1);

/// Looks for ever, but only while updates are refused. What it finds is logged whenever it has changed.
pub async fn name(probe: Probe) {
    let mut said: Vec<Finding> = Vec::new();
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        if !refusals::since(EVERY) {
            continue;
        }
        let Ok(facts) = tokio::time::timeout(PATIENCE, Box::pin(probe.facts())).await else { continue };
        let refusing = |finding: &Finding| finding.check == "subscribers" && finding.level == Level::Fail;
        let found: Vec<_> = diagnose(&facts).into_iter().filter(refusing).collect();
        if found != said {
            for Finding { subject, says, remedy, .. } in &found {
                tracing::warn!(subject, says, remedy, "updates are refused, and this may be why");
            }
            said = found;
        }
        tokio::time::sleep(EVERY).await;
    }
}
