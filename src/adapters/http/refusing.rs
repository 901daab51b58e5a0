//! The loss clock: since when a provider's webhooks cannot be taken. How long is left is for whoever reads the metrics
//! to work out, with what is known of the provider's patience.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use metrics::gauge;

use crate::domain::answer::{Rejection, RejectionKind};
use crate::domain::provider::ProviderId;
use crate::telemetry::metrics::REFUSING_SINCE;

/// Who is being refused, each since when.
#[derive(Default)]
pub(super) struct Refusing(Mutex<BTreeMap<ProviderId, Timestamp>>);

impl Refusing {
    /// Takes note of an answer. Only what is our fault or our load starts the clock, whether it was found out before or
    /// after the webhook was authenticated: what anybody may send us does not, nor does it stop it, and a body that was
    /// too slow to keep its place may be anybody's. One webhook that is taken stops it.
    pub(super) fn note(&self, provider: ProviderId, outcome: Result<(), Rejection>, received_at: Timestamp) {
        let mut since = self.lock();
        match outcome.map_err(Rejection::kind) {
            Ok(()) if since.remove(&provider).is_some() => show(provider, None),
            Err(RejectionKind::Unavailable) if outcome != Err(Rejection::Evicted) => {
                since.entry(provider).or_insert_with(|| {
                    show(provider, Some(received_at));
                    received_at
                });
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProviderId, Timestamp>> {
        // A panic elsewhere cannot leave a map half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Called with the lock held, so that the gauge says what was noted last.
fn show(provider: ProviderId, since: Option<Timestamp>) {
    #[allow(clippy::cast_precision_loss)] // Seconds since 1970 fit a float's 53 bits.
    let since = since.map_or(0.0, |since| since.as_second() as f64);
    gauge!(REFUSING_SINCE, "provider" => provider.as_str()).set(since);
}
