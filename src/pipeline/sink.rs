//! One message of a sink, from its body to the point where its delivery may be acknowledged.
//!
//! As for a provider's webhook, the copy that carries it on is confirmed before the message is acknowledged, and an outage
//! of Redis or RabbitMQ is waited for in place.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::counts;
use super::parking::{Parker, Parking};
use super::session::{Dependency, Session, SessionClosed};
use super::work::Work;
use crate::domain::envelope::Envelope;
use crate::domain::history::Failure;
use crate::domain::identity::{Account, DeliveryKey, ReceiptId};
use crate::domain::provider::ProviderId;
use crate::domain::retry::RetrySchedule;
use crate::domain::verdict::ParkReason;
use crate::ports::{Cells, Clock, Outbound, Publisher, chance};
use crate::sinks::update::about;
use crate::sinks::{Sink, SinkMessage, Verdict, WaitReason};
use crate::telemetry::metrics as m;

/// What is asked of Redis before a subscription begins.
const PROBE: &str = "mp:probe";

pub struct SinkProcessor {
    /// What is done with one.
    pub sink: Arc<dyn Sink>,
    pub publisher: Arc<dyn Publisher>,
    /// What the sink keeps; asked whether it is there.
    pub store: Arc<dyn Cells>,
    /// For ages, and the times of failures.
    pub clock: Arc<dyn Clock>,
    /// When a failed message is tried again.
    pub schedule: RetrySchedule,
    pub parker: Parker,
}

impl SinkProcessor {
    async fn handled(&self, envelope: &Envelope, session: &Session) -> Result<&'static str, SessionClosed> {
        let message = SinkMessage {
            body: envelope.body.clone(),
            reason: envelope.reason.clone(),
            replayed: envelope.replay.is_some(),
            now_ms: self.clock.now().as_millisecond(),
        };
        let handling = session.until_done(Dependency::Redis, || self.sink.handle(&message));
        let verdict = match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(verdict) => verdict?,
            Err(_panic) => Verdict::Park(ParkReason::Panic, "processing it panicked".to_owned()),
        };
        match verdict {
            Verdict::Done(outcome) => Ok(outcome.as_str()),
            Verdict::Later { delay, why } => self.defer(delay, why, envelope, session).await,
            Verdict::Retry(reason) => self.retry(reason, envelope, session).await,
            Verdict::Park(reason, detail) => self.park(reason, detail.into(), envelope, session).await,
        }
    }

    /// No attempt is spent.
    async fn defer(
        &self,
        delay: Duration,
        why: WaitReason,
        envelope: &Envelope,
        session: &Session,
    ) -> Result<&'static str, SessionClosed> {
        let copy = Envelope { reason: Some(why.as_str().to_owned()), ..envelope.clone() };
        self.confirmed(Outbound::Later(copy, delay), session).await?;
        let labels = [("sink", self.sink.id().as_str()), ("reason", why.as_str())];
        metrics::counter!(m::SINK_DEFERRALS, &labels).increment(1);
        Ok("deferred")
    }

    async fn retry(
        &self,
        reason: WaitReason,
        envelope: &Envelope,
        session: &Session,
    ) -> Result<&'static str, SessionClosed> {
        let Some(due) = self.schedule.delay_after(envelope.attempt, chance::random()) else {
            return self.park(ParkReason::RetriesExhausted, reason.as_str().into(), envelope, session).await;
        };
        let copy = envelope.retried(self.failure(envelope, reason.as_str(), None), envelope.crashes);
        self.confirmed(Outbound::Later(copy, due), session).await?;
        counts::retried(self.sink.id(), reason.as_str(), due);
        Ok("retried")
    }

    async fn park(
        &self,
        reason: ParkReason,
        detail: Cow<'static, str>,
        envelope: &Envelope,
        session: &Session,
    ) -> Result<&'static str, SessionClosed> {
        let copy = envelope.parked(self.failure(envelope, reason.as_str(), Some(&detail)), envelope.crashes);
        let copy = Outbound::Parked(copy, reason, detail.clone());
        match self.parker.park(copy, envelope, &*self.publisher, session).await? {
            Parking::PutOff => Ok("deferred"),
            Parking::Parked => {
                counts::parked(self.sink.id(), reason, &detail, envelope);
                Ok("parked")
            }
        }
    }

    async fn confirmed(&self, outbound: Outbound, session: &Session) -> Result<(), SessionClosed> {
        session.confirmed(self.publisher.as_ref(), &outbound).await
    }

    fn failure(&self, envelope: &Envelope, reason: &str, detail: Option<&str>) -> Failure {
        Failure::new(self.clock.now(), envelope.attempt, reason, detail)
    }
}

impl Work for SinkProcessor {
    type Item = Envelope;

    const STORE: &'static str = "Redis";

    fn queue(&self) -> ProviderId {
        self.sink.id()
    }

    async fn ask_store(&self) -> Result<(), String> {
        self.store.read(PROBE).await.map(drop).map_err(|error| error.to_string())
    }

    fn can_publish(&self) -> bool {
        self.publisher.ready()
    }

    /// An event says in its body what a webhook's message says beside it.
    fn read(&self, envelope: Envelope, _defect: Option<&'static str>) -> Envelope {
        let Some(about) = about(&envelope.body) else { return envelope };
        let receipt = about.receipt.and_then(|id| id.parse::<ReceiptId>().ok()).unwrap_or(envelope.receipt);
        let account = about.account.and_then(|name| name.parse::<Account>().ok()).unwrap_or(envelope.account);
        Envelope { receipt, account, ..envelope }
    }

    async fn park_unread(
        &self,
        envelope: &Envelope,
        detail: &'static str,
        session: &Session,
    ) -> Option<&'static str> {
        self.park(ParkReason::CrashLoop, detail.into(), envelope, session).await.ok()
    }

    fn lane(_: &Envelope) -> Option<&DeliveryKey> {
        None
    }

    fn into_lane(_: Envelope) -> Option<DeliveryKey> {
        None
    }

    async fn process(&self, envelope: &Envelope, session: &Session) -> Option<&'static str> {
        let outcome = self.handled(envelope, session).await.ok();
        tracing::debug!(provider = %self.sink.id(), receipt.id = %envelope.receipt, outcome, "processed");
        outcome
    }
}
