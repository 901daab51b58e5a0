//! One message: decode ▸ claim ▸ publish ▸ complete. What is left (acknowledging it, or scheduling or parking a
//! copy) is for `settle.rs` and `worker.rs` to do with the verdict.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::session::{Dependency, Session, SessionClosed};
use super::spans;
use crate::domain::age::Age;
use crate::domain::envelope::Envelope;
use crate::domain::event::UpdateEvent;
use crate::domain::identity::{DeliveryKey, EventId};
use crate::domain::provider::{Decoded, DecodedUpdate, Provider};
use crate::domain::state::{Course, DeliveryState, Order};
use crate::domain::status::Status;
use crate::domain::verdict::{ParkReason, RetryReason, Verdict};
use crate::ports::{
    CRASH_LIMIT, Claim, ClaimRequest, Clock, EventRef, Grant, Ledger, Outbound, PublishError, Publisher,
    Settlement, Token,
};
use crate::telemetry::metrics as m;
use crate::telemetry::traces;

/// The numbers of the protocol for one provider.
#[derive(Debug, Clone)]
pub struct ProcessSettings {
    /// How long a publish may take before its claim is renewed. Shorter than `lease`.
    pub processing_deadline: Duration,
    /// How long a claim holds.
    pub lease: Duration,
    /// How long an event with a provider's id is remembered.
    pub dedup_ttl: Duration,
    /// How long an event known by its content alone is remembered.
    pub content_ttl: Duration,
    /// How close in time equal content without an id is one event.
    pub resend_horizon: Duration,
    /// How long the state of a delivery is remembered.
    pub state_ttl: Duration,
}

/// Processes one provider's messages.
pub struct Processor {
    /// Whose messages.
    pub provider: &'static dyn Provider,
    /// Where updates go.
    pub publisher: Arc<dyn Publisher>,
    /// Who remembers events.
    pub ledger: Arc<dyn Ledger>,
    /// For latencies.
    pub clock: Arc<dyn Clock>,
    /// The protocol's numbers.
    pub settings: ProcessSettings,
}

/// A decoded message.
#[derive(Debug)]
pub struct Job {
    /// The copy in hand.
    pub envelope: Envelope,
    /// The delivery it is about.
    pub delivery: DeliveryKey,
    /// What it says.
    pub decoded: Box<DecodedUpdate>,
}

/// What a message holds in the ledger while it is processed. Kept outside [`Processor::process`], so that a panic
/// in there does not lose it.
#[derive(Debug, Default)]
pub struct Held {
    /// The claim, once granted.
    pub event: Option<EventRef>,
    /// The attempt number of the event's chain.
    pub attempt: u32,
    /// Claims of the event that ran out.
    pub crashes: u32,
    /// Whether the update was confirmed: from then on the event can only become done.
    pub published: bool,
    /// Where the delivery stands once it is, if that moves it on.
    pub after: Option<DeliveryState>,
}

impl Processor {
    /// Reads a message.
    ///
    /// # Errors
    /// The verdict on a message that is no update.
    pub fn decode(
        &self,
        envelope: &Envelope,
        defect: Option<&'static str>,
    ) -> Result<Box<DecodedUpdate>, Verdict> {
        if let Some(defect) = defect {
            return Err(Verdict::Park(ParkReason::BadEnvelope, defect));
        }
        match self.provider.decode(&envelope.body) {
            Ok(Decoded::Update(decoded)) => Ok(decoded),
            Ok(Decoded::Ignored) => Err(Verdict::Ignored),
            Err(poison) => Err(Verdict::Park(poison.reason, poison.detail)),
        }
    }

    /// Claims the event, publishes its update and marks it done.
    ///
    /// Only the claim's holder publishes. A publish that the broker did not confirm in time may have been stored,
    /// so it is sent again (the same id, the same bytes), but not before the claim was confirmed to be still ours.
    pub async fn process(&self, job: &Job, held: &mut Held, session: &Session) -> Verdict {
        self.try_process(job, held, session).await.unwrap_or(Verdict::Abandoned)
    }

    async fn try_process(
        &self,
        job: &Job,
        held: &mut Held,
        session: &Session,
    ) -> Result<Verdict, SessionClosed> {
        let request = self.claim_request(job);
        let mut outage = None;
        loop {
            let claim = session.until_done(Dependency::Redis, || self.ledger.claim(&request)).await?;
            let grant = match self.counted(claim) {
                Claim::Granted(grant) => *grant,
                Claim::Busy(remaining) => return Ok(Verdict::Deferred(remaining)),
                Claim::Done | Claim::Stale => return Ok(Verdict::Duplicate),
            };
            let (course, after) = self.course(job, &grant);
            let event = job.event(&grant, &course);
            held.after = after;
            let claimed = held.keep(grant);
            if held.crashes >= CRASH_LIMIT {
                return Ok(Verdict::Park(ParkReason::CrashLoop, "its claim ran out five times"));
            }
            match self.publish(event).await {
                Ok(()) => {
                    held.published = true;
                    self.complete(job, &claimed, &course, after, session).await?;
                    return Ok(Verdict::Published);
                }
                Err(PublishError::Refused) => return Ok(Verdict::Retry(RetryReason::PublishRefused)),
                Err(error) => {
                    outage.get_or_insert_with(|| session.outage(Dependency::RabbitMq)).wait(&error).await?;
                }
            }
        }
    }

    async fn publish(&self, event: UpdateEvent) -> Result<(), PublishError> {
        let span = spans::publish(&event);
        let publishing = self.publisher.publish(Outbound::Update(event)).instrument(span.clone());
        let published = tokio::time::timeout(self.settings.processing_deadline, publishing)
            .await
            .unwrap_or(Err(PublishError::Unconfirmed));
        published.inspect_err(|error| traces::failed(&span, error.as_str()))
    }

    /// What the update is in the course of its delivery, and where that stands after it.
    fn course(&self, job: &Job, grant: &Grant) -> (Course, Option<DeliveryState>) {
        let (before, update) = (grant.before.as_ref(), &job.decoded.update);
        DeliveryState::advance(before, grant.place, update, &grant.origin, self.provider.transitions())
    }

    async fn complete(
        &self,
        job: &Job,
        claimed: &EventRef,
        course: &Course,
        after: Option<DeliveryState>,
        session: &Session,
    ) -> Result<(), SessionClosed> {
        let provider = self.provider.id().as_str();
        let age = self.clock.now().duration_since(job.envelope.received_at);
        metrics::histogram!(m::END_TO_END, "provider" => provider).record(age.as_secs_f64().max(0.0));
        session
            .until_done(Dependency::Redis, || self.ledger.settle(claimed, Settlement::Done(after)))
            .await?;
        if course.order != Order::InOrder {
            metrics::counter!(m::OUT_OF_ORDER, "provider" => provider, "order" => course.order.as_str())
                .increment(1);
        }
        if job.decoded.update.status == Status::Unknown {
            metrics::counter!(m::UNKNOWN_STATUS, "provider" => provider).increment(1);
        }
        if job.decoded.unreadable_fields > 0 {
            metrics::counter!(m::UNREADABLE_FIELDS, "provider" => provider)
                .increment(job.decoded.unreadable_fields.into());
        }
        Ok(())
    }

    fn claim_request(&self, job: &Job) -> ClaimRequest {
        let by_id = job.decoded.identity.provider_event_id.is_some();
        let origin = job.envelope.origin();
        ClaimRequest {
            delivery: job.delivery.clone(),
            identity: job.decoded.identity.clone(),
            event_time: Age::of(&job.decoded.update, &origin).event_time,
            origin,
            attempt: job.envelope.attempt,
            crashes: job.envelope.crashes,
            replay: job.envelope.replay,
            token: Token::fresh(),
            lease: self.settings.lease,
            ttl: if by_id { self.settings.dedup_ttl } else { self.settings.content_ttl },
            horizon: self.settings.resend_horizon,
            leg: job.decoded.leg.clone(),
            state_ttl: self.settings.state_ttl,
        }
    }

    fn counted(&self, claim: Claim) -> Claim {
        let result = match &claim {
            Claim::Granted(grant) if grant.id_reused => "id_reused",
            Claim::Granted(_) => "granted",
            Claim::Busy(_) => "busy",
            Claim::Done => "done",
            Claim::Stale => "stale",
        };
        metrics::counter!(m::DEDUP_CLAIMS, "provider" => self.provider.id().as_str(), "result" => result)
            .increment(1);
        claim
    }
}

impl Job {
    /// A decoded message.
    #[must_use]
    pub fn new(envelope: Envelope, decoded: Box<DecodedUpdate>) -> Self {
        let delivery = DeliveryKey {
            provider: envelope.provider,
            account: envelope.account.clone(),
            delivery_id: decoded.update.delivery_id.clone(),
        };
        Self { envelope, delivery, decoded }
    }

    fn event(&self, grant: &Grant, course: &Course) -> UpdateEvent {
        let id = EventId::new(&self.delivery, &self.decoded.identity, grant.origin.receipt);
        UpdateEvent::new(&self.delivery, id, &grant.origin, &self.decoded.update, course)
    }
}

impl Held {
    fn keep(&mut self, grant: Grant) -> EventRef {
        self.attempt = grant.attempt;
        self.crashes = grant.crashes;
        self.event.insert(grant.event).clone()
    }
}
