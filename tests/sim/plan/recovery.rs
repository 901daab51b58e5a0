//! The reconciler's part of a schedule. It has chance of its own, so that a schedule without one stays what it is.

use std::collections::BTreeSet;
use std::time::Duration;

use milepost::domain::provider::ProviderId;

use super::{Fault, Kind, Operator, Plan, Stage, Step, Trouble, Weather, What};
use crate::dice::Dice;

/// One seed in so many may have a reconciler, and no seed that regress.rs or planted.rs names.
const ONE_IN: u64 = 7;
const AT: u64 = 5;

/// Whether this seed's schedule has a reconciler, if one of its providers can be asked.
pub(super) fn may_have_one(seed: u64) -> bool {
    seed % ONE_IN == AT
}

/// The reconcilers, and the provider that they ask.
#[derive(Clone)]
pub struct RecoveryPlan {
    pub replicas: usize,
    pub asked: ProviderId,
    /// For how long a delivery is silent before it is asked for.
    pub silent_after: Duration,
    pub look_every: Duration,
    pub after_gap: Duration,
    pub per_minute: u32,
    pub lease: Duration,
    /// Whether Telyport's timeline is asked for, too.
    pub timeline: bool,
    /// Deliveries that the provider's API does not have.
    pub unknown: BTreeSet<usize>,
}

impl Plan {
    /// Adds reconcilers, or none.
    pub(super) fn recovery(&mut self) {
        if !may_have_one(self.seed) {
            return;
        }
        let mut dice = Dice::new(self.seed, 4);
        let askable: Vec<_> = self.providers.iter().filter(|provider| provider.pull().is_some()).collect();
        if askable.is_empty() {
            return;
        }
        let asked = dice.pick(&askable).id();
        let deliveries = 0..self.events.iter().map(|event| event.delivery + 1).max().unwrap_or_default();
        self.recovery = Some(RecoveryPlan {
            replicas: dice.pick(&[1, 2, 2]),
            asked,
            silent_after: Duration::from_secs(dice.pick(&[1, 4, 15, 40])),
            look_every: Duration::from_secs(dice.pick(&[1, 3, 10])),
            after_gap: Duration::from_secs(dice.pick(&[0, 5, 30])),
            per_minute: dice.pick(&[20, 60, 600]),
            lease: Duration::from_secs(dice.pick(&[6, 15])),
            timeline: dice.happens(0.4),
            unknown: deliveries.filter(|_| dice.happens(0.05)).collect(),
        });
        self.keep_untold(&mut dice);
        self.break_the_recovery(&mut dice);
    }

    /// Some of what happened at the provider is never told.
    fn keep_untold(&mut self, dice: &mut Dice) {
        let Some(asked) = self.recovery.as_ref().map(|plan| plan.asked) else { return };
        let share = dice.pick(&[0.0, 0.2, 0.5]);
        for step in &mut self.steps {
            if let What::Send(event) = step.what
                && self.events[event].provider.id() == asked
                && self.events[event].kind == Kind::Update
                && dice.happens(share)
            {
                step.what = What::Untold(event);
            }
        }
    }

    fn break_the_recovery(&mut self, dice: &mut Dice) {
        let last = self.steps.iter().map(|step| step.at).max().unwrap_or_default();
        let end = u64::try_from(last.as_millis()).unwrap_or(0) + 60_000;
        for _ in 0..dice.pick(&[0, 1, 3, 6, 10]) {
            let at = Duration::from_millis(dice.below(end));
            self.steps.push(Step { at, what: What::Fault(self.recovery_fault(dice)) });
        }
        for _ in 0..dice.pick(&[0, 0, 1, 2]) {
            let since = Duration::from_millis(dice.pick(&[1_000, 30_000, 600_000]));
            let at = Duration::from_millis(dice.below(end));
            self.steps.push(Step { at, what: What::Operator(Operator::Recover { since }) });
        }
    }

    fn recovery_fault(&self, dice: &mut Dice) -> Fault {
        let replicas = self.recovery.as_ref().map_or(1, |plan| plan.replicas);
        let slot = self.slots() - 1 - dice.index(replicas);
        let one = dice.happens(0.5).then_some(slot);
        let down = dice.pick(&[0, 200, 3_000, 20_000]);
        let while_ms = dice.pick(&[100, 1_000, 8_000, 40_000]);
        let weather = dice.pick(&[Weather::Down, Weather::Hanging]);
        let stage = dice.pick(&[Stage::Before, Stage::After]);
        match dice.below(32) {
            0..=1 => Fault::Crash(slot, down),
            2..=9 => Fault::CrashAtCall(slot, u32::try_from(dice.below(20)).unwrap_or(0), stage, down),
            10 => Fault::Drain(slot, down),
            11..=12 => Fault::Stall(slot, dice.pick(&[1_000, 8_000, 20_000, 40_000])),
            13..=14 => Fault::Redis(one, weather, while_ms),
            15 => Fault::RedisLoses(dice.pick(&[500, 5_000, 60_000])),
            16 => Fault::RedisJumps(dice.pick(&[-600_000, -5_000, 5_000, 600_000])),
            17 => Fault::ClockJumps(slot, dice.pick(&[-600_000, -5_000, 5_000, 600_000])),
            18..=19 => Fault::Broker(one, weather, while_ms),
            20..=22 => Fault::Api(one, weather, while_ms),
            23..=25 => Fault::ApiSlow(while_ms),
            _ => Fault::ApiAnswers(api_trouble(dice), while_ms),
        }
    }
}

/// Something that an API answers instead.
fn api_trouble(dice: &mut Dice) -> Trouble {
    match dice.below(10) {
        0..=2 => Trouble::Error,
        3 => Trouble::Page,
        4..=5 => Trouble::TooMany(Some(dice.between(1, 90))),
        6 => Trouble::TooMany(None),
        7..=8 => Trouble::Denied(dice.pick(&[401, 403])),
        _ => Trouble::Absent,
    }
}
