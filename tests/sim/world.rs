//! One schedule, from its beginning until everything has ended: the fleet, the servers, and who runs them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use milepost::pipeline::receive::Accounts;
use milepost::ports::chance;
use milepost::sinks::HUBRISE;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::Api;
use crate::book::{Book, Violation};
use crate::dice::Dice;
use crate::hubrise::Hubrise;
use crate::log;
use crate::operator;
use crate::oracle;
use crate::plan::{EPOCH, Fault, Plan, Rates, What};
use crate::planted::Planted;
use crate::process::{Process, Slot, lock};
use crate::servers::{Broker, Redis};
use crate::spool::Spools;
use crate::trace::Trace;

mod faults;
mod fleet;
mod recovery;
mod secrets;

use self::fleet::Running;
use self::secrets::accounts;

/// How long everything may take to end once nothing goes wrong any more, and again after each replay: the longest chain
/// of retries, twice.
const ENDS_WITHIN: Duration = Duration::from_hours(4);
/// With nothing to do for longer, the workers are stopped, and started again when there is.
const IDLE: Duration = Duration::from_secs(8);

/// The operator's place among the events that are being sent.
const OPERATOR: usize = usize::MAX;

/// What came of a schedule.
pub struct Outcome {
    pub violations: Vec<Violation>,
    /// How often something took effect.
    pub acted: u32,
    pub trace: Trace,
    pub updates: usize,
}

/// Runs a schedule.
pub fn run(plan: &Plan, planted: Option<Planted>, traced: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    chance::seed(plan.seed);
    log::listen();
    runtime.block_on(World::live(Arc::new(plan.clone()), planted, traced))
}

pub struct World {
    pub plan: Arc<Plan>,
    pub planted: Option<Planted>,
    pub broker: Broker,
    pub redis: Arc<Redis>,
    pub spools: Spools,
    pub hubrise: Hubrise,
    pub api: Api,
    /// Which token of HubRise's is in force.
    pub token: Mutex<u32>,
    pub dice: Mutex<Dice>,
    start: Instant,
    book: Mutex<Book>,
    slots: Vec<Arc<Slot>>,
    running: Mutex<Vec<Option<Running>>>,
    /// Processes that are stopping.
    draining: Mutex<Vec<Arc<Process>>>,
    last_process: Mutex<u32>,
    /// Workers are stopped while there is nothing to do.
    suspended: Mutex<bool>,
    calm: Mutex<bool>,
    /// By event: how many workers it still kills.
    kills: Mutex<BTreeMap<usize, u32>>,
    /// By slot: how far its clock is off, in ms, and until when.
    clocks: Mutex<Vec<(i64, Instant)>>,
    /// By event that is still being sent: when its provider goes on, if it waits.
    telling: Mutex<BTreeMap<usize, Option<Instant>>>,
    accounts: BTreeMap<&'static str, (watch::Sender<Accounts>, Mutex<u32>)>,
}

impl World {
    async fn live(plan: Arc<Plan>, planted: Option<Planted>, traced: bool) -> Outcome {
        let start = Instant::now();
        let loses = |what: &What| matches!(what, What::Fault(Fault::RedisLoses(_) | Fault::RedisEmpty));
        let redis = Arc::new(Redis::new(start, plan.steps.iter().any(|step| loses(&step.what))));
        let (crashes, mut crashed) = mpsc::unbounded_channel();
        // The operator has the slot after the last.
        let slot = |number| Arc::new(Slot::new(number, plan.seed, plan.rates, crashes.clone()));
        let slots: Vec<_> = (0..=plan.slots()).map(slot).collect();
        let trace = Trace::new(start, Arc::clone(&redis), traced);
        let book = Book::new(Arc::clone(&plan), trace);
        let live = plan.providers.iter().map(|provider| {
            let live = watch::channel(accounts(*provider, &[0])).0;
            (provider.id().as_str(), (live, Mutex::new(0)))
        });
        let world = Arc::new(Self {
            planted,
            broker: Broker::new(),
            spools: Spools::new(start, redis.clock()),
            redis,
            hubrise: Hubrise::new(plan.sink.as_ref()),
            api: Api::default(),
            token: Mutex::new(0),
            dice: Mutex::new(Dice::new(plan.seed, 2)),
            start,
            book: Mutex::new(book),
            running: Mutex::new(slots.iter().map(|_| None).collect()),
            clocks: Mutex::new(slots.iter().map(|_| (0, start)).collect()),
            slots,
            draining: Mutex::default(),
            last_process: Mutex::new(0),
            suspended: Mutex::new(false),
            calm: Mutex::new(false),
            kills: Mutex::new((0..).zip(plan.events.iter().map(|event| event.kills)).collect()),
            telling: Mutex::default(),
            accounts: live.collect(),
            plan,
        });
        if world.plan.sink.is_some() {
            world.broker.queues.feed(HUBRISE);
        }
        for slot in 0..world.plan.slots() {
            world.begin(slot);
        }
        let reaper = {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                while let Some((slot, down_ms)) = crashed.recv().await {
                    world.reap();
                    world.crash(slot, down_ms);
                }
            })
        };
        world.play().await;
        world.heal().await;
        reaper.abort();
        for slot in 0..world.plan.slots() {
            world.end(slot);
        }
        let mut book = lock(&world.book);
        if let Some(line) = log::told() {
            book.violation("a secret is kept", None, format!("in the log: {line}"));
        }
        oracle::judge(&world.plan, &world.broker.parked(), &world.hubrise, &mut book);
        let trace = Trace::new(start, Arc::clone(&world.redis), false);
        Outcome {
            violations: std::mem::take(&mut book.violations),
            acted: book.acted,
            updates: book.seen.len(),
            trace: std::mem::replace(&mut book.trace, trace),
        }
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    pub fn true_time(&self) -> Timestamp {
        EPOCH + SignedDuration::try_from(self.start.elapsed()).unwrap_or_default()
    }

    pub fn rates(&self) -> Rates {
        if *lock(&self.calm) { Rates::default() } else { self.plan.rates }
    }

    pub fn interrupts_the_operator(&self) -> bool {
        !*lock(&self.calm) && lock(&self.dice).happens(0.05)
    }

    /// How far a process's clock is off, in ms, and until when.
    pub fn clock_error(&self, process: &Process) -> (i64, Instant) {
        let slot = process.slot.number;
        let (error, until) = lock(&self.clocks)[slot];
        let own = i64::try_from(slot).unwrap_or(0) * 37 % 200 - 100;
        if self.planted == Some(Planted::TwoReceiversClocks) {
            return (own + i64::try_from(slot).unwrap_or(0) * 600_000, self.start);
        }
        if until > Instant::now() { (own + error, until) } else { (own, self.start) }
    }

    /// Whether the event kills the worker that is about to publish it.
    pub fn kills(&self, event: usize) -> bool {
        let mut kills = lock(&self.kills);
        let left = kills.get_mut(&event).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    pub fn sleeps(&self, event: usize, until: Option<Instant>) {
        lock(&self.telling).insert(event, until);
    }

    pub fn told(&self, event: usize) {
        lock(&self.telling).remove(&event);
    }

    /// When something happens next by itself, if nothing is under way now: `None` within is never.
    fn idle_until(&self) -> Option<Option<Instant>> {
        if !self.spools.are_empty() {
            return None;
        }
        let now = Instant::now();
        let due = self.book().idle_until(now)?;
        let telling = lock(&self.telling);
        let mut next = due;
        for until in telling.values() {
            let until = (*until)?;
            if until <= now {
                return None;
            }
            next = Some(next.map_or(until, |next| next.min(until)));
        }
        drop(telling);
        if let Some(asked) = self.next_asked() {
            if asked <= now {
                return None;
            }
            next = Some(next.map_or(asked, |next| next.min(asked)));
        }
        Some(next)
    }

    /// Lets time pass, with the workers stopped when there is nothing to do for long.
    async fn advance(self: &Arc<Self>, to: Instant) {
        while Instant::now() < to {
            let now = Instant::now();
            match self.idle_until() {
                Some(next) => {
                    let next = next.map_or(to, |next| next.min(to));
                    if next > now + IDLE {
                        self.suspend().await;
                        // What was on its way for long may still arrive.
                        while Instant::now() < next && self.idle_until().is_some() {
                            sleep_until(next.min(Instant::now() + IDLE)).await;
                        }
                        self.resume();
                    } else {
                        sleep_until(next).await;
                    }
                }
                None => sleep_until(to.min(now + Duration::from_millis(500))).await,
            }
        }
    }

    /// The schedule.
    async fn play(self: &Arc<Self>) {
        for step in &self.plan.steps {
            self.advance(self.start + step.at).await;
            self.apply(&step.what);
        }
    }

    /// From here on nothing goes wrong. Everything has to end.
    async fn heal(self: &Arc<Self>) {
        self.advance(Instant::now() + self.plan.linger).await;
        self.book().trace.note(None, || "-- from here on nothing goes wrong".to_owned());
        *lock(&self.calm) = true;
        self.slots.iter().for_each(|slot| slot.calm());
        self.hubrise.calm();
        self.api.calm();
        self.broker.subscriber_full(self.start);
        self.broker.queue_full(self.start);
        let deadline = || Instant::now() + ENDS_WITHIN;
        // What is parked again after a replay is what no replay can help.
        for _ in 0..2 {
            if !self.settle(deadline()).await {
                let book = &mut self.book();
                let says = format!("{} messages after {ENDS_WITHIN:?}", book.outstanding);
                return book.violation("something waits for ever", None, says);
            }
            self.replay().await;
        }
        if self.plan.recovery.is_some() {
            self.settle(deadline()).await;
            self.recover().await;
            self.settle(deadline()).await;
            self.replay().await;
        }
        if !self.settle(deadline()).await {
            let says = format!("{} messages after a replay", self.book().outstanding);
            self.book().violation("something waits for ever", None, says);
        }
    }

    /// Replays what is parked, but for what no replay can help.
    async fn replay(self: &Arc<Self>) {
        let ports = self.ports(self.plan.slots());
        while !self.broker.parked().is_empty() {
            let before = self.broker.parked().len();
            operator::replay(self, &ports, false).await;
            if self.broker.parked().len() >= before {
                break;
            }
        }
    }

    /// Waits until nothing is under way and nothing will be.
    async fn settle(self: &Arc<Self>, deadline: Instant) -> bool {
        loop {
            match self.idle_until() {
                Some(None) => return true,
                _ if Instant::now() >= deadline => return false,
                Some(Some(next)) => self.advance(next.min(deadline)).await,
                None => sleep(Duration::from_millis(200)).await,
            }
        }
    }
}
