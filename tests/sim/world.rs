//! One schedule, from its beginning until everything has ended: the fleet, the servers, and who runs them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use milepost::domain::authentication::Credentials;
use milepost::domain::envelope::Envelope;
use milepost::domain::identity::Account;
use milepost::domain::order::StatusOrder;
use milepost::domain::provider::Provider;
use milepost::domain::retry::RetrySchedule;
use milepost::domain::samples::{SampleSource, Signing};
use milepost::domain::secret::Secret;
use milepost::pipeline::message::{ProcessSettings, Processor};
use milepost::pipeline::receive::{Endpoint, Receiver};
use milepost::pipeline::worker::{Worker, WorkerSettings};
use milepost::ports::chance;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::book::{Book, SECRET, Violation};
use crate::dice::Dice;
use crate::operator;
use crate::oracle;
use crate::plan::{EPOCH, Fault, Operator, Plan, Rates, What};
use crate::planted::Planted;
use crate::ports::Ports;
use crate::process::{Process, Slot, lock};
use crate::provider;
use crate::servers::{Broker, Redis};
use crate::trace::Trace;

/// A process's clock is corrected by Redis's this often.
const CORRECTED_EVERY: Duration = Duration::from_secs(10);
/// How long everything may take to end once nothing goes wrong any more: the longest chain of retries, twice.
const ENDS_WITHIN: Duration = Duration::from_hours(4);
/// With nothing to do for longer, the workers are stopped, and started again when there is.
const IDLE: Duration = Duration::from_secs(8);
/// How long a process may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(45);
/// The old secret is taken back so long after the new one is in use.
const ROTATION: Duration = Duration::from_secs(30);

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
    runtime.block_on(World::live(Arc::new(plan.clone()), planted, traced))
}

struct Running {
    process: Arc<Process>,
    receiver: Option<Arc<Receiver>>,
    worker: Option<tokio::task::JoinHandle<()>>,
}

pub struct World {
    pub plan: Arc<Plan>,
    pub planted: Option<Planted>,
    pub broker: Broker,
    pub redis: Arc<Redis>,
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
    credentials: BTreeMap<&'static str, (watch::Sender<Arc<Credentials>>, Mutex<u32>)>,
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
        let credentials = plan.providers.iter().map(|provider| {
            let live = watch::channel(Arc::new(credentials(*provider, &[0]))).0;
            (provider.id().as_str(), (live, Mutex::new(0)))
        });
        let world = Arc::new(Self {
            planted,
            broker: Broker::new(),
            redis,
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
            credentials: credentials.collect(),
            plan,
        });
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
        oracle::judge(&world.plan, &world.broker.parked(), &mut book);
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

    // The secrets.

    pub fn secret(&self, provider: &dyn SampleSource) -> Secret {
        let version = *lock(&self.credentials[provider.id().as_str()].1);
        Secret::new(secret_text(provider, version).as_bytes()).expect("not empty")
    }

    fn rotate(self: &Arc<Self>) {
        for provider in self.plan.providers.clone() {
            let (live, version) = &self.credentials[provider.id().as_str()];
            let mut version = lock(version);
            if *version == 3 {
                continue;
            }
            live.send_replace(Arc::new(credentials(provider, &[*version, *version + 1])));
            *version += 1;
            let (world, new) = (Arc::clone(self), *version);
            tokio::spawn(async move {
                sleep(ROTATION).await;
                let (live, version) = &world.credentials[provider.id().as_str()];
                if *lock(version) == new {
                    live.send_replace(Arc::new(credentials(provider, &[new])));
                }
            });
        }
    }

    /// A stored body with the credential that it was sent with, for a planted bug.
    pub fn with_secret(&self, envelope: Envelope) -> Envelope {
        let provider = self.plan.providers.iter().find(|provider| provider.id() == envelope.provider);
        let Some(provider) = provider.filter(|provider| provider.id().as_str() == "247express") else {
            return envelope;
        };
        let secret = self.secret(*provider);
        let scheme = provider.authentication()[0].scheme();
        let signing = Signing { scheme, header: None, secret: &secret };
        let body: Bytes = provider.sign(envelope.body.clone(), &signing).body;
        Envelope { body, ..envelope }
    }

    // The processes.

    fn provider_of(&self, slot: usize) -> Option<&'static dyn SampleSource> {
        let worker = slot.checked_sub(self.plan.receivers)?;
        self.plan.providers.get(worker / self.plan.workers).copied()
    }

    /// Starts a process, unless there is one.
    fn begin(self: &Arc<Self>, slot: usize) {
        let provider = self.provider_of(slot);
        let suspended = provider.is_some() && *lock(&self.suspended);
        if suspended || lock(&self.running)[slot].is_some() {
            return;
        }
        self.slots[slot].broker.renew();
        let ports = self.ports(slot);
        let process = Arc::clone(&ports.process);
        let running = match provider {
            None => Running { process, receiver: Some(Arc::new(self.receiver(ports))), worker: None },
            Some(provider) => {
                let (worker, stop) = (self.worker(ports, provider), process.stop.clone());
                let task = tokio::spawn(async move { worker.run(stop).await });
                process.owns(task.abort_handle());
                Running { process, receiver: None, worker: Some(task) }
            }
        };
        lock(&self.running)[slot] = Some(running);
    }

    /// The ports of a new process. Process 0 is the operator.
    fn ports(self: &Arc<Self>, slot: usize) -> Ports {
        let id = if slot == self.plan.slots() {
            0
        } else {
            let mut last = lock(&self.last_process);
            *last += 1;
            *last
        };
        self.book().trace.note(None, || format!("p{id} starts in slot {slot}"));
        Ports {
            world: Arc::clone(self),
            process: Process::new(id, Arc::clone(&self.slots[slot]), self.planted),
        }
    }

    fn receiver(&self, ports: Ports) -> Receiver {
        let endpoint = |provider: &&'static dyn SampleSource| {
            let live = self.credentials[provider.id().as_str()].0.subscribe();
            let provider: &'static dyn Provider = *provider;
            Endpoint { provider, accounts: BTreeMap::from([(Account::default_account(), live)]) }
        };
        let endpoints = self.plan.providers.iter().map(endpoint).collect();
        Receiver::new(endpoints, Arc::new(ports.clone()), Arc::new(ports))
    }

    fn worker(&self, ports: Ports, provider: &'static dyn SampleSource) -> Worker {
        Worker {
            inbox: Arc::new(ports.clone()),
            processor: Processor {
                provider,
                publisher: Arc::new(ports.clone()),
                ledger: Arc::new(ports.clone()),
                clock: Arc::new(ports),
                settings: ProcessSettings {
                    processing_deadline: Duration::from_secs(10),
                    lease: Duration::from_secs(15),
                    ttl: Duration::from_hours(14 * 24),
                    resend_horizon: provider.resend_horizon(),
                    schedule: RetrySchedule::try_new(Duration::from_secs(1), 2.0, self.plan.retry_cap, 0.2)
                        .expect("a schedule"),
                },
                status_order: status_order(provider),
            },
            settings: WorkerSettings {
                prefetch: self.plan.prefetch,
                drain_deadline: Duration::from_secs(20),
                outage_patience: self.plan.patience,
            },
            heartbeat: Arc::new(|| {}),
            subscribed: Arc::new(|_| {}),
        }
    }

    pub fn some_receiver(&self) -> Option<(Arc<Process>, Arc<Receiver>)> {
        let slot = lock(&self.dice).index(self.plan.receivers);
        let running = lock(&self.running);
        let Running { process, receiver, .. } = running[slot].as_ref()?;
        Some((Arc::clone(process), Arc::clone(receiver.as_ref()?))).filter(|_| !process.is_dead())
    }

    /// Ends a process at once.
    fn end(&self, slot: usize) {
        if let Some(running) = lock(&self.running)[slot].take() {
            self.book().disturbed(running.process.id);
            running.process.kill();
        }
    }

    fn crash(self: &Arc<Self>, slot: usize, down_ms: u64) {
        self.book().trace.note(None, || format!("slot {slot} crashes, for {down_ms} ms"));
        self.end(slot);
        let world = Arc::clone(self);
        tokio::spawn(async move {
            sleep(Duration::from_millis(down_ms)).await;
            world.begin(slot);
        });
    }

    /// Ends what crashed while it was stopping.
    fn reap(&self) {
        let stopping = std::mem::take(&mut *lock(&self.draining));
        let (dead, alive): (Vec<_>, Vec<_>) = stopping.into_iter().partition(|process| process.is_dead());
        *lock(&self.draining) = alive;
        for process in dead {
            self.book().disturbed(process.id);
            process.kill();
        }
    }

    /// Stops a process as a rollout does, and starts another when it is over.
    fn drain(self: &Arc<Self>, slot: usize, down_ms: u64) {
        self.book().trace.note(None, || format!("slot {slot} drains"));
        let Some(running) = lock(&self.running)[slot].take() else { return };
        self.book().disturbed(running.process.id);
        lock(&self.draining).push(Arc::clone(&running.process));
        let world = Arc::clone(self);
        tokio::spawn(async move {
            running.process.stop.cancel();
            match running.worker {
                Some(worker) => drop(timeout(GRACE, worker).await),
                // A receiver answers what it has.
                None => sleep(Duration::from_secs(5)).await,
            }
            running.process.kill();
            world.reap();
            sleep(Duration::from_millis(down_ms)).await;
            world.begin(slot);
        });
    }

    // What happens to them.

    fn apply(self: &Arc<Self>, what: &What) {
        match what {
            What::Send(event) => {
                lock(&self.telling).insert(*event, None);
                tokio::spawn(provider::tell(Arc::clone(self), *event));
            }
            What::Fault(fault) => self.fault(fault),
            What::Operator(Operator::Discard) => operator::discard(self),
            What::Operator(Operator::Rotate) => self.rotate(),
            What::Operator(Operator::Replay { force }) => {
                let (world, force) = (Arc::clone(self), *force);
                self.sleeps(OPERATOR, None);
                tokio::spawn(async move {
                    let ports = world.ports(world.plan.slots());
                    operator::replay(&world, &ports, force).await;
                    world.told(OPERATOR);
                });
            }
        }
    }

    fn fault(self: &Arc<Self>, fault: &Fault) {
        let now = Instant::now();
        let later = |ms: &u64| now + Duration::from_millis(*ms);
        self.book().trace.note(None, || format!("-- {fault:?}"));
        match fault {
            Fault::Crash(slot, down) => self.crash(slot % self.plan.slots(), *down),
            Fault::CrashAtCall(slot, calls, stage, down) => {
                self.slots[slot % self.plan.slots()].crash_at(*calls, *stage, *down);
            }
            Fault::Drain(slot, down) => self.drain(slot % self.plan.slots(), *down),
            Fault::Stall(slot, ms) => {
                let slot = slot % self.plan.slots();
                if let Some(running) = &lock(&self.running)[slot] {
                    self.book().disturbed(running.process.id);
                }
                self.slots[slot].stall(later(ms));
            }
            Fault::Broker(slot, weather, ms) => {
                self.each(*slot, |slot| slot.broker.set(*weather, later(ms)));
            }
            Fault::Redis(slot, weather, ms) => self.each(*slot, |slot| slot.redis.set(*weather, later(ms))),
            Fault::RedisLoses(ms) => {
                let since = now.checked_sub(Duration::from_millis(*ms)).unwrap_or(self.start);
                let lost = self.redis.lose(since.max(self.start));
                self.book().ledger_lost(&lost);
            }
            Fault::RedisEmpty => {
                let lost = self.redis.lose(self.start);
                self.book().ledger_lost(&lost);
            }
            Fault::RedisJumps(ms) => {
                self.redis.jump(SignedDuration::from_millis(*ms));
                self.book().leases_disturbed();
            }
            Fault::ClockJumps(slot, ms) => {
                lock(&self.clocks)[slot % self.plan.slots()] = (*ms, now + CORRECTED_EVERY);
            }
            Fault::SubscriberFull(ms) => self.broker.subscriber_full(later(ms)),
            Fault::QueueFull(ms) => self.broker.queue_full(later(ms)),
            Fault::Slow(ms) => self.each(None, |slot| slot.broker.slow(later(ms))),
        }
    }

    fn each(&self, slot: Option<usize>, on: impl Fn(&Slot)) {
        let slots = self.plan.slots();
        match slot {
            Some(slot) => on(&self.slots[slot % slots]),
            None => self.slots[..slots].iter().for_each(|slot| on(slot)),
        }
    }

    // Time.

    pub fn sleeps(&self, event: usize, until: Option<Instant>) {
        lock(&self.telling).insert(event, until);
    }

    pub fn told(&self, event: usize) {
        lock(&self.telling).remove(&event);
    }

    /// When something happens next by itself, if nothing is under way now: `None` within is never.
    fn idle_until(&self) -> Option<Option<Instant>> {
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

    async fn suspend(self: &Arc<Self>) {
        *lock(&self.suspended) = true;
        for slot in self.plan.receivers..self.plan.slots() {
            let Some(running) = lock(&self.running)[slot].take() else { continue };
            running.process.stop.cancel();
            lock(&self.draining).push(Arc::clone(&running.process));
            if let Some(worker) = running.worker {
                let _ = timeout(GRACE, worker).await;
            }
            running.process.kill();
            self.reap();
        }
    }

    fn resume(self: &Arc<Self>) {
        *lock(&self.suspended) = false;
        for slot in self.plan.receivers..self.plan.slots() {
            self.begin(slot);
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
        self.broker.subscriber_full(self.start);
        self.broker.queue_full(self.start);
        let deadline = Instant::now() + ENDS_WITHIN;
        // What is parked again after a replay is what no replay can help.
        for _ in 0..2 {
            if !self.settle(deadline).await {
                let book = &mut self.book();
                let says = format!("{} messages after {ENDS_WITHIN:?}", book.outstanding);
                return book.violation("something waits for ever", None, says);
            }
            let ports = self.ports(self.plan.slots());
            while !self.broker.parked().is_empty() {
                let before = self.broker.parked().len();
                operator::replay(self, &ports, false).await;
                if self.broker.parked().len() >= before {
                    break;
                }
            }
        }
        if !self.settle(deadline).await {
            let says = format!("{} messages after a replay", self.book().outstanding);
            self.book().violation("something waits for ever", None, says);
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

fn secret_text(provider: &dyn SampleSource, version: u32) -> String {
    format!("{}{}-{version}", String::from_utf8_lossy(SECRET), provider.id())
}

fn credentials(provider: &dyn SampleSource, versions: &[u32]) -> Credentials {
    let secret = |version: &u32| Secret::new(secret_text(provider, *version).as_bytes());
    Credentials {
        authentication: provider.authentication()[0].clone(),
        secrets: versions.iter().filter_map(secret).collect(),
    }
}

/// It takes a while to make and never changes.
fn status_order(provider: &dyn SampleSource) -> StatusOrder {
    thread_local! {
        static MADE: std::cell::RefCell<BTreeMap<&'static str, StatusOrder>> = const { std::cell::RefCell::new(BTreeMap::new()) };
    }
    MADE.with_borrow_mut(|made| {
        made.entry(provider.id().as_str()).or_insert_with(|| StatusOrder::new(provider.transitions())).clone()
    })
}
