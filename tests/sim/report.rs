//! What is shown of a schedule that fails.

use std::fmt::Write as _;

use crate::book::Violation;
use crate::plan::{Plan, What};
use crate::planted::Planted;
use crate::shrink::shrink;
use crate::world;

/// Makes the schedule smaller, and tells what happened in it.
pub fn report(plan: &Plan, planted: Option<Planted>, violation: &Violation) -> String {
    let smaller = shrink(plan, planted, violation.rule);
    let outcome = world::run(&smaller, planted, true);
    let found = outcome.violations.iter().find(|found| found.rule == violation.rule).unwrap_or(violation);
    let mut text = String::new();
    let seed = plan.seed;
    let _ = writeln!(text, "seed {seed}: {}: {}", violation.rule, violation.says);
    let (left, all) = (smaller.steps.len(), plan.steps.len());
    let _ = writeln!(
        text,
        "\nThe smallest schedule found that does the same has {left} of {all} steps ({} receivers, {} workers a provider, \
         prefetch {}, {:?}):\n",
        smaller.receivers, smaller.workers, smaller.prefetch, smaller.rates
    );
    for step in &smaller.steps {
        let _ = writeln!(text, "{step}");
        if let What::Send(event) | What::Untold(event) = step.what {
            let event = &smaller.events[event];
            let _ = writeln!(
                text,
                "{:12}{} delivery {} {} {:?}, again after {:?} ms",
                "",
                event.provider.id(),
                event.delivery,
                event.raw_status,
                event.kind,
                event.resends
            );
        }
    }
    let delivery = found.event.map(|event| smaller.events[event].delivery);
    let about: Vec<usize> =
        (0..smaller.events.len()).filter(|event| Some(smaller.events[*event].delivery) == delivery).collect();
    let _ = writeln!(text, "\nWhat happened to event {:?}: {}: {}\n", found.event, found.rule, found.says);
    text.push_str(&outcome.trace.text(&about));
    let again = planted.map_or_else(String::new, |planted| format!(" PLANTED={planted:?}"));
    let _ = writeln!(text, "\nAgain: make simulate SEEDS=1 FROM={seed}{again}");
    text
}
