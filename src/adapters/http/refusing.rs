//! The loss clock: since when a provider's webhooks cannot be taken. How long is left is for the reader of the metrics
//! to work out, with what is known of the provider's patience and of the other receivers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use metrics::gauge;

use super::missed::Missed;
use crate::domain::answer::{Rejection, RejectionKind};
use crate::domain::provider::ProviderId;
use crate::telemetry::metrics::{LAST_ACCEPTED, LAST_REFUSED, REFUSING_SINCE};

/// What is known of each provider.
#[derive(Default)]
pub(super) struct Refusing(Mutex<BTreeMap<ProviderId, EndedReceipts>>, Mutex<Missed>);

/// When the provider's webhooks were received that ended so.
#[derive(Default)]
struct EndedReceipts {
    /// The first of those refused since one was accepted, or when there was no store left to take one.
    refusing_since: Option<Timestamp>,
    last_accepted: Option<Timestamp>,
    last_refused: Option<Timestamp>,
}

impl Refusing {
    /// Takes note of an answer. Only what is our fault or our load starts the clock, whether it was found out before or
    /// after the webhook was authenticated: what anybody may send us does not, nor does it stop it, and a body that was
    /// too slow to keep its place may be anybody's. One webhook that is taken stops it.
    pub(super) fn note(&self, provider: ProviderId, outcome: Result<(), Rejection>, received_at: Timestamp) {
        let mut all = self.lock();
        match outcome.map_err(Rejection::kind) {
            Ok(()) => {
                let known = all.entry(provider).or_default();
                known.last_accepted = later(LAST_ACCEPTED, provider, known.last_accepted, received_at);
                if known.refusing_since.take().is_some() {
                    show(REFUSING_SINCE, provider, None);
                }
            }
            Err(RejectionKind::Unavailable) if outcome != Err(Rejection::Evicted) => {
                self.missed().refused(provider, received_at);
                let known = all.entry(provider).or_default();
                known.last_refused = later(LAST_REFUSED, provider, known.last_refused, received_at);
                known.refusing_since.get_or_insert_with(|| {
                    show(REFUSING_SINCE, provider, Some(received_at));
                    received_at
                });
            }
            Err(_) => {}
        }
    }

    /// Takes note of whether the broker or the provider's spool would store a webhook. While none does, the clock runs from
    /// the moment that is seen; back again, it stops unless a webhook was refused meanwhile.
    pub(super) fn stores(&self, provider: ProviderId, one_does: bool, now: Timestamp) {
        let mut all = self.lock();
        let known = all.entry(provider).or_default();
        match known.refusing_since {
            None if !one_does => {
                known.refusing_since = Some(now);
                show(REFUSING_SINCE, provider, Some(now));
            }
            Some(since) if one_does && known.last_refused < Some(since) => {
                known.refusing_since = None;
                show(REFUSING_SINCE, provider, None);
            }
            _ => {}
        }
    }

    pub(super) fn missed(&self) -> MutexGuard<'_, Missed> {
        // A panic elsewhere cannot leave a list half-written.
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProviderId, EndedReceipts>> {
        // A panic elsewhere cannot leave a map half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The later of both times, and shows it: answers do not come in the order of their requests.
fn later(
    metric: &'static str,
    provider: ProviderId,
    known: Option<Timestamp>,
    received_at: Timestamp,
) -> Option<Timestamp> {
    if known < Some(received_at) {
        show(metric, provider, Some(received_at));
    }
    known.max(Some(received_at))
}

/// Called with the lock held, so that the gauge says what was noted last.
fn show(metric: &'static str, provider: ProviderId, at: Option<Timestamp>) {
    #[allow(clippy::cast_precision_loss)] // Milliseconds since 1970 fit a float's 53 bits.
    let at = at.map_or(0.0, |at| at.as_millisecond() as f64 / 1000.0);
    gauge!(metric, "provider" => provider.as_str()).set(at);
}
