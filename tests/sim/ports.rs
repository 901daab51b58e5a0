//! The ports of one process: those of the in-memory adapters, by way of its connections.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark, Token};
use milepost::domain::envelope::{Envelope, Replay};
use milepost::domain::provider::ProviderId;
use milepost::ports::{
    Clock, Delivery, Inbox, Ledger, LedgerError, Outbound, PublishError, Publisher, Subscription,
    SubscriptionEnded, Tag,
};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::plan::Weather;
use crate::planted::Planted;
use crate::process::{CONFIRM_TIMEOUT, Lost, Process, RESPONSE_TIMEOUT, lock};
use crate::world::World;

/// All ports of a process.
#[derive(Clone)]
pub struct Ports {
    pub world: Arc<World>,
    pub process: Arc<Process>,
}

impl Ports {
    fn has(&self, bug: Planted) -> bool {
        self.process.planted == Some(bug)
    }

    async fn sent(&self, outbound: Outbound, send: Option<usize>) -> Result<(), PublishError> {
        let (world, process) = (Arc::clone(&self.world), Arc::clone(&self.process));
        let effect = move || world.broker.take(&world, &process, outbound, send);
        match self.process.call(&self.process.slot.broker, CONFIRM_TIMEOUT, effect).await {
            Ok(answer) => answer,
            Err(Lost::NotSent) => Err(PublishError::Unavailable),
            Err(Lost::NoReply) => Err(PublishError::Unconfirmed),
        }
    }

    async fn asked<R: Send + 'static>(
        &self,
        effect: impl FnOnce(&World, &Process) -> R + Send + 'static,
    ) -> Result<R, LedgerError> {
        let (world, process) = (Arc::clone(&self.world), Arc::clone(&self.process));
        let effect = move || effect(&world, &process);
        let reply = self.process.call(&self.process.slot.redis, RESPONSE_TIMEOUT, effect).await;
        reply.map_err(|lost| LedgerError(format!("{lost:?}")))
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
        let send = match &outbound {
            Outbound::Update(event) => Some(self.world.book().sending(&self.process, event)),
            _ => None,
        };
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
        result
    }

    async fn ping(&self) -> Result<(), LedgerError> {
        self.asked(|_, _| ()).await
    }
}

/// A claim, as a ledger with this bug would answer it.
fn planted_claim(world: &World, request: &ClaimRequest, planted: Option<Planted>) -> Claim {
    let Some(planted) = planted else { return world.redis.claim(request) };
    let receipt = request.copy.receipt;
    let mut request = request.clone();
    let mut state = lock(&world.redis.planted);
    let content = request.identity.fingerprint.0;
    match planted {
        Planted::ClaimsWithoutAToken => request.copy.token = Token(7),
        Planted::LeaseBelowTheDeadline => request.copy.lease = Duration::from_secs(2),
        Planted::OccurrenceIgnored => request.horizon = Duration::from_secs(10_000_000),
        Planted::ReplayIsAnyCopy => {
            request.copy.replay = request.copy.replay.filter(|replay| *replay != Replay::Normal);
        }
        Planted::NearestAnchor if request.identity.provider_event_id.is_none() => {
            let anchors = state.anchors.entry(content).or_default();
            let receipt = request.copy.receipt;
            let apart = |anchor: &milepost::domain::identity::ReceiptId| {
                anchor.received_at().duration_since(receipt.received_at()).unsigned_abs()
            };
            let nearest = anchors.iter().copied().min_by_key(apart);
            if let Some(nearest) = nearest.filter(|nearest| apart(nearest) <= request.horizon) {
                request.copy.receipt = nearest;
            }
        }
        _ => {}
    }
    let delivery = request.delivery.delivery_id.clone();
    let mut claim = world.redis.claim(&request);
    if planted == Planted::NoTurnsWithinADelivery
        && let Claim::Behind(_) = claim
        && let Some(other) = state.in_hand.get(&delivery)
    {
        world.redis.mark(other, Mark::Released);
        claim = world.redis.claim(&request);
    }
    if planted == Planted::DoneIsOverwritten && claim == Claim::Done && !state.undone.is_empty() {
        let again = Replay::Force(Uuid::from_u64_pair(request.copy.token.0, 1));
        let mut forced = request.clone();
        forced.copy.replay = Some(again);
        // Only the event whose mark came late.
        if let Claim::Granted(grant) = world.redis.claim(&forced) {
            let name = grant.event.name.split('!').next().unwrap_or_default().to_owned();
            match state.undone.iter().position(|undone| *undone == name) {
                Some(at) => {
                    state.undone.remove(at);
                    claim = Claim::Granted(grant);
                }
                None => drop(world.redis.mark(&grant.event, Mark::Published(None))),
            }
        }
    }
    if let Claim::Granted(grant) = &mut claim {
        grant.event.receipt = receipt;
        state.in_hand.insert(delivery, grant.event.clone());
        let anchors = state.anchors.entry(content).or_default();
        if !anchors.contains(&grant.origin.receipt) {
            anchors.push(grant.origin.receipt);
        }
        match planted {
            Planted::OvertakenIsForgotten => grant.place.overtaken = false,
            Planted::RepeatSaysAnother => grant.place.sequence += request.copy.token.0 % 1000,
            _ => {}
        }
    }
    claim
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
        Ok(Box::new(Consumer {
            ports: self.clone(),
            inner: Some(inner),
            cuts: link.cuts(),
            taken: BTreeMap::new(),
            acknowledged: VecDeque::new(),
        }))
    }
}

/// A subscription by way of a connection. An acknowledgement is not answered: it is lost if the connection ends first.
struct Consumer {
    ports: Ports,
    inner: Option<Box<dyn Subscription>>,
    cuts: u64,
    taken: BTreeMap<Tag, Envelope>,
    acknowledged: VecDeque<(Instant, Tag)>,
}

impl Consumer {
    fn is_cut(&self) -> bool {
        self.ports.process.slot.broker.cuts() != self.cuts
    }

    /// What arrived of the acknowledgements by now.
    fn arrive(&mut self, now: Option<Instant>) {
        let Some(inner) = self.inner.as_mut() else { return };
        let mut tags = Vec::new();
        while let Some((at, tag)) = self.acknowledged.front().copied() {
            if now.is_some_and(|now| at > now) {
                break;
            }
            self.acknowledged.pop_front();
            tags.push(tag);
        }
        for tag in &tags {
            if let Some(envelope) = self.taken.remove(tag) {
                self.ports.world.book().gone(&self.ports.process, &envelope);
            }
        }
        inner.acknowledge(&mut tags);
    }
}

#[async_trait]
impl Subscription for Consumer {
    async fn next(&mut self) -> Result<Delivery, SubscriptionEnded> {
        let ports = self.ports.clone();
        let link = &ports.process.slot.broker;
        loop {
            let mut changed = std::pin::pin!(link.changed.notified());
            changed.as_mut().enable();
            ports.process.alive().await;
            if self.is_cut() {
                // The broker gives its messages back at once; the process notices later.
                self.inner = None;
                sleep(link.with_dice(|dice, _| dice.latency() * 4)).await;
                return Err(SubscriptionEnded);
            }
            if link.weather() == Weather::Hanging {
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(link.until()) => {}
                }
                continue;
            }
            self.arrive(Some(Instant::now()));
            let next_ack = self.acknowledged.front().map(|(at, _)| *at);
            let inner = self.inner.as_mut().ok_or(SubscriptionEnded)?;
            let delivery = tokio::select! {
                biased;
                () = changed => continue,
                () = sleep_until(next_ack.unwrap_or_else(Instant::now)), if next_ack.is_some() => continue,
                delivery = inner.next() => delivery?,
            };
            self.taken.insert(delivery.tag, delivery.envelope.clone());
            ports.world.book().taken(&ports.process, &delivery.envelope);
            if ports.has(Planted::AcknowledgesWhatItTakes) {
                self.acknowledge(&mut vec![delivery.tag]);
                self.arrive(None);
            }
            return Ok(delivery);
        }
    }

    fn acknowledge(&mut self, tags: &mut Vec<Tag>) {
        let on_the_way = self.ports.process.slot.broker.with_dice(|dice, _| dice.latency());
        for tag in tags.drain(..) {
            if let Some(envelope) = self.taken.get(&tag) {
                self.ports.world.book().acknowledged(&self.ports.process, envelope);
            }
            let earliest = self.acknowledged.back().map_or_else(Instant::now, |(at, _)| *at);
            self.acknowledged.push_back((earliest.max(Instant::now() + on_the_way), tag));
        }
    }

    async fn stop(&mut self) {
        if let Some(inner) = self.inner.as_mut() {
            inner.stop().await;
        }
    }

    async fn close(mut self: Box<Self>) {
        self.ports.process.alive().await;
        if !self.is_cut() {
            self.arrive(None);
        }
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        let (error, _) = self.world.clock_error(&self.process);
        self.world.true_time() + SignedDuration::from_millis(error)
    }
}
