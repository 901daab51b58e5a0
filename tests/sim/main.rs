//! The whole fleet in a simulation, for a moment: the seeds that ever failed, the planted bugs, and a few fresh schedules.
//! `make simulate` runs more; docs/simulation.md says what is simulated.

// Each of the two crates that share these modules leaves some of them unused.
#![allow(dead_code)]

mod api;
mod book;
mod consumer;
mod dice;
mod hubrise;
mod link;
mod log;
mod operator;
mod oracle;
mod plan;
mod planted;
mod ports;
mod process;
mod provider;
mod reconciler;
mod regress;
mod report;
mod servers;
mod shrink;
mod sink;
mod spool;
mod trace;
mod world;

use self::plan::Plan;
use self::planted::Planted;

/// Fails with a readable account.
fn check(seed: u64) {
    let plan = Plan::new(seed);
    if let Some(violation) = shrink::judged(&plan, None).0 {
        panic!("{}", report::report(&plan, None, &violation));
    }
}

#[test]
fn fresh_schedules_keep_every_promise() {
    let from = rand::random::<u64>() % 1_000_000_000_000;
    for seed in from..from + 200 {
        check(seed);
    }
}

#[test]
fn a_seed_means_one_schedule_to_the_byte() {
    for seed in 0..40 {
        let plan = Plan::new(seed);
        let [one, other] = [(), ()].map(|()| world::run(&plan, None, true).trace.text(&[]));
        assert!(one.lines().count() > 20, "seed {seed}: {one}");
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_found() {
    for (bug, seed, says) in Planted::ALL {
        let (violation, ..) = shrink::judged(&Plan::new(seed), Some(bug));
        assert!(violation.is_some(), "seed {seed} does not show that {says} ({bug:?})");
        // It is the bug that is found, and not the schedule.
        check(seed);
    }
}

#[test]
fn a_schedule_that_fails_is_made_smaller_and_told() {
    let plan = Plan::new(2);
    let (violation, ..) = shrink::judged(&plan, Some(Planted::OccurrenceIgnored));
    let violation = violation.expect("it is found");
    let told = report::report(&plan, Some(Planted::OccurrenceIgnored), &violation);
    assert!(told.contains("!! an accepted webhook is lost"), "{told}");
    assert!(told.contains("make simulate SEEDS=1 FROM=2 PLANTED=OccurrenceIgnored"), "{told}");
    let smaller = shrink::shrink(&plan, Some(Planted::OccurrenceIgnored), violation.rule);
    assert!(smaller.steps.len() < plan.steps.len() / 2, "{told}");
}
