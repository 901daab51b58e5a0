//! One message, from its body to the point where its delivery may be acknowledged.
//!
//! The order of effects is the invariant, and each ending below shows it: what is to be published is confirmed, then the
//! ledger is marked, and only a message with an [`Outcome`] is acknowledged (by `worker.rs`, once). A crash between two
//! of these lines repeats what came before; it loses nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::parking::{Parker, Parking};
use super::session::{Dependency, Session, SessionClosed};
use super::{counts, spans};
use crate::domain::claim::{CRASH_LIMIT, Claim, ClaimRequest, CopyInHand, Grant, Mark, Token};
use crate::domain::envelope::Envelope;
use crate::domain::event::UpdateEvent;
use crate::domain::history::Failure;
use crate::domain::identity::{DeliveryKey, EventId, ReceiptId};
use crate::domain::order::{Moment, StatusOrder, TimeKind};
use crate::domain::provider::{Decoded, DecodedUpdate, Provider};
use crate::domain::retry::RetrySchedule;
use crate::domain::state::{Change, Course, DeliveryState, Order};
use crate::domain::verdict::{Outcome, ParkReason, RetryReason};
use crate::ports::{Clock, Ledger, Outbound, PublishError, Publisher, chance};
use crate::telemetry::traces;

/// How long a message waits in place behind another update of its delivery, in ms, before it is deferred.
const PAUSES_BEHIND: [u64; 9] = [4, 8, 16, 32, 64, 128, 256, 512, 512];

/// The numbers of the protocol for one provider.
#[derive(Debug, Clone)]
pub struct ProcessSettings {
    /// How long a publish may take before its claim is renewed. Shorter than `lease`.
    pub processing_deadline: Duration,
    /// How long a claim holds.
    pub lease: Duration,
    /// How long a delivery is remembered after its last claim.
    pub ttl: Duration,
    /// How close in time equal content without an id is one event.
    pub resend_horizon: Duration,
    /// When a failed message is tried again.
    pub schedule: RetrySchedule,
}

pub struct Processor {
    pub provider: &'static dyn Provider,
    /// Where updates and copies go.
    pub publisher: Arc<dyn Publisher>,
    pub ledger: Arc<dyn Ledger>,
    /// For latencies, and the times of failures.
    pub clock: Arc<dyn Clock>,
    pub settings: ProcessSettings,
    /// Which of the provider's statuses comes before which.
    pub status_order: StatusOrder,
    pub parker: Parker,
}

/// A message that was read.
#[derive(Debug)]
pub struct Message {
    pub envelope: Envelope,
    pub content: Content,
}

/// What a message's body says.
#[derive(Debug)]
pub enum Content {
    /// An update of this delivery.
    Update(DeliveryKey, Box<DecodedUpdate>),
    Ignored,
    /// Nothing that can be read, and why.
    Unreadable(ParkReason, &'static str),
}

/// Why a claimed event has no outcome yet.
enum Unfinished {
    /// The broker did not take the update; it may have stored it.
    Outage(PublishError),
    /// The worker is going away.
    SessionClosed,
}

impl From<SessionClosed> for Unfinished {
    fn from(SessionClosed: SessionClosed) -> Self {
        Self::SessionClosed
    }
}

impl Processor {
    /// Reads a message. Pure: no bytes may make it panic, and if some do, they are parked.
    #[must_use]
    pub fn read(&self, envelope: Envelope, defect: Option<&'static str>) -> Message {
        let decode = || match self.provider.decode(&envelope.body) {
            Ok(Decoded::Update(update)) => {
                let delivery_id = update.update.delivery_id.clone();
                let account = envelope.account.clone();
                Content::Update(DeliveryKey { provider: envelope.provider, account, delivery_id }, update)
            }
            Ok(Decoded::Ignored) => Content::Ignored,
            Err(poison) => Content::Unreadable(poison.reason, poison.detail),
        };
        let content = match defect {
            Some(defect) => Content::Unreadable(ParkReason::BadEnvelope, defect),
            None => catch_unwind(AssertUnwindSafe(decode))
                .unwrap_or(Content::Unreadable(ParkReason::Panic, "reading it panicked")),
        };
        Message { envelope, content }
    }

    /// Does all that a message needs before its delivery is acknowledged. `None` when the session closed first: then
    /// the broker keeps the message and delivers it again.
    pub async fn process(&self, message: &Message, session: &Session) -> Option<Outcome> {
        let Message { envelope, content } = message;
        let outcome = match content {
            Content::Update(delivery, update) => self.update(envelope, delivery, update, session).await,
            Content::Ignored => {
                counts::ignored(envelope);
                Ok(Outcome::Ignored)
            }
            Content::Unreadable(reason, detail) => self.park(*reason, detail, envelope, None, session).await,
        };
        let outcome = outcome.ok();
        tracing::debug!(receipt.id = %envelope.receipt, outcome = outcome.map(Outcome::as_str), "processed");
        outcome
    }

    /// Claims the event and publishes its update. An update that the broker did not confirm may have been stored, so it
    /// is published again (the same id, the same bytes), but only once the claim was confirmed to be still ours.
    async fn update(
        &self,
        envelope: &Envelope,
        delivery: &DeliveryKey,
        update: &DecodedUpdate,
        session: &Session,
    ) -> Result<Outcome, SessionClosed> {
        let request = self.claim_request(envelope, delivery, update);
        let mut outage = None;
        loop {
            let grant = match self.claim(&request, session).await? {
                Claim::Granted(grant) => grant,
                Claim::Done | Claim::Stale => return Ok(Outcome::Duplicate),
                Claim::Busy(left) | Claim::Behind(left) => return self.defer(left, envelope, session).await,
            };
            let waited = match self.claimed(envelope, update, &grant, &request, session).await {
                Ok(outcome) => return Ok(outcome),
                Err(Unfinished::SessionClosed) => Err(SessionClosed),
                Err(Unfinished::Outage(error)) => {
                    outage.get_or_insert_with(|| session.outage(Dependency::RabbitMq)).wait(&error).await
                }
            };
            if let Err(closed) = waited {
                self.release(&grant).await;
                return Err(closed);
            }
        }
    }

    /// The endings of a claimed event.
    async fn claimed(
        &self,
        envelope: &Envelope,
        update: &DecodedUpdate,
        grant: &Grant,
        request: &ClaimRequest,
        session: &Session,
    ) -> Result<Outcome, Unfinished> {
        if grant.crashes >= CRASH_LIMIT {
            let detail = "its claim ran out five times";
            return Ok(self.park(ParkReason::CrashLoop, detail, envelope, Some(grant), session).await?);
        }
        if is_answer(update, envelope.receipt) && self.says_nothing_new(update, grant, request) {
            self.mark(grant, Mark::Published(None), session).await?;
            return Ok(Outcome::Duplicate);
        }
        let publishing = AssertUnwindSafe(self.publish(update, grant, request)).catch_unwind();
        match publishing.await {
            Ok(Ok((course, after))) => {
                self.mark(grant, Mark::Published(after), session).await?;
                counts::published(self.provider.id(), &course, update, envelope, self.clock.now());
                Ok(Outcome::Published)
            }
            Ok(Err(PublishError::Refused)) => {
                Ok(self.retry(RetryReason::PublishRefused, envelope, grant, session).await?)
            }
            Ok(Err(error)) => Err(Unfinished::Outage(error)),
            Err(_panic) => {
                let detail = "processing it panicked";
                Ok(self.park(ParkReason::Panic, detail, envelope, Some(grant), session).await?)
            }
        }
    }

    /// Whether an answer is what was published, or older. Subscribers have it then: the provider was asked, and nothing
    /// happened.
    fn says_nothing_new(&self, update: &DecodedUpdate, grant: &Grant, request: &ClaimRequest) -> bool {
        let (course, _) = self.course(update, grant, request);
        course.order == Order::Late || course.changes == [Change::None]
    }

    /// What the update is in the course of its delivery, and the delivery's state after it.
    fn course(
        &self,
        update: &DecodedUpdate,
        grant: &Grant,
        request: &ClaimRequest,
    ) -> (Course, Option<DeliveryState>) {
        // By the event's first receipt and not by that of the copy in hand, so that a repeat says what the first said.
        let moment = moment(update, grant.origin.receipt);
        DeliveryState::advance(
            grant.before.as_ref(),
            grant.place,
            &update.update,
            moment,
            self.provider.transitions(),
            request.precedence,
        )
    }

    /// Publishes the update. Returns what it is in the course of its delivery, and the delivery's state after it.
    async fn publish(
        &self,
        update: &DecodedUpdate,
        grant: &Grant,
        request: &ClaimRequest,
    ) -> Result<(Course, Option<DeliveryState>), PublishError> {
        let (course, after) = self.course(update, grant, request);
        let id = EventId::new(&request.delivery, &update.identity, grant.origin.receipt);
        let event = UpdateEvent::new(&request.delivery, id, &grant.origin, &update.update, &course);
        let span = spans::publish(&event);
        let publishing = self.publisher.publish(Outbound::Update(event)).instrument(span.clone());
        tokio::time::timeout(self.settings.processing_deadline, publishing)
            .await
            .unwrap_or(Err(PublishError::Unconfirmed))
            .inspect_err(|error| traces::failed(&span, error.as_str()))?;
        Ok((course, after))
    }

    async fn retry(
        &self,
        reason: RetryReason,
        envelope: &Envelope,
        grant: &Grant,
        session: &Session,
    ) -> Result<Outcome, SessionClosed> {
        let Some(due) = self.settings.schedule.delay_after(grant.attempt, chance::random()) else {
            let exhausted = ParkReason::RetriesExhausted;
            return self.park(exhausted, reason.as_str(), envelope, Some(grant), session).await;
        };
        let copy = envelope.retried(self.failure(grant.attempt, reason.as_str(), None), grant.crashes);
        let attempt = copy.attempt;
        self.confirmed(Outbound::Later(copy, due), session).await?;
        self.mark(grant, Mark::Retrying { attempt, due, reason }, session).await?;
        counts::retried(self.provider.id(), reason.as_str(), due);
        let RetryReason::PublishRefused = reason;
        counts::refused(self.provider.id());
        Ok(Outcome::Retried(reason))
    }

    async fn park(
        &self,
        reason: ParkReason,
        detail: &'static str,
        envelope: &Envelope,
        grant: Option<&Grant>,
        session: &Session,
    ) -> Result<Outcome, SessionClosed> {
        let (attempt, crashes) = grant.map_or((0, 0), |grant| (grant.attempt, grant.crashes));
        let (attempt, crashes) = (attempt.max(envelope.attempt), crashes.max(envelope.crashes));
        let copy = envelope.parked(self.failure(attempt, reason.as_str(), Some(detail)), crashes);
        let copy = Outbound::Parked(copy, reason, detail.into());
        let message = Envelope { attempt, crashes, ..envelope.clone() };
        let (mark, outcome) = match self.parker.park(copy, &message, &*self.publisher, session).await? {
            Parking::Parked => (Mark::Parked(reason), Outcome::Parked(reason)),
            Parking::PutOff => (Mark::Released, Outcome::Deferred),
        };
        if let Some(grant) = grant {
            self.mark(grant, mark, session).await?;
        }
        if outcome == Outcome::Parked(reason) {
            counts::parked(self.provider.id(), reason, detail, envelope);
        }
        Ok(outcome)
    }

    /// Parks a message that is not to be read again.
    pub(super) async fn park_unread(
        &self,
        envelope: &Envelope,
        detail: &'static str,
        session: &Session,
    ) -> Option<Outcome> {
        self.park(ParkReason::CrashLoop, detail, envelope, None, session).await.ok()
    }

    /// Another claim is in the way: a copy is delivered after this long.
    async fn defer(
        &self,
        left: Duration,
        envelope: &Envelope,
        session: &Session,
    ) -> Result<Outcome, SessionClosed> {
        self.confirmed(Outbound::Later(envelope.clone(), left), session).await?;
        Ok(Outcome::Deferred)
    }

    /// Claims the event. Behind another update of its delivery it waits a little, so that they are published in order.
    async fn claim(&self, request: &ClaimRequest, session: &Session) -> Result<Claim, SessionClosed> {
        let mut pauses = PAUSES_BEHIND.into_iter().map(Duration::from_millis);
        loop {
            let mut asked = Instant::now();
            let ask = || {
                asked = Instant::now();
                self.ledger.claim(request)
            };
            let claim = session.until_done(Dependency::Redis, ask).await?;
            counts::claimed(self.provider.id(), &claim);
            match claim {
                Claim::Behind(left) => match pauses.next() {
                    Some(pause) => session.pause(pause).await?,
                    None => return Ok(Claim::Behind(left)),
                },
                // The process was stopped meanwhile, say: the claim may end while the update is published, or have ended.
                Claim::Granted(_) if asked.elapsed() > self.most_for_a_claim() => {}
                claim => return Ok(claim),
            }
        }
    }

    /// A claim that was asked for longer ago leaves too little of its lease for a publish.
    fn most_for_a_claim(&self) -> Duration {
        self.settings.lease.saturating_sub(self.settings.processing_deadline)
    }

    /// Marks the event. When the session closes, it is tried once more: what is published and not marked would be
    /// published again.
    async fn mark(&self, grant: &Grant, mark: Mark, session: &Session) -> Result<(), SessionClosed> {
        match session.until_done(Dependency::Redis, || self.ledger.mark(&grant.event, mark)).await {
            Ok(_) => Ok(()),
            Err(closed) => self.ledger.mark(&grant.event, mark).await.map(drop).map_err(|_| closed),
        }
    }

    /// Gives a claim up, so that the next copy need not wait for its lease. Should that fail, the lease runs out.
    async fn release(&self, grant: &Grant) {
        if let Err(error) = self.ledger.mark(&grant.event, Mark::Released).await {
            tracing::debug!(provider = %self.provider.id(), %error, "a claim is left to its lease");
        }
    }

    /// Publishes a delayed copy until the broker confirms. A refusal here is an outage too: delay levels have no bound, so
    /// the broker could not take the message (a quorum without a majority, say).
    async fn confirmed(&self, outbound: Outbound, session: &Session) -> Result<(), SessionClosed> {
        session.confirmed(self.publisher.as_ref(), &outbound).await
    }

    fn failure(&self, attempt: u32, reason: &str, detail: Option<&str>) -> Failure {
        Failure::new(self.clock.now(), attempt, reason, detail)
    }

    fn claim_request(
        &self,
        envelope: &Envelope,
        delivery: &DeliveryKey,
        update: &DecodedUpdate,
    ) -> ClaimRequest {
        let moment = moment(update, envelope.receipt);
        let DecodedUpdate { identity, update, leg, .. } = update;
        ClaimRequest {
            delivery: delivery.clone(),
            identity: identity.clone(),
            copy: CopyInHand {
                receipt: envelope.receipt,
                attempt: envelope.attempt,
                crashes: envelope.crashes,
                replay: envelope.replay,
                token: Token(chance::random()),
                lease: self.settings.lease,
            },
            traceparent: envelope.trace.traceparent.clone(),
            moment,
            precedence: self.status_order.of(update.status),
            leg: leg.clone(),
            address: self.provider.address(update),
            horizon: self.settings.resend_horizon,
            ttl: self.settings.ttl,
        }
    }
}

/// Whether it says how a delivery stands, and is no event that the provider has an id of: those are pulled, too, from a list of
/// what it could not hand over.
fn is_answer(update: &DecodedUpdate, receipt: ReceiptId) -> bool {
    receipt.is_pulled() && update.identity.provider_event_id.is_none()
}

/// When an update that was received as `receipt` happened, and what. An answer without a time says what stands when the
/// provider is asked.
fn moment(decoded: &DecodedUpdate, receipt: ReceiptId) -> Moment {
    let received_at = receipt.received_at();
    let event_time = match &decoded.update.event_time {
        Some(time) => Some((time.utc, decoded.time_kind)),
        None => is_answer(decoded, receipt).then_some((received_at, TimeKind::Asked)),
    };
    Moment::new(decoded.update.status, event_time, received_at)
}
