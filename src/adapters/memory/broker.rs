//! The broker in memory: work queues, a timer heap where RabbitMQ has delay levels, parked messages, and a bounded
//! log of updates.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use crate::domain::envelope::Envelope;
use crate::domain::event::UpdateEvent;
use crate::domain::identity::{Account, ReceiptId};
use crate::domain::provider::ProviderId;
use crate::domain::verdict::ParkReason;
use crate::ports::{
    Delivery, Inbox, Outbound, PublishError, Publisher, Subscription, SubscriptionEnded, Tag,
};

/// A queue that holds this many messages refuses more, as a bounded RabbitMQ queue with `reject-publish` does.
const QUEUE_LIMIT: usize = 100_000;
/// A reader of updates that falls this far behind misses some.
const UPDATES_LIMIT: usize = 65_536;

#[derive(Debug, Clone)]
pub struct MemoryParked {
    pub envelope: Envelope,
    pub reason: ParkReason,
    /// In what particular.
    pub detail: Cow<'static, str>,
}

/// Ordered by due time, then by the order published.
struct Delayed {
    due: Instant,
    sequence: u64,
    envelope: Envelope,
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Delayed {}
impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Delayed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

#[derive(Default)]
struct MemoryQueues {
    /// Whose queues take every update.
    fed: Vec<ProviderId>,
    ready: HashMap<ProviderId, VecDeque<Envelope>>,
    delayed: BinaryHeap<Reverse<Delayed>>,
    parked: Vec<MemoryParked>,
    sequence: u64,
}

impl MemoryQueues {
    /// Moves what is due to its work queue. Returns when the next one is due.
    fn release_due(&mut self, now: Instant) -> Option<Instant> {
        while self.delayed.peek().is_some_and(|Reverse(next)| next.due <= now) {
            if let Some(Reverse(Delayed { envelope, .. })) = self.delayed.pop() {
                self.ready.entry(envelope.provider).or_default().push_back(envelope);
            }
        }
        self.delayed.peek().map(|Reverse(next)| next.due)
    }
}

struct Shared {
    queues: Mutex<MemoryQueues>,
    changed: Notify,
    updates: broadcast::Sender<UpdateEvent>,
}

/// The broker in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryBroker(Arc<Shared>);

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::with_updates(UPDATES_LIMIT)
    }
}

impl MemoryBroker {
    /// A reader of its updates that falls `limit` behind misses some. Their room is taken at once.
    #[must_use]
    pub fn with_updates(limit: usize) -> Self {
        let (updates, _) = broadcast::channel(limit);
        Self(Arc::new(Shared { queues: Mutex::default(), changed: Notify::new(), updates }))
    }

    /// Every update published from now on.
    #[must_use]
    pub fn updates(&self) -> broadcast::Receiver<UpdateEvent> {
        self.0.updates.subscribe()
    }

    /// From now on a sink's queue takes every update.
    pub fn feed(&self, sink: ProviderId) {
        self.queues().fed.push(sink);
    }

    #[must_use]
    pub fn parked(&self) -> Vec<MemoryParked> {
        self.queues().parked.clone()
    }

    /// How many messages wait in a provider's work queue.
    #[must_use]
    pub fn ready_messages(&self, provider: ProviderId) -> usize {
        self.queues().ready.get(&provider).map_or(0, VecDeque::len)
    }

    /// How many messages of a provider wait for a retry.
    #[must_use]
    pub fn delayed_messages(&self, provider: ProviderId) -> usize {
        let is_of = |Reverse(delayed): &&Reverse<Delayed>| delayed.envelope.provider == provider;
        self.queues().delayed.iter().filter(is_of).count()
    }

    /// How many messages of a provider are parked.
    #[must_use]
    pub fn parked_messages(&self, provider: ProviderId) -> usize {
        self.queues().parked.iter().filter(|parked| parked.envelope.provider == provider).count()
    }

    /// Whether a sink's queue takes every update.
    #[must_use]
    pub fn feeds(&self, sink: ProviderId) -> bool {
        self.queues().fed.contains(&sink)
    }

    fn queues(&self) -> MutexGuard<'_, MemoryQueues> {
        // Each step leaves the queues whole, so one that panicked elsewhere does no harm.
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Publisher for MemoryBroker {
    async fn publish(&self, outbound: Outbound) -> Result<(), PublishError> {
        let mut queues = self.queues();
        match outbound {
            Outbound::Raw(envelope) => {
                let queue = queues.ready.entry(envelope.provider).or_default();
                if queue.len() >= QUEUE_LIMIT {
                    return Err(PublishError::Refused);
                }
                queue.push_back(envelope);
            }
            Outbound::Later(envelope, delay) => {
                queues.sequence += 1;
                let sequence = queues.sequence;
                let due = Instant::now() + delay;
                queues.delayed.push(Reverse(Delayed { due, sequence, envelope }));
            }
            Outbound::Parked(envelope, reason, detail) => {
                if queues.parked.len() >= QUEUE_LIMIT {
                    return Err(PublishError::Refused);
                }
                queues.parked.push(MemoryParked { envelope, reason, detail });
            }
            Outbound::Update(event) => {
                let MemoryQueues { fed, ready, .. } = &mut *queues;
                for &sink in fed.iter() {
                    ready.entry(sink).or_default().push_back(on_queue_of(sink, &event));
                }
                // Without a listener it is no failure.
                drop(self.0.updates.send(event));
            }
        }
        drop(queues);
        self.0.changed.notify_waiters();
        Ok(())
    }

    fn ready(&self) -> bool {
        true
    }
}

#[async_trait]
impl Inbox for MemoryBroker {
    async fn subscribe(
        &self,
        provider: ProviderId,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, SubscriptionEnded> {
        Ok(Box::new(MemorySubscription {
            broker: self.clone(),
            provider,
            prefetch: usize::from(prefetch),
            unacknowledged: BTreeMap::new(),
            last_tag: 0,
            stopped: false,
        }))
    }
}

struct MemorySubscription {
    broker: MemoryBroker,
    provider: ProviderId,
    prefetch: usize,
    unacknowledged: BTreeMap<Tag, Envelope>,
    last_tag: Tag,
    stopped: bool,
}

impl MemorySubscription {
    fn take(&mut self) -> Result<Delivery, Option<Instant>> {
        let mut queues = self.broker.queues();
        let next_due = queues.release_due(Instant::now());
        if self.unacknowledged.len() >= self.prefetch {
            return Err(next_due);
        }
        let envelope = queues.ready.get_mut(&self.provider).and_then(VecDeque::pop_front).ok_or(next_due)?;
        self.last_tag += 1;
        self.unacknowledged.insert(self.last_tag, envelope.clone());
        Ok(Delivery { tag: self.last_tag, envelope, defect: None, returns: 0 })
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Result<Delivery, SubscriptionEnded> {
        loop {
            let shared = self.broker.0.clone();
            let mut changed = std::pin::pin!(shared.changed.notified());
            // Armed before looking, so that a change between looking and waiting is not missed.
            changed.as_mut().enable();
            if self.stopped {
                return Err(SubscriptionEnded);
            }
            let next_due = match self.take() {
                Ok(delivery) => return Ok(delivery),
                Err(next_due) => next_due,
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = due(next_due) => {}
            }
        }
    }

    fn acknowledge(&mut self, tags: &mut Vec<Tag>) {
        for tag in tags.drain(..) {
            self.unacknowledged.remove(&tag);
        }
    }

    async fn stop(&mut self) {
        self.stopped = true;
    }

    async fn close(self: Box<Self>) {}
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        let mut queues = self.broker.queues();
        let queue = queues.ready.entry(self.provider).or_default();
        for envelope in std::mem::take(&mut self.unacknowledged).into_values().rev() {
            queue.push_front(envelope);
        }
        drop(queues);
        self.broker.0.changed.notify_waiters();
    }
}

/// An event as it is on a sink's queue. What a webhook's message says beside its body, the event says in it.
fn on_queue_of(sink: ProviderId, event: &UpdateEvent) -> Envelope {
    let receipt = ReceiptId::new(Timestamp::UNIX_EPOCH, &[0; 10]);
    Envelope::new(receipt, sink, Account::default_account(), event.body.clone())
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
