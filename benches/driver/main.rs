//! `make bench` and `make soak`: Milepost's processes measured beside bare programs that do the least that can be done,
//! on a private RabbitMQ and Redis. docs/performance.md says what is measured and how.

mod backlog;
mod broker;
mod figures;
mod http;
mod machine;
mod material;
mod plan;
mod process;
mod receiver;
mod redis;
mod report;
mod rig;
mod servers;
mod soak;
mod table;
mod worker;

use std::path::{Path, PathBuf};

use clap::Parser;
use milepost::app::life::Signals;

use crate::figures::Repetition;
use crate::http::Request;
use crate::plan::{Role, Row};
use crate::rig::{Rig, Side};
use crate::table::Measured;

/// Measures Milepost on a private RabbitMQ and Redis.
#[derive(Parser)]
enum Command {
    /// Beside bare programs, row by row
    Compare(Compare),
    /// For a long time, with trouble mixed in
    Soak {
        /// How long
        #[arg(long, default_value_t = 20.0)]
        minutes: f64,
        /// Events a second [default: half of what goes through the whole fleet in a short trial]
        #[arg(long)]
        rate: Option<f64>,
        /// Put the tables into this document too
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Compare {
    /// Only these
    #[arg(long, value_delimiter = ',', default_value = "receiver,worker")]
    rows: Vec<Role>,
    /// The first row of each alone, and fewer events
    #[arg(long)]
    quick: bool,
    /// How often each row is measured, both sides in turns
    #[arg(long, value_name = "N", default_value_t = 3)]
    repetitions: usize,
    /// Write every single measurement to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the tables into this document too
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let command = Command::parse();
    // One thread: what the driver uses is missing to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let measuring = async {
            match command {
                Command::Compare(args) => compare(&args).await,
                Command::Soak { minutes, rate, write } => soak(minutes, rate, write.as_deref()).await,
            }
        };
        tokio::select! {
            measured = measuring => measured,
            () = signals.next() => anyhow::bail!("interrupted"),
        }
    })
}

async fn compare(args: &Compare) -> anyhow::Result<()> {
    let rig = Rig::new().await?;
    let mut rows: Vec<_> = args.rows.iter().flat_map(|role| plan::rows(*role, args.quick)).collect();
    // The backlog stays once it is there.
    rows.sort_by_key(|row| row.backlog);
    let mut text = machine::list(&rig.servers);
    let mut measured = Vec::new();
    let mut backlog = false;
    let mut failed = None;
    for row in rows {
        if row.backlog && !backlog {
            eprintln!("filling the broker ...");
            backlog::make(&rig, &row.kind).await?;
            backlog = true;
        }
        match measure(&rig, &row, args.repetitions).await {
            Ok(repetitions) => measured.push(Measured { row, repetitions }),
            // What was measured before is printed even so, and goes nowhere else.
            Err(error) => {
                failed = Some(error.context(row.name));
                break;
            }
        }
    }
    for (role, name) in [(Role::Receiver, "Receiver"), (Role::Worker, "Worker")] {
        let of_role: Vec<_> = measured.iter().filter(|measured| measured.row.role == role).collect();
        if !of_role.is_empty() {
            text += &format!("\n### {name}\n\n");
            for ratios in table::FLOORS.into_iter().filter_map(|floor| table::ratios(&of_role, floor)) {
                text += &format!("{ratios}\n");
            }
            text += &table::figures(&of_role);
        }
    }
    println!("{text}");
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(file) = &args.write {
        report::replace(file, "bench", &text)?;
    }
    if let Some(file) = &args.json {
        let rows: Vec<_> = measured.iter().map(Measured::json).collect();
        std::fs::write(file, serde_json::to_string_pretty(&rows)?)?;
    }
    Ok(())
}

async fn soak(minutes: f64, rate: Option<f64>, write: Option<&Path>) -> anyhow::Result<()> {
    let rig = Rig::new().await?;
    let machine = machine::list(&rig.servers);
    let soaked = soak::run(&rig, minutes, rate).await?;
    let text = format!("{machine}\n{}", soaked.table());
    println!("{text}");
    if let Some(file) = write {
        report::replace(file, "soak", &text)?;
    }
    soaked.verdict()
}

/// All sides in turns.
async fn measure(rig: &Rig, row: &Row, repetitions: usize) -> anyhow::Result<Vec<Repetition>> {
    let mut measured = Vec::new();
    let requests = match row.role {
        Role::Receiver => row.kind.webhooks(row.events, "bench").map(Request::of).collect(),
        Role::Worker => Vec::new(),
    };
    for repetition in 1..=repetitions {
        let sides = match row.role {
            Role::Receiver => Repetition {
                milepost: receiver::run(rig, Side::Milepost, row, &requests).await?,
                floor: receiver::run(rig, Side::Floor, row, &requests).await?,
                to_updates: None,
            },
            Role::Worker => {
                // What Redis remembers of runs before is of no use; what the backlog left there is part of it.
                if !row.backlog {
                    redis::forget(&rig.servers.redis_url).await?;
                }
                let tag = format!("{}-{repetition}", row.name.replace(' ', ""));
                let milepost = worker::run(rig, Side::Milepost, row, &tag, None).await?;
                let rate = Some(milepost.rate);
                let floor = worker::run(rig, Side::Floor, row, &tag, rate).await?;
                let to_updates = Some(worker::run(rig, Side::ToUpdates, row, &tag, rate).await?);
                Repetition { milepost, floor, to_updates }
            }
        };
        let ratio = sides.milepost.rate / sides.floor.rate;
        eprintln!("{}, {repetition} of {repetitions}: {ratio:.2} of the floor's rate", row.name);
        measured.push(sides);
    }
    Ok(measured)
}
