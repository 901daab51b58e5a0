//! `make bench`, `make costs` and `make soak`: Milepost's processes measured beside bare programs that do the least that
//! can be done, on a private RabbitMQ and Redis. docs/performance.md says what is measured and how. `make console-bench` measures
//! the operator's pages: docs/console.md.

mod backlog;
mod broker;
mod compare;
mod console;
mod costs;
mod example;
mod figures;
mod http;
mod ledger;
mod machine;
mod material;
mod peers;
mod plan;
mod process;
mod receiver;
mod redis;
mod report;
mod rig;
mod servers;
mod side;
mod soak;
mod table;
mod worker;

use std::path::{Path, PathBuf};

use clap::Parser;
use milepost::app::life::Signals;

use crate::compare::Compare;
use crate::rig::Rig;
use crate::servers::{Generation, Generations};

/// Measures Milepost on a private RabbitMQ and Redis.
#[derive(Parser)]
struct Arguments {
    /// On which servers [default: both where today's can be had]
    #[arg(long, global = true, default_value = "both", hide_default_value = true)]
    generation: Generations,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Beside bare programs, row by row
    Compare(Compare),
    /// What each property, header and byte of a message costs RabbitMQ
    Costs {
        /// How often each is measured
        #[arg(long, value_name = "N", default_value_t = 60)]
        rounds: usize,
        /// How many messages each time
        #[arg(long, value_name = "N", default_value_t = 1000)]
        burst: usize,
        /// Put the tables into this document too
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
    /// What an event in the ledger costs Redis, beside less
    Ledger {
        /// How often each is measured
        #[arg(long, value_name = "N", default_value_t = 20)]
        rounds: usize,
        /// Put the tables into this document too
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
    /// For a long time, with trouble mixed in; of several generations on the first
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
    /// The operator's pages with many parked messages; of several generations on the first
    Console(console::Arguments),
}

fn main() -> anyhow::Result<()> {
    let Arguments { generation, command } = Arguments::parse();
    let generations = generation.available()?;
    // One thread: what the driver uses is missing to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let measuring = async {
            match command {
                Command::Compare(args) => compare::run(&args, &generations).await,
                Command::Costs { rounds, burst, write } => {
                    let text = machine::list() + &costs::run(&generations, rounds, burst).await?;
                    show(&text, "costs", write.as_deref())
                }
                Command::Ledger { rounds, write } => {
                    let text = machine::list() + &ledger::run(&generations, rounds).await?;
                    show(&text, "ledger", write.as_deref())
                }
                Command::Soak { minutes, rate, write } => {
                    soak(generations[0], minutes, rate, write.as_deref()).await
                }
                Command::Console(args) => console(generations[0], &args).await,
            }
        };
        tokio::select! {
            measured = measuring => measured,
            () = signals.next() => anyhow::bail!("interrupted"),
        }
    })
}

async fn soak(
    generation: Generation,
    minutes: f64,
    rate: Option<f64>,
    write: Option<&Path>,
) -> anyhow::Result<()> {
    let rig = Rig::new(generation, None).await?;
    let servers = rig.servers.versions().await?;
    let soaked = soak::run(&rig, minutes, rate).await?;
    let text = format!("{}* servers: {servers}\n\n{}", machine::list(), soaked.table());
    show(&text, "soak", write)?;
    soaked.verdict()
}

async fn console(generation: Generation, args: &console::Arguments) -> anyhow::Result<()> {
    let machine = machine::list();
    let rig = Rig::new(generation, None).await?;
    let servers = rig.servers.versions().await?;
    let measured = console::run(&rig, args).await?;
    let text = format!("{machine}* servers: {servers}\n\n{measured}");
    show(&text, "console", args.write.as_deref())
}

/// Prints it, and puts it into the document.
fn show(text: &str, name: &str, write: Option<&Path>) -> anyhow::Result<()> {
    println!("{text}");
    write.map_or(Ok(()), |file| report::replace(file, name, text))
}
