//! Makes a failing schedule smaller: leaves out what it fails without.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::book::Violation;
use crate::plan::{Plan, Rates};
use crate::planted::Planted;
use crate::world;

/// How often it is run again at most.
const RUNS: usize = 400;

/// What a schedule breaks first, if anything, and how much happened in it. A panic breaks something, too.
pub fn judged(plan: &Plan, planted: Option<Planted>) -> (Option<Violation>, u32, usize) {
    let run = catch_unwind(AssertUnwindSafe(|| world::run(plan, planted, false)));
    match run {
        Ok(outcome) => (outcome.violations.into_iter().next(), outcome.acted, outcome.updates),
        Err(_) => {
            let panic = Violation { rule: "a panic", says: "see above".to_owned(), event: None };
            (Some(panic), 0, 0)
        }
    }
}

/// The smallest schedule found that breaks `rule`.
pub fn shrink(plan: &Plan, planted: Option<Planted>, rule: &str) -> Plan {
    let mut runs = 0;
    let mut fails = |plan: &Plan| {
        runs += 1;
        runs <= RUNS && judged(plan, planted).0.is_some_and(|violation| violation.rule == rule)
    };
    let mut smallest = plan.clone();
    let mut calm = smallest.clone();
    calm.rates = Rates::default();
    if fails(&calm) {
        smallest = calm;
    }
    let mut size = smallest.steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < smallest.steps.len() {
            let mut smaller = smallest.clone();
            smaller.steps.drain(at..(at + size).min(smallest.steps.len()));
            if fails(&smaller) {
                smallest = smaller;
            } else {
                at += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    for event in 0..smallest.events.len() {
        let mut smaller = smallest.clone();
        smaller.events[event].resends.clear();
        if !smallest.events[event].resends.is_empty() && fails(&smaller) {
            smallest = smaller;
        }
    }
    smallest
}
