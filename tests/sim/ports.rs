//! The ports of one process: those of the in-memory adapters, by way of its connections.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use milepost::domain::identity::ReceiptId;
use milepost::domain::provider::ProviderId;
use milepost::ports::{
    Clock, Inbox, Ledger, LedgerError, Outbound, PublishError, Publisher, Subscription, SubscriptionEnded,
};
use tokio::time::{Instant, sleep};

use crate::consumer::Consumer;
use crate::link::CONFIRM_TIMEOUT;
use crate::plan::Weather;
use crate::planted::{Planted, planted_claim};
use crate::process::{Lost, Process, RESPONSE_TIMEOUT, lock};
use crate::world::World;

/// All ports of a process.
#[derive(Clone)]
pub struct Ports {
    pub world: Arc<World>,
    pub process: Arc<Process>,
}

impl Ports {
    pub fn has(&self, bug: Planted) -> bool {
        self.process.planted == Some(bug)
    }

    async fn sent(&self, outbound: Outbound, send: Option<usize>) -> Result<(), PublishError> {
        let (world, process) = (Arc::clone(&self.world), Arc::clone(&self.process));
        let pulled = pulled(&outbound);
        let effect = move || world.broker.take(&world, &process, outbound, send);
        let result = match self.process.call(&self.process.slot.broker, CONFIRM_TIMEOUT, effect).await {
            Ok(answer) => answer,
            Err(Lost::NotSent) => Err(PublishError::Unavailable),
            Err(Lost::NoReply) => Err(PublishError::Unconfirmed),
        };
        if let Some(receipt) = pulled.filter(|_| result.is_ok()) {
            self.world.book().pulled(&self.process, receipt);
        }
        result
    }

    /// Writes down what a reconciler is about to put into the intake.
    fn begins_to_pull(&self, outbound: &Outbound) {
        if let Outbound::Raw(envelope) = outbound
            && pulled(outbound).is_some()
        {
            let certain = self.is_certain();
            self.world.book().pulling(&self.process, envelope, self.world.true_time(), certain);
        }
    }

    /// What was pulled, with a receipt as of a webhook that was sent.
    fn as_if_sent(&self, outbound: Outbound) -> Outbound {
        match outbound {
            Outbound::Raw(envelope) if envelope.receipt.is_pulled() => {
                let (mut random, mut envelope) = ([0; 10], envelope);
                random.copy_from_slice(&envelope.receipt.as_bytes()[6..]);
                envelope.receipt = ReceiptId::new(envelope.receipt.received_at(), &random);
                self.world.book().pulling(
                    &self.process,
                    &envelope,
                    self.world.true_time(),
                    self.is_certain(),
                );
                Outbound::Raw(envelope)
            }
            outbound => outbound,
        }
    }

    /// Whether the process's clock is right.
    pub fn is_certain(&self) -> bool {
        let (error, until) = self.world.clock_error(&self.process);
        until <= Instant::now() || error.abs() < 1_000
    }

    /// Asks Redis.
    pub async fn asked<R: Send + 'static>(
        &self,
        effect: impl FnOnce(&World, &Process) -> R + Send + 'static,
    ) -> Result<R, Lost> {
        let (world, process) = (Arc::clone(&self.world), Arc::clone(&self.process));
        let effect = move || effect(&world, &process);
        self.process.call(&self.process.slot.redis, RESPONSE_TIMEOUT, effect).await
    }
}

/// The receipt of what was pulled.
fn pulled(outbound: &Outbound) -> Option<ReceiptId> {
    match outbound {
        Outbound::Raw(envelope) => Some(envelope.receipt).filter(|receipt| receipt.is_pulled()),
        _ => None,
    }
}

/// A send whose future is dropped has no known result.
struct Sending<'a>(&'a World, usize, bool);

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.2 {
            self.0.book().sent(self.1, Err(PublishError::Unconfirmed));
        }
    }
}

#[async_trait]
impl Publisher for Ports {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        let outbound = if self.has(Planted::PulledIsSent) { self.as_if_sent(outbound) } else { outbound };
        let send = match &outbound {
            Outbound::Update(event) => Some(self.world.book().sending(&self.process, event)),
            _ => None,
        };
        self.begins_to_pull(&outbound);
        let unconfirmed = match &outbound {
            Outbound::Raw(_) => self.has(Planted::AnswersBeforeTheConfirm) && !self.process.is_operator(),
            Outbound::Later(..) => self.has(Planted::DelayedCopyUnconfirmed),
            Outbound::Parked(..) => self.has(Planted::ParkedCopyUnconfirmed),
            Outbound::Update(_) => false,
        };
        if unconfirmed {
            let (ports, process) = (self.clone(), Arc::clone(&self.process));
            let task = tokio::spawn(async move {
                let _ = ports.sent(outbound, None).await;
            });
            process.owns(task.abort_handle());
            return Ok(());
        }
        let outbound = match outbound {
            Outbound::Raw(envelope) if self.has(Planted::SecretIsKept) => {
                Outbound::Raw(self.world.with_secret(envelope))
            }
            outbound => outbound,
        };
        let Some(send) = send else { return self.sent(outbound, None).await };
        let mut sending = Sending(&self.world, send, false);
        let about = self.world.book().about(send);
        if self.world.kills(about) {
            self.process.crash(0).await;
        }
        let result = self.sent(outbound, Some(send)).await;
        sending.2 = true;
        self.world.book().sent(send, result);
        match result {
            Err(PublishError::Unavailable | PublishError::Unconfirmed)
                if self.has(Planted::OutageSpendsAttempts) =>
            {
                Err(PublishError::Refused)
            }
            result => result,
        }
    }

    fn ready(&self) -> bool {
        self.process.slot.broker.is_usable(self.has(Planted::KeepsASilentConnection))
    }
}

#[async_trait]
impl Ledger for Ports {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError> {
        let (request, planted) = (request.clone(), self.process.planted);
        self.asked(move |world, process| {
            let claim = planted_claim(world, &request, planted);
            world.book().claimed(process, &request, &claim, world.redis.now());
            claim
        })
        .await
        .map_err(away)
    }

    async fn mark(&self, event: &EventRef, mark: Mark) -> Result<bool, LedgerError> {
        let mark = match mark {
            Mark::Released if self.has(Planted::ReleaseIsDone) => Mark::Published(None),
            mark => mark,
        };
        let (named, planted) = (event.clone(), self.process.planted);
        let effect = move |world: &World, process: &Process| {
            let changed = world.redis.mark(&named, mark);
            if planted == Some(Planted::DoneIsOverwritten) && !changed && !matches!(mark, Mark::Published(_))
            {
                lock(&world.redis.planted).undone.push(named.name.clone());
            }
            world.book().marked(process, &named, mark, changed);
            changed
        };
        if self.has(Planted::AcknowledgesBeforeMarking) {
            let ports = self.clone();
            let task = tokio::spawn(async move {
                let _ = ports.asked(effect).await;
            });
            self.process.owns(task.abort_handle());
            return Ok(true);
        }
        let result = self.asked(effect).await;
        if result.is_err() {
            self.world.book().mark_failed(&self.process, event);
        }
        result.map_err(away)
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.asked(|_, _| ()).await.map_err(away)
    }
}

pub fn away(lost: Lost) -> LedgerError {
    LedgerError(format!("{lost:?}"))
}

#[async_trait]
impl Inbox for Ports {
    async fn subscribe(
        &self,
        provider: ProviderId,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, SubscriptionEnded> {
        self.process.alive().await;
        let link = &self.process.slot.broker;
        sleep(link.with_dice(|dice, _| dice.latency())).await;
        if matches!(link.weather(), Weather::Down | Weather::Hanging) {
            return Err(SubscriptionEnded);
        }
        let inner = self.world.broker.queues.subscribe(provider, prefetch).await?;
        Ok(Box::new(Consumer::new(self.clone(), inner)))
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        let (error, _) = self.world.clock_error(&self.process);
        self.world.true_time() + SignedDuration::from_millis(error)
    }
}
