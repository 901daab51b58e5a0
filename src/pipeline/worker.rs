//! A worker: takes messages, keeps each delivery's updates in order, bounds what is in flight, drains; and is the
//! only place that acknowledges a message, once.
//!
//! Everything runs in one task: concurrency comes from the round trips that overlap, and there is no lock. The
//! subscription's prefetch is the bound on what is in flight; nothing else may spawn work.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::message::Processor;
use super::session::{Dependency, Session};
use super::trials::{SUSPECT_AFTER, Trials};
use super::work::Work;
use crate::domain::claim::CRASH_LIMIT;
use crate::domain::identity::DeliveryKey;
use crate::domain::retry::reconnect_delay;
use crate::ports::{Delivery, Inbox, Subscription, Tag, chance};
use crate::telemetry::metrics as m;

/// How many messages are taken or finished before the other side gets a look.
const BATCH: usize = 64;

/// The numbers of a worker.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Messages in flight, at most.
    pub prefetch: u16,
    /// How long a drain finishes what is in flight before it gives the rest back.
    pub drain_deadline: Duration,
    /// How long an outage may last before messages are given back.
    pub outage_patience: Duration,
}

/// No start of a fleet that is well takes longer to connect. Until then that it is not connected yet is no news.
const CONNECTING: Duration = Duration::from_secs(3);

/// Takes one queue's messages until told to stop.
pub struct Worker<W: Work = Processor> {
    pub inbox: Arc<dyn Inbox>,
    /// What is done with one.
    pub processor: W,
    pub trials: Trials,
    pub settings: WorkerSettings,
    /// Called once a second while the worker's loop turns.
    pub heartbeat: Arc<dyn Fn() + Send + Sync>,
    /// Told whether the worker has a running subscription.
    pub subscribed: Arc<dyn Fn(bool) + Send + Sync>,
}

struct Finished {
    tag: Tag,
    taken: Instant,
    /// The lane to move on, if the message had one.
    lane: Option<DeliveryKey>,
    /// None when it is left to the broker.
    outcome: Option<&'static str>,
}

type Running<'a> = FuturesUnordered<BoxFuture<'a, Finished>>;

/// Messages of one delivery run one after another (invariant 8). A lane exists while one of its messages runs; the
/// others wait in it.
type Lanes<W> = HashMap<DeliveryKey, VecDeque<(Tag, Instant, <W as Work>::Item)>>;

/// What one subscription has under way.
struct InFlight<'a, W: Work> {
    worker: &'a Worker<W>,
    session: &'a Session,
    running: Running<'a>,
    lanes: Lanes<W>,
    /// What came back often, until its trial.
    suspects: VecDeque<(Instant, Delivery)>,
    /// What waits unread while there are suspects.
    held: VecDeque<(Instant, Delivery)>,
    /// Whether what runs is a trial.
    on_trial: bool,
    /// When each message was taken, oldest first.
    taken: BTreeMap<Tag, Instant>,
    /// What is to be acknowledged.
    finished: Vec<Tag>,
}

impl<W: Work> Worker<W> {
    /// Runs until `shutdown`, then drains. Subscribes again, with jittered pauses, whenever a subscription ends.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut tries = 0;
        let mut trying_since = Instant::now();
        while !shutdown.is_cancelled() {
            (self.heartbeat)();
            if let Some(subscription) = self.subscribe(trying_since.elapsed() >= CONNECTING).await {
                (self.subscribed)(true);
                // One that ends before anything was acknowledged may end so again: then the pauses grow.
                if self.serve(subscription, &shutdown).await {
                    tries = 0;
                }
                (self.subscribed)(false);
                trying_since = Instant::now();
            }
            let pause = reconnect_delay(tries, chance::random());
            tries += 1;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Subscribes once the ledger answers and the broker takes messages: without them every message taken would only
    /// wait, and be given back.
    ///
    /// Why it cannot yet is worth a `warning` once it takes longer than any start does.
    async fn subscribe(&self, warning: bool) -> Option<Box<dyn Subscription>> {
        let provider = self.processor.queue();
        let store = self.processor.ask_store().await;
        let publisher = self.processor.can_publish();
        if let Err(error) = &store
            && warning
        {
            tracing::warn!(%provider, error, "not subscribing: {} does not answer", W::STORE);
        }
        if !publisher && warning {
            tracing::warn!(%provider, "not subscribing: nothing can be published");
        }
        if store.is_err() || !publisher {
            return None;
        }
        let subscription = self.inbox.subscribe(provider, self.settings.prefetch).await.ok()?;
        tracing::info!(%provider, prefetch = self.settings.prefetch, "subscribed");
        Some(subscription)
    }

    /// Works until the subscription ends or is drained. Returns whether anything was acknowledged.
    async fn serve(&self, mut subscription: Box<dyn Subscription>, shutdown: &CancellationToken) -> bool {
        let session = Session::new(self.processor.queue(), self.settings.outage_patience);
        let mut in_flight = InFlight::new(self, &session);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut drain_deadline = None;
        let mut taking = true;
        let mut acknowledged_any = false;
        while taking || !in_flight.running.is_empty() {
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if drain_deadline.is_none() => {
                    drain_deadline = Some(Instant::now() + self.settings.drain_deadline);
                    subscription.stop().await;
                }
                () = sleep_until(drain_deadline), if drain_deadline.is_some() && !session.is_closed() => {
                    session.close();
                }
                () = session.closed(), if taking => taking = false,
                _ = tick.tick() => in_flight.report(),
                Some(finished) = in_flight.running.next(), if !in_flight.running.is_empty() => {
                    in_flight.finish(finished);
                    in_flight.finish_ready();
                    acknowledged_any |= !in_flight.finished.is_empty();
                    subscription.acknowledge(&mut in_flight.finished);
                }
                next = subscription.next(), if taking => match next {
                    Ok(delivery) => in_flight.take_ready(delivery, subscription.as_mut()),
                    Err(_) => {
                        taking = false;
                        // Ended by us, what is in flight may finish; ended by the broker, nothing can be acknowledged.
                        if drain_deadline.is_none() {
                            session.close();
                        }
                    }
                }
            }
        }
        // What still waited in a lane is given back.
        in_flight.taken.clear();
        in_flight.report();
        subscription.close().await;
        acknowledged_any
    }

    /// Reads and processes one message while nothing else runs. One of which several trials did not end is parked unread.
    async fn trial(&self, delivery: Delivery, session: &Session) -> Option<&'static str> {
        let Delivery { envelope, defect, .. } = delivery;
        let trial = self.trials.of(&envelope);
        let unended = session.until_done(Dependency::Redis, || trial.begin()).await.ok()?;
        let outcome = if unended >= CRASH_LIMIT {
            let detail = "its worker died five times with this one message in hand";
            self.processor.park_unread(&envelope, detail, session).await
        } else {
            let item = self.processor.read(envelope, defect);
            self.process(&item, session).await
        };
        // Left unended, it would count as a crash: at worst an innocent one waits for one trial more.
        let ending = || trial.end(unended, outcome.is_some());
        if session.until_done(Dependency::Redis, ending).await.is_err() {
            let _ = ending().await;
        }
        outcome
    }

    /// Processes one message. A panic that is not the message's own (of an adapter, say) ends the session: the broker
    /// delivers everything again, and counts.
    async fn process(&self, item: &W::Item, session: &Session) -> Option<&'static str> {
        let processing = self.processor.process(item, session);
        AssertUnwindSafe(processing).catch_unwind().await.unwrap_or_else(|_panic| {
            session.close();
            None
        })
    }
}

impl<'a, W: Work> InFlight<'a, W> {
    fn new(worker: &'a Worker<W>, session: &'a Session) -> Self {
        Self {
            worker,
            session,
            running: FuturesUnordered::new(),
            lanes: HashMap::new(),
            suspects: VecDeque::new(),
            held: VecDeque::new(),
            on_trial: false,
            taken: BTreeMap::new(),
            finished: Vec::new(),
        }
    }

    /// Takes a delivery and those that are already here.
    fn take_ready(&mut self, delivery: Delivery, subscription: &mut dyn Subscription) {
        self.take(delivery);
        for _ in 1..BATCH {
            match subscription.next().now_or_never() {
                Some(Ok(delivery)) => self.take(delivery),
                // An end seen here is seen again by the next call of `next`.
                Some(Err(_)) | None => break,
            }
        }
    }

    fn take(&mut self, delivery: Delivery) {
        let taken = Instant::now();
        self.taken.insert(delivery.tag, taken);
        if delivery.returns >= SUSPECT_AFTER {
            self.suspects.push_back((taken, delivery));
            self.next_trial();
        } else if self.on_trial || !self.suspects.is_empty() {
            self.held.push_back((taken, delivery));
        } else {
            self.admit(taken, delivery);
        }
    }

    /// Begins the next trial once nothing else runs. After the last one the others go on.
    fn next_trial(&mut self) {
        if self.on_trial || !self.running.is_empty() || self.session.is_closed() {
            return;
        }
        match self.suspects.pop_front() {
            Some((taken, delivery)) => {
                self.on_trial = true;
                let (worker, session, tag) = (self.worker, self.session, delivery.tag);
                self.running.push(Box::pin(async move {
                    let outcome = worker.trial(delivery, session).await;
                    Finished { tag, taken, lane: None, outcome }
                }));
            }
            None => {
                for (taken, delivery) in std::mem::take(&mut self.held) {
                    self.admit(taken, delivery);
                }
            }
        }
    }

    fn admit(&mut self, taken: Instant, Delivery { tag, envelope, defect, .. }: Delivery) {
        let message = self.worker.processor.read(envelope, defect);
        let lane = W::lane(&message);
        match lane.and_then(|delivery| self.lanes.get_mut(delivery)) {
            Some(waiting) => waiting.push_back((tag, taken, message)),
            None => {
                if let Some(delivery) = lane {
                    self.lanes.insert(delivery.clone(), VecDeque::new());
                }
                self.start(tag, taken, message);
            }
        }
    }

    fn start(&mut self, tag: Tag, taken: Instant, message: W::Item) {
        let (worker, session) = (self.worker, self.session);
        self.running.push(Box::pin(async move {
            let outcome = worker.process(&message, session).await;
            let lane = W::into_lane(message);
            Finished { tag, taken, lane, outcome }
        }));
    }

    fn finish_ready(&mut self) {
        for _ in 1..BATCH {
            match self.running.next().now_or_never() {
                Some(Some(finished)) => self.finish(finished),
                _ => break,
            }
        }
    }

    fn finish(&mut self, Finished { tag, taken, lane, outcome }: Finished) {
        self.taken.remove(&tag);
        if let Some(outcome) = outcome {
            self.finished.push(tag);
            let provider = self.worker.processor.queue().as_str();
            metrics::counter!(m::MESSAGES_SETTLED, "provider" => provider, "outcome" => outcome).increment(1);
            metrics::histogram!(m::PROCESS_DURATION, "provider" => provider, "outcome" => outcome)
                .record(taken.elapsed().as_secs_f64());
        }
        if let Some(lane) = lane {
            self.advance(&lane);
        }
        self.on_trial = false;
        self.next_trial();
    }

    /// Starts the lane's next message, or ends the lane. A closed session starts nothing more: what waits is
    /// given back untouched.
    fn advance(&mut self, lane: &DeliveryKey) {
        let next = self.lanes.get_mut(lane).and_then(VecDeque::pop_front);
        match next {
            Some((tag, taken, message)) if !self.session.is_closed() => self.start(tag, taken, message),
            _ => drop(self.lanes.remove(lane)),
        }
    }

    fn report(&self) {
        (self.worker.heartbeat)();
        let provider = self.worker.processor.queue().as_str();
        let oldest = self.taken.values().next().map_or(0.0, |taken| taken.elapsed().as_secs_f64());
        #[allow(clippy::cast_precision_loss)] // At most the prefetch, which is 16 bits.
        metrics::gauge!(m::INFLIGHT, "provider" => provider).set(self.taken.len() as f64);
        metrics::gauge!(m::OLDEST_INFLIGHT_AGE, "provider" => provider).set(oldest);
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
