//! A process of the fleet, and its connections: what may happen to a call between a process and a server.
//!
//! A call is a request on its way, its effect, and the reply on its way back. A process that crashes is dropped wherever it
//! is in that; one that is cut off never learns what became of its request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::link::{Fate, Link};
use crate::plan::{Rates, Stage, Weather};
use crate::planted::Planted;

/// How long a call of Redis waits for its reply, as `redis.response_timeout_ms`.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Locks what cannot be left half-written: one thread, and no await while it is held.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a call has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    NotSent,
    NoReply,
}

/// A place in the fleet: a process runs in it, and after it the next one. Its connections and what is to happen to it stay.
pub struct Slot {
    pub number: usize,
    pub broker: Link,
    pub redis: Link,
    pub hubrise: Link,
    /// The provider's API.
    pub api: Link,
    crash_at: Mutex<Option<(u32, Stage, u64)>>,
    stalled_until: Mutex<Instant>,
    crashes: mpsc::UnboundedSender<(usize, u64)>,
}

impl Slot {
    pub fn new(number: usize, seed: u64, rates: Rates, crashes: mpsc::UnboundedSender<(usize, u64)>) -> Self {
        let link = |stream| Link::new(Dice::new(seed, 1000 + 2 * number as u64 + stream), rates);
        let hubrise = Link::new(Dice::new(seed, 2000 + number as u64), rates);
        let api = Link::new(Dice::new(seed, 3000 + number as u64), rates);
        Self {
            number,
            broker: link(0),
            redis: link(1),
            hubrise,
            api,
            crash_at: Mutex::new(None),
            stalled_until: Mutex::new(Instant::now()),
            crashes,
        }
    }

    pub fn crash_at(&self, calls: u32, stage: Stage, down_ms: u64) {
        *lock(&self.crash_at) = Some((calls, stage, down_ms));
    }

    pub fn stall(&self, until: Instant) {
        *lock(&self.stalled_until) = until;
    }

    /// From now on nothing goes wrong by itself. A connection that gets no answers is its owner's to give up.
    pub fn calm(&self) {
        *lock(&self.crash_at) = None;
        for link in [&self.broker, &self.redis, &self.hubrise, &self.api] {
            link.calm();
            if link.weather() != Weather::Silent {
                link.set(Weather::Fine, Instant::now());
            }
        }
    }
}

/// A process.
pub struct Process {
    /// Unique in a schedule.
    pub id: u32,
    pub slot: Arc<Slot>,
    pub stop: CancellationToken,
    pub planted: Option<Planted>,
    dead: AtomicBool,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Process {
    pub fn new(id: u32, slot: Arc<Slot>, planted: Option<Planted>) -> Arc<Self> {
        let (dead, tasks) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Self { id, slot, stop: CancellationToken::new(), planted, dead, tasks })
    }

    /// The task ends with the process.
    pub fn owns(&self, task: AbortHandle) {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub fn is_stalled(&self) -> bool {
        *lock(&self.slot.stalled_until) > Instant::now()
    }

    /// Not one of the fleet's.
    pub fn is_operator(&self) -> bool {
        self.id == 0
    }

    /// Ends it wherever it is.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }

    /// Goes on once it may: never, if it is dead.
    pub async fn alive(&self) {
        loop {
            if self.is_dead() {
                std::future::pending::<()>().await;
            }
            let until = *lock(&self.slot.stalled_until);
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// A point at which it may be planned to crash.
    async fn may_crash(&self, at: Stage) {
        let due = {
            let mut crash_at = lock(&self.slot.crash_at);
            match crash_at.as_mut() {
                Some((calls, stage, down)) if *stage == at => {
                    if *calls == 0 {
                        let down = *down;
                        *crash_at = None;
                        Some(down)
                    } else {
                        *calls -= 1;
                        None
                    }
                }
                _ => None,
            }
        };
        if let Some(down) = due {
            self.crash(down).await;
        }
    }

    /// Crashes here.
    pub async fn crash(&self, down_ms: u64) {
        self.dead.store(true, Ordering::Relaxed);
        let _ = self.slot.crashes.send((self.slot.number, down_ms));
        std::future::pending::<()>().await;
    }

    /// Asks a server for `effect`, and waits at most `patience` for the reply. Dropped, it leaves open whether the effect
    /// took place.
    pub async fn call<R: Send + 'static>(
        &self,
        link: &Link,
        patience: Duration,
        effect: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Lost> {
        self.alive().await;
        self.may_crash(Stage::Before).await;
        let fate = link.fate(patience, self.planted == Some(Planted::KeepsASilentConnection));
        let result = match fate {
            Fate::NotSent => {
                pause(Duration::from_millis(1)).await;
                Err(Lost::NotSent)
            }
            Fate::Answered { there, back } => {
                pause(there).await;
                self.alive().await;
                let reply = effect();
                self.may_crash(Stage::After).await;
                pause(back).await;
                Ok(reply)
            }
            Fate::NoReply { there, after } => {
                pause(there.unwrap_or_default()).await;
                if there.is_some() {
                    drop(effect());
                    self.may_crash(Stage::After).await;
                }
                sleep(after.min(patience)).await;
                Err(Lost::NoReply)
            }
            Fate::Late { there } => {
                let (reply, replied) = oneshot::channel();
                // Bytes that are on their way do not end with the process that sent them.
                tokio::spawn(async move {
                    sleep(there).await;
                    let _ = reply.send(effect());
                });
                match timeout(patience, replied).await {
                    Ok(Ok(reply)) => Ok(reply),
                    _ => Err(Lost::NoReply),
                }
            }
        };
        self.alive().await;
        link.judge(result.is_ok());
        result
    }
}

async fn pause(time: Duration) {
    if time.is_zero() {
        tokio::task::yield_now().await;
    } else {
        sleep(time).await;
    }
}
