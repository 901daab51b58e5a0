//! Whose turn it is: the webhooks of one delivery one after another, those of different deliveries side by side.

use std::collections::VecDeque;

use super::plan::{Plan, Planned};

/// A delivery that is being sent: what is left of it.
#[derive(Debug)]
pub struct Itinerary {
    pub number: u64,
    left: VecDeque<Planned>,
}

/// Deals out the deliveries of a run. At most so many are begun and not over, each with one webhook under way at most.
#[derive(Debug)]
pub struct Schedule {
    plan: Plan,
    /// How many deliveries there are.
    count: u64,
    at_once: usize,
    begun: u64,
    open: usize,
    /// Those whose last webhook was accepted, and that have another.
    waiting: VecDeque<Itinerary>,
}

impl Schedule {
    /// Of `count` deliveries, `at_once` of them at a time.
    #[must_use]
    pub const fn new(plan: Plan, count: u64, at_once: usize) -> Self {
        Self { plan, count, at_once, begun: 0, open: 0, waiting: VecDeque::new() }
    }

    /// How many webhooks there are, duplicates aside.
    #[must_use]
    pub const fn webhooks(&self) -> u64 {
        self.count.saturating_mul(self.plan.steps as u64)
    }

    /// Whether [`Self::turn`] has one.
    #[must_use]
    pub fn has_turn(&self) -> bool {
        self.may_begin() || !self.waiting.is_empty()
    }

    /// Whether every delivery is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.begun == self.count && self.open == 0
    }

    /// What to send now, and the delivery that it is of, which is given back by [`Self::put_back`]. New deliveries come
    /// first, so that as many as may be are side by side.
    pub fn turn(&mut self) -> Option<(Itinerary, Planned)> {
        let mut itinerary = if self.may_begin() {
            let number = self.begun;
            (self.begun, self.open) = (self.begun + 1, self.open + 1);
            Itinerary { number, left: self.plan.of(number).into() }
        } else {
            self.waiting.pop_front()?
        };
        let planned = itinerary.left.pop_front()?;
        Some((itinerary, planned))
    }

    /// After its webhook. One that was not accepted is its last: returned is how many are left out for that.
    pub fn put_back(&mut self, itinerary: Itinerary, accepted: bool) -> usize {
        let left = itinerary.left.len();
        if accepted && left > 0 {
            self.waiting.push_back(itinerary);
            return 0;
        }
        self.open -= 1;
        left
    }

    const fn may_begin(&self) -> bool {
        self.begun < self.count && self.open < self.at_once
    }
}
