//! What happens to the fleet and its servers.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::{OPERATOR, World};
use crate::plan::{Fault, Operator, What};
use crate::process::{Slot, lock};
use crate::{operator, provider, reconciler};

/// A process's clock is corrected by Redis's this often.
const CORRECTED_EVERY: Duration = Duration::from_secs(10);

impl World {
    pub(super) fn apply(self: &Arc<Self>, what: &What) {
        match what {
            What::Send(event) => {
                self.api.happens(&self.plan, *event);
                lock(&self.telling).insert(*event, None);
                tokio::spawn(provider::tell(Arc::clone(self), *event));
            }
            What::Untold(event) => {
                self.api.happens(&self.plan, *event);
                self.api.missed(*event, true);
                self.book().trace.note(Some(*event), || "happens, and is not told".to_owned());
            }
            What::Order(delivery) => {
                if let Some(order) = self.plan.sink.as_ref().and_then(|sink| sink.orders.get(*delivery)) {
                    self.hubrise.add(order);
                }
            }
            What::Link(delivery) => self.link(*delivery),
            What::Fault(fault) => self.fault(fault),
            What::Operator(Operator::Discard) => operator::discard(self),
            What::Operator(Operator::Rotate) => {
                self.rotate();
                *lock(&self.token) += 1;
            }
            What::Operator(Operator::Recover { since }) => {
                let (ports, since) = (self.ports(self.plan.slots()), *since);
                tokio::spawn(async move { reconciler::recover(&ports, since).await });
            }
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

    pub(super) fn fault(self: &Arc<Self>, fault: &Fault) {
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
                    self.book().stopped_for_a_while(running.process.id);
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
                self.spools.lose();
                self.book().ledger_lost(&lost);
                self.book().sink.rolled_back = true;
            }
            Fault::RedisEmpty => {
                let lost = self.redis.lose(self.start);
                self.spools.lose();
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
            Fault::Hubrise(slot, weather, ms) => {
                self.each(*slot, |slot| slot.hubrise.set(*weather, later(ms)));
            }
            Fault::HubriseAnswers(trouble, ms) => self.hubrise.answers(*trouble, later(ms)),
            Fault::Api(slot, weather, ms) => self.each(*slot, |slot| slot.api.set(*weather, later(ms))),
            Fault::ApiSlow(ms) => self.each(None, |slot| slot.api.slow(later(ms))),
            Fault::ApiAnswers(trouble, ms) => self.api.answers(*trouble, later(ms)),
            Fault::Slow(ms) => self.each(None, |slot| slot.broker.slow(later(ms))),
        }
    }

    pub(super) fn each(&self, slot: Option<usize>, on: impl Fn(&Slot)) {
        let slots = self.plan.slots();
        match slot {
            Some(slot) => on(&self.slots[slot % slots]),
            None => self.slots[..slots].iter().for_each(|slot| on(slot)),
        }
    }
}
