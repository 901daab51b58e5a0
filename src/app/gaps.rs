//! A receiver notes in Redis when webhooks may have been missed: while it refused them, and while no receiver ran.
//!
//! It takes webhooks without Redis all the same. What could not be noted waits, and is lost with the process.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::adapters::http::webhooks::WebhookPort;
use crate::domain::gap::{Gap, Witness};
use crate::domain::provider::ProviderId;
use crate::ports::{Clock, Gaps, LedgerError, chance};

const EVERY: Duration = Duration::from_secs(5);
/// Receivers say that they run this often at the least: a longer silence is an absence.
const ABSENT_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// Notes until `closing`, and once more.
pub(super) async fn note(
    port: &WebhookPort,
    gaps: &dyn Gaps,
    clock: &dyn Clock,
    horizons: &[(ProviderId, Duration)],
    closing: &CancellationToken,
) {
    let providers: Vec<_> = horizons.iter().map(|(provider, _)| *provider).collect();
    let (process, started) = (chance::random::<u64>(), clock.now());
    let mut looked_back = false;
    let mut tick = tokio::time::interval(EVERY);
    while closing.run_until_cancelled(tick.tick()).await.is_some() {
        let before = gaps.alive(clock.now()).await;
        if let (Ok(before), false) = (before, looked_back) {
            looked_back = absence(gaps, &providers, before, started).await.is_ok();
        }
        refusals(port, gaps, process).await;
        contents(port, gaps, clock, horizons).await;
    }
    refusals(port, gaps, process).await;
    contents(port, gaps, clock, horizons).await;
}

/// Notes that no receiver ran before this one, if none did.
async fn absence(
    gaps: &dyn Gaps,
    providers: &[ProviderId],
    before: Option<Timestamp>,
    started: Timestamp,
) -> Result<(), LedgerError> {
    let Some(from) = before.filter(|before| started.duration_since(*before) > ABSENT_AFTER) else {
        return Ok(());
    };
    let gap = Gap { witness: Witness::Absence, account: None, from, until: started, refused: 0 };
    for provider in providers {
        gaps.note(*provider, &format!("absence-{}", from.as_millisecond()), &gap).await?;
    }
    tracing::info!(%from, until = %started, "no receiver ran: webhooks may have been missed");
    Ok(())
}

async fn refusals(port: &WebhookPort, gaps: &dyn Gaps, process: u64) {
    for (provider, gap) in port.gaps() {
        let name = format!("{process:016x}-{}", gap.from.as_millisecond());
        if gaps.note(provider, &name, &gap).await.is_ok() {
            port.noted(provider, &gap);
        }
    }
}

/// Notes which webhooks were refused and which of them came again, and learns what other receivers refused: for as long as the
/// provider may send it again, which is beside its name.
async fn contents(
    port: &WebhookPort,
    gaps: &dyn Gaps,
    clock: &dyn Clock,
    horizons: &[(ProviderId, Duration)],
) {
    for &(id, horizon) in horizons {
        let unsaid = port.unsaid_contents(id);
        let (refused, accepted) = &unsaid;
        let since = clock.now().checked_sub(horizon).unwrap_or(Timestamp::MIN);
        let noted = async {
            gaps.refused(id, refused).await?;
            gaps.accepted(id, accepted).await?;
            gaps.contents(id, since).await
        };
        // What could not be noted waits for the next time.
        if let Ok(kept) = noted.await {
            port.noted_contents(id, &unsaid, &kept);
        }
    }
}
