//! The second store: each provider's spool in the simulated Redis, and a process's way to it.
//!
//! Redis writes to its disk once a second, as with `appendfsync everysec`. When it goes down it restarts with
//! what was on the disk: an append is proved once its second is over, and what is not proved may be lost, a
//! removal as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use milepost::adapters::memory::MemorySpool;
use milepost::domain::envelope::Envelope;
use milepost::domain::provider::ProviderId;
use milepost::pipeline::spooling::Spooling;
use milepost::ports::{Clock, DurabilityProof, Next, Spool, SpoolError, SpoolLimits, SpoolState, Spooled};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::planted::Planted;
use crate::ports::Ports;
use crate::process::{Lost, RESPONSE_TIMEOUT, lock};

pub const LIMITS: SpoolLimits = SpoolLimits { max_entries: 6, max_bytes: 1 << 20 };
/// How long a proof may take, as `spool.timeout_ms`.
const PROOF_TIMEOUT: Duration = Duration::from_secs(3);
/// Longer than a publish may take.
const LEASE: Duration = Duration::from_secs(10);
/// Between two writes to the disk.
const FSYNC_EVERY: Duration = Duration::from_secs(1);

enum Write {
    Append(Envelope),
    Remove(Spooled),
}

/// One provider's spool.
struct Kept {
    spool: MemorySpool,
    /// By process.
    drainers: BTreeMap<u32, MemorySpool>,
    journal: Vec<(Instant, Write)>,
    /// How often Redis restarted without its last writes.
    losses: u64,
    entries: u64,
    /// Wakes those who wait in the order in which they came: a watch channel's order is chance.
    changed: Arc<Notify>,
}

/// All spools.
pub struct Spools {
    start: Instant,
    clock: Arc<dyn Clock>,
    kept: Mutex<BTreeMap<ProviderId, Kept>>,
}

impl Spools {
    pub fn new(start: Instant, clock: Arc<dyn Clock>) -> Self {
        Self { start, clock, kept: Mutex::default() }
    }

    pub fn are_empty(&self) -> bool {
        lock(&self.kept).values().all(|kept| kept.entries == 0)
    }

    /// The last moment that is on the disk.
    fn on_disk(&self) -> Instant {
        let seconds = self.start.elapsed().as_millis() / FSYNC_EVERY.as_millis();
        self.start + FSYNC_EVERY * u32::try_from(seconds).expect("no schedule lasts so long")
    }

    fn with<T>(&self, provider: ProviderId, on: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = lock(&self.kept);
        let kept = kept.entry(provider).or_insert_with(|| Kept {
            spool: MemorySpool::new(LIMITS, Arc::clone(&self.clock)),
            drainers: BTreeMap::new(),
            journal: Vec::new(),
            losses: 0,
            entries: 0,
            changed: Arc::default(),
        });
        let result = on(kept);
        let state = kept.spool.look().now_or_never().expect("it never waits").expect("it is never away");
        if std::mem::replace(&mut kept.entries, state.entries) != state.entries {
            kept.changed.notify_waiters();
        }
        result
    }

    /// Redis goes down, and restarts with what was on its disk.
    pub fn lose(&self) {
        let (on_disk, providers) = (self.on_disk(), lock(&self.kept).keys().copied().collect::<Vec<_>>());
        for provider in providers {
            self.with(provider, |kept| {
                kept.losses += 1;
                kept.drainers.clear();
                kept.spool = MemorySpool::new(LIMITS, Arc::clone(&self.clock));
                kept.journal.retain(|(at, _)| *at < on_disk);
                for (_, write) in &kept.journal {
                    // The same writes in the same order give the same ids.
                    match write {
                        Write::Append(webhook) => drop(kept.spool.append(webhook).now_or_never()),
                        Write::Remove(spooled) => drop(kept.spool.release(Some(spooled)).now_or_never()),
                    }
                }
            });
        }
    }

    /// Whether it was appended, when it will be on the disk, and how often Redis went down before.
    fn append(&self, provider: ProviderId, webhook: &Envelope) -> (Result<(), SpoolError>, Instant, u64) {
        let proved = self.on_disk() + FSYNC_EVERY;
        self.with(provider, |kept| {
            let result = kept.spool.append(webhook).now_or_never().expect("it never waits");
            if result.is_ok() {
                kept.journal.push((Instant::now(), Write::Append(webhook.clone())));
            }
            (result, proved, kept.losses)
        })
    }

    /// The next entry for a process; none gives its lease back.
    fn next(
        &self,
        provider: ProviderId,
        process: u32,
        lease: Option<Duration>,
        confirmed: Option<&Spooled>,
    ) -> Next {
        self.with(provider, |kept| {
            if let Some(spooled) = confirmed {
                kept.journal.push((Instant::now(), Write::Remove(spooled.clone())));
            }
            let beside = || kept.spool.beside();
            let drainer = kept.drainers.entry(process).or_insert_with(beside);
            let next = match lease {
                Some(lease) => drainer.next(lease, confirmed).now_or_never().expect("it never waits"),
                None => {
                    drainer.release(confirmed).now_or_never().expect("it never waits").map(|()| Next::Empty)
                }
            };
            next.expect("it is never away")
        })
    }

    /// Waits until there are entries, or none.
    async fn wait_until(&self, provider: ProviderId, are_there: bool) {
        let changed = self.with(provider, |kept| Arc::clone(&kept.changed));
        loop {
            let change = changed.notified();
            if self.with(provider, |kept| kept.entries > 0) == are_there {
                return;
            }
            change.await;
        }
    }
}

/// A process's way to a provider's spool.
pub struct SpoolPort {
    pub ports: Ports,
    pub provider: ProviderId,
}

impl SpoolPort {
    async fn asked<R: Send + 'static>(
        &self,
        patience: Duration,
        effect: impl FnOnce(&Spools, u32) -> R + Send + 'static,
    ) -> Result<R, SpoolError> {
        let (world, process) = (Arc::clone(&self.ports.world), Arc::clone(&self.ports.process));
        let effect = move || {
            let result = effect(&world.spools, process.id);
            world.book().acted += 1;
            result
        };
        let reply = self.ports.process.call(&self.ports.process.slot.redis, patience, effect).await;
        reply.map_err(|lost: Lost| SpoolError::Unavailable(format!("{lost:?}")))
    }

    /// Drains while there is anything to drain: without, a drainer's ticks would be most of what is simulated.
    pub async fn drain(self, spooling: Arc<Spooling>) {
        let Self { ports, provider } = self;
        let spools = &ports.world.spools;
        while !ports.process.stop.is_cancelled() {
            spools.wait_until(provider, true).await;
            let stop = ports.process.stop.child_token();
            let empties = async {
                spools.wait_until(provider, false).await;
                stop.cancel();
            };
            tokio::select! {
                biased;
                () = spooling.drain(&ports, LEASE, stop.clone()) => {}
                () = async { empties.await; std::future::pending().await } => {}
            }
        }
    }
}

#[async_trait]
impl Spool for SpoolPort {
    async fn append(&self, webhook: &Envelope) -> Result<(), SpoolError> {
        let (provider, appended) = (self.provider, webhook.clone());
        let note = format!("p{} spool <- {}", self.ports.process.id, webhook.receipt);
        let append = move |spools: &Spools, _| spools.append(provider, &appended);
        let (result, proved, losses) = self.asked(RESPONSE_TIMEOUT, append).await?;
        let world = &self.ports.world;
        world.book().trace.note(None, || format!("{note}: {result:?}"));
        result?;
        let down = self.ports.process.slot.redis.with_dice(|dice, rates| dice.happens(rates.reply));
        if self.ports.has(Planted::AnswersBeforeTheProof) {
            if down {
                world.spools.lose();
            }
            return Ok(());
        }
        if down {
            // Just before the disk has it.
            world.spools.lose();
        }
        sleep_until(proved).await;
        let still = move |spools: &Spools, _| spools.with(provider, |kept| kept.losses == losses);
        match self.asked(PROOF_TIMEOUT, still).await? {
            true => Ok(()),
            false => Err(SpoolError::Unavailable("Redis was down".to_owned())),
        }
    }

    async fn next(&self, lease: Duration, confirmed: Option<&Spooled>) -> Result<Next, SpoolError> {
        let (provider, confirmed) = (self.provider, confirmed.cloned());
        let early = self.ports.has(Planted::RemovesBeforeTheConfirm);
        let next = move |spools: &Spools, process| {
            let next = spools.next(provider, process, Some(lease), confirmed.as_ref());
            if let Next::Entry(spooled) = &next
                && early
            {
                spools.next(provider, process, None, Some(spooled));
            }
            next
        };
        self.asked(RESPONSE_TIMEOUT, next).await
    }

    async fn release(&self, confirmed: Option<&Spooled>) -> Result<(), SpoolError> {
        let (provider, confirmed) = (self.provider, confirmed.cloned());
        let release =
            move |spools: &Spools, process| drop(spools.next(provider, process, None, confirmed.as_ref()));
        self.asked(RESPONSE_TIMEOUT, release).await
    }

    async fn look(&self) -> Result<SpoolState, SpoolError> {
        // The simulation has no metrics.
        Ok(SpoolState { entries: 0, bytes: 0, oldest: None, proof: Ok(DurabilityProof::EachWrite) })
    }
}
