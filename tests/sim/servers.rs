//! The servers: a broker and a Redis, each the in-memory adapter of `src` and what may happen to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use milepost::adapters::memory::{MemoryBroker, MemoryCells, MemoryGaps, MemoryLedger};
use milepost::domain::claim::{Claim, ClaimRequest, EventRef, Mark};
use milepost::domain::envelope::Envelope;
use milepost::domain::gap::Gap;
use milepost::domain::identity::Account;
use milepost::domain::provider::ProviderId;
use milepost::domain::silence::Cutoffs;
use milepost::domain::verdict::ParkReason;
use milepost::ports::{
    Cell, Cells as _, Clock, Gaps as _, Ledger as _, OpenDeliveries as _, OpenDelivery, Outbound,
    PublishError, Publisher as _, Swap,
};
use tokio::time::Instant;

use crate::plan::EPOCH;
use crate::process::{Process, lock};
use crate::world::World;

/// Updates are noted as they are published, not read from the broker.
const UPDATES: usize = 1;

/// The broker.
pub struct Broker {
    pub queues: MemoryBroker,
    state: Mutex<State>,
}

struct State {
    subscriber_full_until: Instant,
    queue_full_until: Instant,
    parked: Vec<ParkedCopy>,
    number: u64,
}

/// A message on a parked queue.
#[derive(Debug, Clone)]
pub struct ParkedCopy {
    /// Tells one from another.
    pub number: u64,
    pub envelope: Envelope,
    pub reason: ParkReason,
    pub detail: String,
    pub at: Timestamp,
}

impl Broker {
    pub fn new() -> Self {
        let now = Instant::now();
        let state =
            State { subscriber_full_until: now, queue_full_until: now, parked: Vec::new(), number: 0 };
        Self { queues: MemoryBroker::with_updates(UPDATES), state: Mutex::new(state) }
    }

    pub fn subscriber_full(&self, until: Instant) {
        lock(&self.state).subscriber_full_until = until;
    }

    pub fn queue_full(&self, until: Instant) {
        lock(&self.state).queue_full_until = until;
    }

    pub fn parked(&self) -> Vec<ParkedCopy> {
        lock(&self.state).parked.clone()
    }

    /// Takes a message off its parked queue.
    pub fn unpark(&self, number: u64) {
        lock(&self.state).parked.retain(|parked| parked.number != number);
    }

    /// Stores a message, or refuses it.
    pub fn take(
        &self,
        world: &World,
        process: &Process,
        outbound: Outbound,
        send: Option<usize>,
    ) -> Result<(), PublishError> {
        let now = Instant::now();
        let refused = process.slot.broker.with_dice(|dice, rates| {
            let share = if send.is_some() { rates.refusal } else { rates.refusal / 4.0 };
            dice.happens(share).then(|| dice.happens(0.7))
        });
        let (subscriber_full, queue_full) = {
            let state = lock(&self.state);
            (state.subscriber_full_until > now, state.queue_full_until > now)
        };
        match outbound {
            Outbound::Update(ref event) => {
                let full = subscriber_full.then_some(true);
                let refused = refused.or(full);
                let send = send.unwrap_or_default();
                // One full queue refuses what the others have taken.
                if refused != Some(false) {
                    let body = event.body.clone();
                    self.queues.publish(outbound).now_or_never();
                    world.book().published(send, body);
                }
                if refused.is_some() {
                    world.book().refused(send);
                    return Err(PublishError::Refused);
                }
            }
            Outbound::Raw(_) if queue_full => return Err(PublishError::Refused),
            _ if refused.is_some() => return Err(PublishError::Refused),
            Outbound::Raw(ref envelope) => {
                world.book().stored(process, envelope);
                self.queues.publish(outbound).now_or_never();
            }
            Outbound::Later(envelope, delay) => {
                let delay = process.slot.broker.with_dice(|dice, _| levelled(delay, dice.below(300)));
                world.book().delayed(process, &envelope, now + delay);
                self.queues.publish(Outbound::Later(envelope, delay)).now_or_never();
            }
            Outbound::Parked(envelope, reason, detail) => {
                world.book().parked(process, &envelope, reason);
                let mut state = lock(&self.state);
                state.number += 1;
                let (number, detail, at) = (state.number, detail.to_string(), world.true_time());
                state.parked.push(ParkedCopy { number, envelope, reason, detail, at });
            }
        }
        Ok(())
    }
}

/// How long the delay levels hold a message: whole seconds, at most a sixteenth early, and a little late.
fn levelled(delay: Duration, late_ms: u64) -> Duration {
    let seconds = delay.as_millis().div_ceil(1000).clamp(1, 4095) as u64;
    let surplus = (u64::BITS - seconds.leading_zeros()).saturating_sub(5);
    Duration::from_secs(seconds >> surplus << surplus) + Duration::from_millis(late_ms)
}

/// Redis's clock.
struct RedisTime {
    start: Instant,
    state: Mutex<(SignedDuration, Option<Timestamp>)>,
}

impl Clock for RedisTime {
    fn now(&self) -> Timestamp {
        let (offset, replayed) = *lock(&self.state);
        let elapsed = SignedDuration::try_from(self.start.elapsed()).unwrap_or_default();
        replayed.unwrap_or(EPOCH + elapsed + offset)
    }
}

/// A write, for making Redis again as it was.
#[derive(Clone)]
enum Write {
    Claim(ClaimRequest),
    Mark(EventRef, Mark),
    Swap { key: String, old: Option<String>, new: String, ttl: Duration },
    Gap(ProviderId, String, Gap),
}

/// Redis, with the ledger, the gaps and the cells in it.
pub struct Redis {
    time: Arc<RedisTime>,
    ledger: Mutex<Arc<MemoryLedger>>,
    cells: Mutex<Arc<MemoryCells>>,
    gaps: Mutex<Arc<MemoryGaps>>,
    journal: Mutex<Option<Vec<(Instant, Timestamp, Write)>>>,
    /// For planted bugs: what a ledger that has the bug would know.
    pub planted: Mutex<PlantedState>,
}

#[derive(Default)]
pub struct PlantedState {
    pub anchors: BTreeMap<[u8; 32], Vec<milepost::domain::identity::ReceiptId>>,
    pub undone: Vec<String>,
    pub in_hand: BTreeMap<String, EventRef>,
    /// By process: leases of a sink's that are its own.
    pub leases: BTreeSet<(u32, String)>,
}

impl Redis {
    /// Only a Redis that will lose something keeps a journal.
    pub fn new(start: Instant, loses: bool) -> Self {
        let time = Arc::new(RedisTime { start, state: Mutex::new((SignedDuration::ZERO, None)) });
        let ledger = Mutex::new(Arc::new(MemoryLedger::new(time.clone())));
        let cells = Mutex::new(Arc::new(MemoryCells::new(time.clone())));
        let journal = Mutex::new(loses.then(Vec::new));
        let gaps = Mutex::default();
        Self { time, ledger, cells, gaps, journal, planted: Mutex::default() }
    }

    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        self.time.clone()
    }

    pub fn jump(&self, by: SignedDuration) {
        lock(&self.time.state).0 += by;
    }

    pub fn claim(&self, request: &ClaimRequest) -> Claim {
        self.note(|| Write::Claim(request.clone()));
        let ledger = Arc::clone(&lock(&self.ledger));
        ledger.claim(request).now_or_never().expect("it never waits").expect("it is never away")
    }

    pub fn mark(&self, event: &EventRef, mark: Mark) -> bool {
        self.note(|| Write::Mark(event.clone(), mark));
        let ledger = Arc::clone(&lock(&self.ledger));
        ledger.mark(event, mark).now_or_never().expect("it never waits").expect("it is never away")
    }

    pub fn read(&self, key: &str) -> Cell {
        let cells = Arc::clone(&lock(&self.cells));
        cells.read(key).now_or_never().expect("it never waits").expect("it is never away")
    }

    pub fn swap(&self, key: &str, old: Option<&str>, new: &str, ttl: Duration) -> Swap {
        let cells = Arc::clone(&lock(&self.cells));
        let swap =
            cells.swap(key, old, new, ttl).now_or_never().expect("it never waits").expect("it is never away");
        if swap == Swap::Done {
            let (key, old, new) = (key.to_owned(), old.map(str::to_owned), new.to_owned());
            self.note(|| Write::Swap { key, old, new, ttl });
        }
        swap
    }

    /// The deliveries of the provider's one account that are not closed, the longest silent first.
    pub fn open(&self, provider: ProviderId) -> Vec<OpenDelivery> {
        let ledger = Arc::clone(&lock(&self.ledger));
        let (account, all) = (Account::default_account(), Cutoffs::at(Timestamp::MAX));
        let open = ledger.silent(provider, &account, &all, usize::MAX).now_or_never();
        open.expect("it never waits").expect("it is never away")
    }

    pub fn note_gap(&self, provider: ProviderId, name: &str, gap: &Gap) {
        self.note(|| Write::Gap(provider, name.to_owned(), gap.clone()));
        drop(lock(&self.gaps).note(provider, name, gap).now_or_never());
    }

    pub fn gaps_since(&self, provider: ProviderId, since: Timestamp) -> Vec<Gap> {
        let gaps = Arc::clone(&lock(&self.gaps));
        gaps.since(provider, since).now_or_never().expect("it never waits").expect("it is never away")
    }

    fn note(&self, write: impl FnOnce() -> Write) {
        if let Some(journal) = lock(&self.journal).as_mut() {
            journal.push((Instant::now(), self.now(), write()));
        }
    }

    /// Forgets what was written since `since`. Returns the receipts whose writes are lost.
    pub fn lose(&self, since: Instant) -> Vec<milepost::domain::identity::ReceiptId> {
        let mut journal = lock(&self.journal);
        let Some(journal) = journal.as_mut() else { return Vec::new() };
        let kept = journal.partition_point(|(at, _, _)| *at < since);
        let lost = journal.drain(kept..).filter_map(|(_, _, write)| match write {
            Write::Claim(request) => Some(request.copy.receipt),
            Write::Mark(event, _) => Some(event.receipt),
            Write::Swap { .. } | Write::Gap(..) => None,
        });
        let lost = lost.collect();
        let ledger = MemoryLedger::new(self.time.clone());
        let cells = MemoryCells::new(self.time.clone());
        let gaps = MemoryGaps::default();
        for (_, at, write) in journal.iter() {
            lock(&self.time.state).1 = Some(*at);
            match write {
                Write::Claim(request) => drop(ledger.claim(request).now_or_never()),
                Write::Mark(event, mark) => drop(ledger.mark(event, *mark).now_or_never()),
                Write::Swap { key, old, new, ttl } => {
                    drop(cells.swap(key, old.as_deref(), new, *ttl).now_or_never());
                }
                Write::Gap(provider, name, gap) => drop(gaps.note(*provider, name, gap).now_or_never()),
            }
        }
        lock(&self.time.state).1 = None;
        *lock(&self.ledger) = Arc::new(ledger);
        *lock(&self.cells) = Arc::new(cells);
        *lock(&self.gaps) = Arc::new(gaps);
        lost
    }
}
