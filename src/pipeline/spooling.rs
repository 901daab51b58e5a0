//! The second store of one provider, as a receiver uses it: webhooks that the broker cannot confirm go in, and once it can
//! they are drained into the same queue, oldest first. Any receiver drains, one at a time.
//!
//! An entry leaves the spool only after the broker confirmed it, so that a crash repeats it at most. The receipt is the
//! message's id before and after: a repeat is the same copy of the same event, and ends as a duplicate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::domain::envelope::Envelope;
use crate::domain::provider::ProviderId;
use crate::domain::retry::reconnect_delay;
use crate::ports::{Next, Outbound, Publisher, Spool, SpoolError, SpoolLimits, SpoolState, Spooled, chance};
use crate::telemetry::metrics as m;

/// Between two looks at a spool, for its metrics and for whether it can be used.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two looks for an entry, while there is none for this drainer.
const IDLE: Duration = Duration::from_secs(1);

/// One provider's second store.
pub struct Spooling {
    provider: ProviderId,
    spool: Arc<dyn Spool>,
    limits: SpoolLimits,
    usable: AtomicBool,
}

impl Spooling {
    /// Nothing is known of the spool until it is watched, or used.
    #[must_use]
    pub fn new(provider: ProviderId, spool: Arc<dyn Spool>, limits: SpoolLimits) -> Self {
        Self { provider, spool, limits, usable: AtomicBool::new(false) }
    }

    /// Whether it would take a webhook, as far as is known: then the provider is not refused while the broker is away.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable.load(Ordering::Relaxed)
    }

    /// Stores a webhook that the broker did not confirm.
    ///
    /// # Errors
    /// See [`SpoolError`].
    pub async fn append(&self, webhook: &Envelope) -> Result<(), SpoolError> {
        let (provider, began) = (self.provider.as_str(), Instant::now());
        let result = self.spool.append(webhook).await;
        self.usable.store(result.is_ok(), Ordering::Relaxed);
        let label = match &result {
            Ok(()) => "stored",
            Err(SpoolError::Full) => "full",
            Err(SpoolError::NotDurable(_)) => "not_durable",
            Err(SpoolError::Unavailable(_)) => "unavailable",
        };
        counter!(m::SPOOL_APPENDS, "provider" => provider, "result" => label).increment(1);
        histogram!(m::SPOOL_APPEND_DURATION, "provider" => provider).record(began.elapsed());
        result
    }

    /// Shows the spool's state, for ever, and logs when that changes.
    pub async fn watch(&self) {
        let provider = self.provider.as_str();
        let SpoolLimits { max_entries, max_bytes } = self.limits;
        show(m::SPOOL_LIMIT, "entries", provider, max_entries);
        show(m::SPOOL_LIMIT, "bytes", provider, max_bytes);
        let (mut waits, mut trouble) = (false, None);
        loop {
            let state = self.spool.look().await;
            let why = self.note(&state);
            if why != trouble {
                match &why {
                    Some(why) => tracing::warn!(provider, why, "no webhook can be spooled"),
                    None => tracing::info!(provider, "webhooks can be spooled"),
                }
                trouble = why;
            }
            if let Ok(SpoolState { entries, .. }) = state
                && waits != (entries > 0)
            {
                waits = entries > 0;
                if waits {
                    tracing::warn!(provider, entries, "webhooks wait in the spool");
                } else {
                    tracing::info!(provider, "the spool is empty");
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Shows a look. Returns why nothing can be spooled, if so. A spool that cannot be seen is shown as it was last.
    fn note(&self, state: &Result<SpoolState, SpoolError>) -> Option<String> {
        let provider = self.provider.as_str();
        let (why, durable) = match state {
            Ok(state) => {
                show(m::SPOOL_USED, "entries", provider, state.entries);
                show(m::SPOOL_USED, "bytes", provider, state.bytes);
                let age = state.oldest.unwrap_or_default();
                gauge!(m::SPOOL_OLDEST_AGE, "provider" => provider).set(age.as_secs_f64());
                let full = state.entries >= self.limits.max_entries || state.bytes >= self.limits.max_bytes;
                match state.proof {
                    Err(why) => (Some(SpoolError::NotDurable(why)), false),
                    Ok(_) => (full.then_some(SpoolError::Full), true),
                }
            }
            Err(error) => (Some(error.clone()), false),
        };
        self.usable.store(why.is_none(), Ordering::Relaxed);
        gauge!(m::SPOOL_DURABLE, "provider" => provider).set(f64::from(u8::from(durable)));
        why.map(|why| why.to_string())
    }

    /// Drains into the intake whenever the broker takes messages, until `stopping`. One entry after another: the order in
    /// which webhooks were spooled is the order in which they are published. `lease` is longer than a publish may take;
    /// two drainers at once do no harm beyond repeats.
    pub async fn drain(&self, publisher: &dyn Publisher, lease: Duration, stopping: CancellationToken) {
        let mut confirmed = None;
        let mut failures = 0;
        while !stopping.is_cancelled() {
            let pause = if publisher.ready() || confirmed.is_some() {
                match self.step(publisher, lease, &mut confirmed).await {
                    DrainStep::Drained => {
                        failures = 0;
                        continue;
                    }
                    DrainStep::Nothing => {
                        failures = 0;
                        IDLE
                    }
                    DrainStep::Failed => {
                        failures += 1;
                        reconnect_delay(failures, chance::random())
                    }
                }
            } else {
                IDLE
            };
            stopping.run_until_cancelled(sleep(pause)).await;
        }
        // Otherwise the next drainer waits until the lease is over.
        let _ = self.spool.release(confirmed.as_ref()).await;
    }

    /// Removes what was `confirmed`, and publishes the next one.
    async fn step(
        &self,
        publisher: &dyn Publisher,
        lease: Duration,
        confirmed: &mut Option<Spooled>,
    ) -> DrainStep {
        let provider = self.provider.as_str();
        // If it fails, what is confirmed is still to be removed.
        let Ok(next) = self.spool.next(lease, confirmed.as_ref()).await else { return DrainStep::Failed };
        *confirmed = None;
        let Next::Entry(spooled) = next else { return DrainStep::Nothing };
        match publisher.publish(Outbound::Raw(spooled.webhook.clone())).await {
            Ok(()) => {
                counter!(m::SPOOL_DRAINED, "provider" => provider).increment(1);
                tracing::debug!(provider, receipt.id = %spooled.webhook.receipt, "drained");
                *confirmed = Some(*spooled);
                DrainStep::Drained
            }
            Err(_) => DrainStep::Failed,
        }
    }
}

/// What a drainer's step came to.
enum DrainStep {
    Drained,
    /// There is no entry for it now.
    Nothing,
    Failed,
}

#[allow(clippy::cast_precision_loss)] // No spool has 2^53 bytes.
fn show(metric: &'static str, of: &'static str, provider: &'static str, value: u64) {
    gauge!(metric, "of" => of, "provider" => provider).set(value as f64);
}
