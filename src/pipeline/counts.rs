//! What is counted and logged of a message's endings.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::refusals;
use crate::domain::claim::Claim;
use crate::domain::envelope::Envelope;
use crate::domain::order::is_believed;
use crate::domain::provider::{DecodedUpdate, ProviderId};
use crate::domain::state::{Course, Order};
use crate::domain::status::Status;
use crate::domain::verdict::ParkReason;
use crate::telemetry::metrics as m;
use crate::telemetry::seldom::Seldom;
use crate::telemetry::told_apart::ToldApart;

/// The broker does not say which queue refused, and may refuse as often as there are updates.
static REFUSED: Seldom = Seldom::every(Duration::from_mins(1));
/// A parked queue that is full refuses as often as there is something to park.
static FULL: Seldom = Seldom::every(Duration::from_mins(1));
/// The accounts whose parked messages are counted by name.
static PARKING: LazyLock<ToldApart> = LazyLock::new(ToldApart::default);

pub(super) fn claimed(provider: ProviderId, claim: &Claim) {
    let result = match claim {
        Claim::Granted(grant) if grant.id_reused => "id_reused",
        Claim::Granted(_) => "granted",
        Claim::Busy(_) => "busy",
        Claim::Behind(_) => "behind",
        Claim::Done => "done",
        Claim::Stale => "stale",
    };
    metrics::counter!(m::DEDUP_CLAIMS, "provider" => provider.as_str(), "result" => result).increment(1);
}

pub(super) fn published(
    provider: ProviderId,
    course: &Course,
    update: &DecodedUpdate,
    envelope: &Envelope,
    now: Timestamp,
) {
    let provider = provider.as_str();
    let received_at = envelope.receipt.received_at();
    let age = now.duration_since(received_at).as_secs_f64().max(0.0);
    metrics::histogram!(m::END_TO_END, "provider" => provider).record(age);
    if course.order != Order::InOrder {
        metrics::counter!(m::OUT_OF_ORDER, "provider" => provider, "order" => course.order.as_str())
            .increment(1);
    }
    if update.update.status == Status::Unknown {
        metrics::counter!(m::UNKNOWN_STATUS, "provider" => provider).increment(1);
    }
    if update.update.event_time.as_ref().is_some_and(|time| !is_believed(time.utc, received_at)) {
        metrics::counter!(m::FUTURE_EVENT_TIMES, "provider" => provider).increment(1);
    }
    if update.unreadable_fields > 0 {
        metrics::counter!(m::UNREADABLE_FIELDS, "provider" => provider)
            .increment(update.unreadable_fields.into());
    }
}

pub(super) fn retried(provider: ProviderId, reason: &'static str, due: Duration) {
    let provider = provider.as_str();
    metrics::counter!(m::RETRIES, "provider" => provider, "reason" => reason).increment(1);
    metrics::histogram!(m::RETRY_DELAY, "provider" => provider).record(due.as_secs_f64());
}

/// A subscriber's full queue refused an update.
pub(super) fn refused(provider: ProviderId) {
    let provider = provider.as_str();
    refusals::happened(Instant::now());
    if let Some(times) = REFUSED.happened(Instant::now()) {
        tracing::warn!(
            provider,
            times,
            "a subscriber's full queue refuses updates: they are retried, and every other subscriber gets them again; \
             `milepost topology check` names the queues that may"
        );
    }
}

/// Nothing else is left of it: its receipt is found in the log.
pub(super) fn ignored(envelope: &Envelope) {
    let Envelope { provider, account, receipt, .. } = envelope;
    tracing::info!(%provider, %account, receipt.id = %receipt, "ignored: it is about no delivery");
}

pub(super) fn parked(provider: ProviderId, reason: ParkReason, detail: &str, envelope: &Envelope) {
    let Envelope { account, receipt, .. } = envelope;
    let (provider, reason) = (provider.as_str(), reason.as_str());
    metrics::counter!(m::PARKED, "provider" => provider, "reason" => reason).increment(1);
    let label = PARKING.label(provider, account);
    metrics::counter!(m::ACCOUNT_PARKED, "provider" => provider, "account" => label).increment(1);
    tracing::warn!(provider, %account, receipt.id = %receipt, reason, detail, "parked");
}

/// The parked queue is full, and this message had to be parked.
pub(super) fn park_refused(envelope: &Envelope, result: &'static str) {
    let Envelope { provider, account, .. } = envelope;
    let provider = provider.as_str();
    metrics::counter!(m::PARKS_REFUSED, "provider" => provider, "result" => result).increment(1);
    if let Some(times) = FULL.happened(Instant::now()) {
        tracing::warn!(
            provider, %account, times,
            "the parked queue is full: nothing is lost, what has to be parked is tried again later; \
             `milepost parked summary` says whose the messages are"
        );
    }
}
