//! The fleet: its processes begin, end, crash, and drain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milepost::adapters::memory::MemoryCells;
use milepost::domain::order::StatusOrder;
use milepost::domain::retry::RetrySchedule;
use milepost::domain::samples::SampleSource;
use milepost::pipeline::message::{ProcessSettings, Processor};
use milepost::pipeline::parking::Parker;
use milepost::pipeline::receive::{Endpoint, Receiver};
use milepost::pipeline::spooling::Spooling;
use milepost::pipeline::trials::Trials;
use milepost::pipeline::worker::{Worker, WorkerSettings};
use tokio::time::{sleep, timeout};

use super::World;
use crate::ports::Ports;
use crate::process::{Process, lock};
use crate::reconciler::reconciler;
use crate::sink;
use crate::spool::{LIMITS, SpoolPort};

/// How long a process may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(45);

/// What runs in a slot.
enum Role {
    Receiver,
    Worker(&'static dyn SampleSource),
    Sink,
    Reconciler,
}

/// A process that runs, and what it is.
pub(super) struct Running {
    pub(super) process: Arc<Process>,
    pub(super) receiver: Option<Arc<Receiver>>,
    pub(super) worker: Option<tokio::task::JoinHandle<()>>,
}

impl World {
    fn role_of(&self, slot: usize) -> Role {
        let reconcilers = self.plan.recovery.as_ref().map_or(0, |recovery| recovery.replicas);
        let Some(worker) = slot.checked_sub(self.plan.receivers) else { return Role::Receiver };
        match self.plan.providers.get(worker / self.plan.workers) {
            Some(provider) => Role::Worker(*provider),
            None if slot < self.plan.slots() - reconcilers => Role::Sink,
            None => Role::Reconciler,
        }
    }

    /// Starts a process, unless there is one.
    pub(super) fn begin(self: &Arc<Self>, slot: usize) {
        let role = self.role_of(slot);
        let suspended = !matches!(role, Role::Receiver) && *lock(&self.suspended);
        if suspended || lock(&self.running)[slot].is_some() {
            return;
        }
        self.slots[slot].broker.renew();
        let ports = self.ports(slot);
        let process = Arc::clone(&ports.process);
        let stop = process.stop.clone();
        let task = match role {
            Role::Receiver => None,
            Role::Worker(provider) => {
                let worker = self.worker(ports.clone(), provider);
                Some(tokio::spawn(async move { worker.run(stop).await }))
            }
            Role::Sink => self.plan.sink.as_ref().map(|plan| {
                let [updates, links] = sink::workers(&ports, &self.plan, plan);
                tokio::spawn(async move {
                    tokio::join!(updates.run(stop.clone()), links.run(stop));
                })
            }),
            Role::Reconciler => self
                .plan
                .recovery
                .as_ref()
                .and_then(|recovery| reconciler(&ports, &self.plan, recovery))
                .map(|reconciler| tokio::spawn(reconciler.run(stop, || {}))),
        };
        let receiver = matches!(role, Role::Receiver).then(|| Arc::new(self.receiver(ports)));
        if let Some(task) = &task {
            process.owns(task.abort_handle());
        }
        let running = Running { process, receiver, worker: task };
        lock(&self.running)[slot] = Some(running);
    }

    /// The ports of a new process. Process 0 is the operator.
    pub(super) fn ports(self: &Arc<Self>, slot: usize) -> Ports {
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

    pub(super) fn receiver(&self, ports: Ports) -> Receiver {
        let endpoint = |provider: &&'static dyn SampleSource| {
            let accounts = self.accounts[provider.id().as_str()].0.subscribe();
            Endpoint { provider: *provider, accounts }
        };
        let endpoints = self.plan.providers.iter().map(endpoint).collect();
        let spooling = |provider: &&'static dyn SampleSource| {
            // As the default of `providers.NAME.spool`.
            let provider = Some(provider.id()).filter(|_| provider.gives_up_after().is_zero())?;
            let port = || SpoolPort { ports: ports.clone(), provider };
            let spooling = Arc::new(Spooling::new(provider, Arc::new(port()), LIMITS));
            ports.process.owns(tokio::spawn(port().drain(Arc::clone(&spooling))).abort_handle());
            Some((provider, spooling))
        };
        let spools = self.plan.providers.iter().filter_map(spooling).collect();
        Receiver::new(endpoints, Arc::new(ports.clone()), Arc::new(ports)).with_spools(spools)
    }

    pub(super) fn worker(&self, ports: Ports, provider: &'static dyn SampleSource) -> Worker {
        Worker {
            inbox: Arc::new(ports.clone()),
            processor: Processor {
                provider,
                publisher: Arc::new(ports.clone()),
                ledger: Arc::new(ports.clone()),
                clock: Arc::new(ports.clone()),
                settings: ProcessSettings {
                    processing_deadline: Duration::from_secs(10),
                    lease: Duration::from_secs(15),
                    ttl: Duration::from_hours(14 * 24),
                    resend_horizon: provider.resend_horizon(),
                    schedule: RetrySchedule::try_new(Duration::from_secs(1), 2.0, self.plan.retry_cap, 0.2)
                        .expect("a schedule"),
                },
                status_order: status_order(provider),
                parker: Parker::default(),
            },
            trials: Trials::new(Arc::new(MemoryCells::new(Arc::new(ports.clone())))),
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
    pub(super) fn end(&self, slot: usize) {
        if let Some(running) = lock(&self.running)[slot].take() {
            self.book().disturbed(running.process.id);
            running.process.kill();
        }
    }

    pub(super) fn crash(self: &Arc<Self>, slot: usize, down_ms: u64) {
        self.book().trace.note(None, || format!("slot {slot} crashes, for {down_ms} ms"));
        self.end(slot);
        let world = Arc::clone(self);
        tokio::spawn(async move {
            sleep(Duration::from_millis(down_ms)).await;
            world.begin(slot);
        });
    }

    /// Ends what crashed while it was stopping.
    pub(super) fn reap(&self) {
        let stopping = std::mem::take(&mut *lock(&self.draining));
        let (dead, alive): (Vec<_>, Vec<_>) = stopping.into_iter().partition(|process| process.is_dead());
        *lock(&self.draining) = alive;
        for process in dead {
            self.book().disturbed(process.id);
            process.kill();
        }
    }

    /// Stops a process as a rollout does, and starts another when it is over.
    pub(super) fn drain(self: &Arc<Self>, slot: usize, down_ms: u64) {
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

    pub(super) async fn suspend(self: &Arc<Self>) {
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

    pub(super) fn resume(self: &Arc<Self>) {
        *lock(&self.suspended) = false;
        for slot in self.plan.receivers..self.plan.slots() {
            self.begin(slot);
        }
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
