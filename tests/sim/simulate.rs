//! `make simulate`: many schedules, on every core. Ends with 1 and the schedule that failed, made smaller.

// Each of the two crates that share these modules leaves some of them unused.
#![allow(dead_code, missing_docs)]

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
mod report;
mod servers;
mod shrink;
mod sink;
mod spool;
mod trace;
mod world;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use self::book::Violation;
use self::plan::Plan;
use self::planted::Planted;

/// Runs the whole fleet through schedules of faults.
#[derive(Parser)]
struct Args {
    /// How many schedules
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first seed; by default one that was not run before
    #[arg(long)]
    from: Option<u64>,
    /// End after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// How many run at once
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How many seeds each planted bug takes to be found; with a name, that bug alone, and its schedule
    #[arg(long, num_args = 0..=1, default_missing_value = "all")]
    planted: Option<String>,
    /// Show all that happens
    #[arg(long)]
    trace: bool,
}

/// What was run.
struct Done {
    schedules: u64,
    acted: u64,
    updates: u64,
    failed: Option<(Plan, Violation)>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // As wide as a seed of one's own choosing, and easy to copy.
    let from = args.from.unwrap_or_else(|| rand::random::<u64>() % 1_000_000_000_000);
    match args.planted.as_deref() {
        Some("all") => return table(&args, from),
        Some(name) => match Planted::ALL.into_iter().find(|(bug, ..)| format!("{bug:?}") == name) {
            Some((bug, ..)) => return run(&args, from, Some(bug)),
            None => {
                eprintln!("there is no planted bug {name}");
                return ExitCode::from(2);
            }
        },
        None => {}
    }
    run(&args, from, None)
}

fn run(args: &Args, from: u64, planted: Option<Planted>) -> ExitCode {
    if args.trace {
        let outcome = world::run(&Plan::new(from), planted, true);
        print!("{}", outcome.trace.text(&[]));
    }
    eprintln!("seeds from {from}");
    let begun = Instant::now();
    let Done { schedules, acted, updates, failed } = many(args, from, planted, true);
    let took = begun.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // For people.
    let rate = schedules as f64 / took;
    println!(
        "{schedules} schedules from seed {from} in {took:.1} s: {rate:.0}/s, {acted} effects, {updates} updates published"
    );
    match failed {
        None => ExitCode::SUCCESS,
        Some((plan, violation)) => {
            println!("{}", report::report(&plan, planted, &violation));
            ExitCode::FAILURE
        }
    }
}

/// Runs schedules until one fails.
fn many(args: &Args, from: u64, planted: Option<Planted>, bar: bool) -> Done {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new(Done { schedules: 0, acted: 0, updates: 0, failed: None });
    let deadline = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let bar = if bar { ProgressBar::new(args.seeds) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}") {
        bar.set_style(style);
    }
    std::thread::scope(|scope| {
        for _ in 0..args.threads {
            scope.spawn(|| {
                let mut done = Done { schedules: 0, acted: 0, updates: 0, failed: None };
                while !failed.load(Ordering::Relaxed) && deadline.is_none_or(|end| Instant::now() < end) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= args.seeds {
                        break;
                    }
                    let plan = Plan::new(from + number);
                    let (violation, acted, updates) = shrink::judged(&plan, planted);
                    done.schedules += 1;
                    done.acted += u64::from(acted);
                    done.updates += updates as u64;
                    bar.inc(1);
                    if let Some(violation) = violation {
                        failed.store(true, Ordering::Relaxed);
                        done.failed = Some((plan, violation));
                    }
                }
                let mut total = total.lock().expect("no thread panics with it");
                total.schedules += done.schedules;
                total.acted += done.acted;
                total.updates += done.updates;
                // Of several that failed at once, the first seed.
                let earlier = |other: &(Plan, Violation)| {
                    done.failed.as_ref().is_some_and(|(plan, _)| plan.seed < other.0.seed)
                };
                if total.failed.is_none() || total.failed.as_ref().is_some_and(earlier) {
                    total.failed = done.failed.or(total.failed.take());
                }
            });
        }
    });
    bar.finish_and_clear();
    total.into_inner().expect("no thread panics with it")
}

/// How many seeds each planted bug takes.
fn table(args: &Args, from: u64) -> ExitCode {
    println!("| planted bug | found after | by the rule |\n|---|---|---|");
    let mut code = ExitCode::SUCCESS;
    for (bug, _, says) in Planted::ALL {
        let Done { schedules, failed, .. } = many(args, from, Some(bug), false);
        let (after, rule) = match failed {
            Some((plan, violation)) => ((plan.seed - from + 1).to_string(), violation.rule),
            None => {
                code = ExitCode::FAILURE;
                (format!("not within {schedules}"), "–")
            }
        };
        println!("| {says} (`{bug:?}`) | {after} | {rule} |");
    }
    code
}
