//! What each verdict does to the event and to its copies, before the message leaves its queue.
//!
//! The order of effects is the invariant: the copy is confirmed, then the ledger says so, and only then (in
//! `worker.rs`) is the message acknowledged.

use std::sync::Arc;
use std::time::Duration;

use super::process::Held;
use super::session::{Dependency, Session, SessionClosed};
use super::spans;
use crate::domain::envelope::{Envelope, Replay};
use crate::domain::history::{Failure, History};
use crate::domain::provider::ProviderId;
use crate::domain::retry::RetrySchedule;
use crate::domain::verdict::{ParkReason, RetryReason, Verdict};
use crate::ports::{Clock, Ledger, Outbound, Publisher, Settlement};
use crate::telemetry::metrics as m;

/// Carries out verdicts for one provider.
pub struct Settler {
    /// Whose messages.
    pub provider: ProviderId,
    /// Where copies go.
    pub publisher: Arc<dyn Publisher>,
    /// Who remembers events.
    pub ledger: Arc<dyn Ledger>,
    /// For the history of failures.
    pub clock: Arc<dyn Clock>,
    /// When a failed message is tried again.
    pub schedule: RetrySchedule,
}

impl Settler {
    /// Does all of a verdict except the acknowledgement. Returns what was done in the end, which is
    /// [`Verdict::Abandoned`] when the session closed before it was: then the message must not be acknowledged.
    pub async fn settle(
        &self,
        verdict: Verdict,
        envelope: &Envelope,
        held: &Held,
        session: &Session,
    ) -> Verdict {
        match self.try_settle(verdict, envelope, held, session).await {
            Ok(done) => done,
            Err(SessionClosed) => {
                self.let_go(held).await;
                Verdict::Abandoned
            }
        }
    }

    async fn try_settle(
        &self,
        verdict: Verdict,
        envelope: &Envelope,
        held: &Held,
        session: &Session,
    ) -> Result<Verdict, SessionClosed> {
        match verdict {
            Verdict::Published | Verdict::Duplicate | Verdict::Ignored => {}
            Verdict::Deferred(remaining) => {
                self.confirmed(Outbound::Later(envelope.clone(), remaining), session).await?;
            }
            Verdict::Retry(reason) => match self.schedule.delay_after(held.attempt, rand::random()) {
                Some(delay) => self.retry(reason, delay, envelope.clone(), held, session).await?,
                None => {
                    let park = Verdict::Park(ParkReason::RetriesExhausted, reason.as_str());
                    self.park(ParkReason::RetriesExhausted, reason.as_str(), envelope.clone(), held, session)
                        .await?;
                    return Ok(park);
                }
            },
            // A panic after the confirm: what is published is done, whatever came after.
            Verdict::Park(..) if held.published => {
                self.record(held, Settlement::Done(held.after), session).await?;
                return Ok(Verdict::Published);
            }
            Verdict::Park(reason, detail) => {
                self.park(reason, detail, envelope.clone(), held, session).await?;
            }
            Verdict::Abandoned => return Err(SessionClosed),
        }
        Ok(verdict)
    }

    async fn retry(
        &self,
        reason: RetryReason,
        delay: Duration,
        envelope: Envelope,
        held: &Held,
        session: &Session,
    ) -> Result<(), SessionClosed> {
        let attempt = held.attempt + 1;
        let copy = Envelope {
            attempt,
            crashes: held.crashes,
            reason: Some(reason.as_str().to_owned()),
            history: self.failed(envelope.history, held.attempt, reason.as_str(), None),
            // A replay starts a fresh chain, and from here on this is that chain. A forced one stays forced:
            // its event is done under the ordinary key.
            replay: envelope.replay.filter(|replay| matches!(replay, Replay::Force(_))),
            trace: spans::of_retry(envelope.trace),
            ..envelope
        };
        self.confirmed(Outbound::Later(copy, delay), session).await?;
        self.record(held, Settlement::Retrying { attempt, due: delay, reason }, session).await?;
        let provider = self.provider.as_str();
        metrics::counter!(m::RETRIES, "provider" => provider, "reason" => reason.as_str()).increment(1);
        metrics::histogram!(m::RETRY_DELAY, "provider" => provider).record(delay.as_secs_f64());
        Ok(())
    }

    async fn park(
        &self,
        reason: ParkReason,
        detail: &'static str,
        envelope: Envelope,
        held: &Held,
        session: &Session,
    ) -> Result<(), SessionClosed> {
        let attempt = held.attempt.max(envelope.attempt);
        let copy = Envelope {
            attempt,
            crashes: held.crashes.max(envelope.crashes),
            history: self.failed(envelope.history, attempt, reason.as_str(), Some(detail)),
            ..envelope
        };
        let receipt = copy.receipt;
        self.confirmed(Outbound::Parked(copy, reason, detail), session).await?;
        self.record(held, Settlement::Parked(reason), session).await?;
        let provider = self.provider.as_str();
        metrics::counter!(m::PARKED, "provider" => provider, "reason" => reason.as_str()).increment(1);
        tracing::warn!(
            provider, receipt.id = %receipt, reason = reason.as_str(), detail,
            "parked for a person"
        );
        Ok(())
    }

    fn failed(
        &self,
        history: History,
        attempt: u32,
        reason: &'static str,
        detail: Option<&'static str>,
    ) -> History {
        let (reason, detail) = (reason.to_owned(), detail.map(str::to_owned));
        history.with(Failure { at: self.clock.now(), attempt, reason, detail })
    }

    /// Publishes until the broker confirms. A refusal here is an outage too: our own queues have room, so the
    /// broker could not take the message (a quorum without a majority, say).
    async fn confirmed(&self, outbound: Outbound, session: &Session) -> Result<(), SessionClosed> {
        session.until_done(Dependency::RabbitMq, || self.publisher.publish(outbound.clone())).await
    }

    async fn record(
        &self,
        held: &Held,
        settlement: Settlement,
        session: &Session,
    ) -> Result<(), SessionClosed> {
        let Some(event) = &held.event else { return Ok(()) };
        session.until_done(Dependency::Redis, || self.ledger.settle(event, settlement)).await.map(drop)
    }

    /// Tries once to leave the ledger so that the next copy need not wait for the lease. Should it fail, the
    /// lease runs out by itself.
    async fn let_go(&self, held: &Held) {
        let Some(event) = &held.event else { return };
        let settlement = if held.published { Settlement::Done(held.after) } else { Settlement::Released };
        if let Err(error) = self.ledger.settle(event, settlement).await {
            tracing::debug!(provider = %self.provider, %error, "a claim is left to its lease");
        }
    }
}
