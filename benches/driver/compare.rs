//! `bench compare`: row by row, all sides in turns, on one generation of servers after the other.

use std::path::PathBuf;

use anyhow::ensure;

use crate::example::Example;
use crate::figures::{Figures, Repetition};
use crate::http::Request;
use crate::plan::{self, Role, Row};
use crate::rig::Rig;
use crate::servers::Generation;
use crate::side::Side;
use crate::table::{self, Measured};
use crate::{backlog, machine, receiver, redis, report, worker};

/// How much longer or shorter an event of a peer may be than Milepost's.
const ALIKE: f64 = 0.05;

#[derive(clap::Args)]
pub struct Compare {
    /// Only these
    #[arg(long, value_delimiter = ',', default_value = "receiver,worker")]
    rows: Vec<Role>,
    /// The first row of each alone, and fewer events
    #[arg(long)]
    quick: bool,
    /// How often each row is measured, all sides in turns
    #[arg(long, value_name = "N", default_value_t = 3)]
    repetitions: usize,
    /// Measure what benches/peers/install put into this folder too
    #[arg(long, value_name = "FOLDER")]
    peers: Option<PathBuf>,
    /// Write every single measurement to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the tables into this document too
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub async fn run(args: &Compare, generations: &[Generation]) -> anyhow::Result<()> {
    let mut text = machine::list();
    let mut measured = Vec::new();
    let mut failed = None;
    for &generation in generations {
        let rig = Rig::new(generation, args.peers.as_deref()).await?;
        text += &format!("\n### {}\n", rig.servers.versions().await?);
        let begun = measured.len();
        failed = rows(args, &rig, generation, &mut measured).await.err();
        text += &tables(&measured[begun..]);
        if failed.is_some() {
            break;
        }
    }
    println!("{text}");
    // What was measured before is printed even so, and goes nowhere else.
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

async fn rows(
    args: &Compare,
    rig: &Rig,
    generation: Generation,
    measured: &mut Vec<Measured>,
) -> anyhow::Result<()> {
    let mut rows: Vec<_> = args.rows.iter().flat_map(|role| plan::rows(*role, args.quick)).collect();
    // The backlog stays once it is there.
    rows.sort_by_key(|row| row.backlog);
    let mut backlog = false;
    for row in rows {
        if row.backlog && !backlog {
            eprintln!("filling the broker ...");
            backlog::make(rig, &row.kind).await?;
            backlog = true;
        }
        let sides = Side::of(&row, args.peers.is_some());
        let repetitions = measure(rig, &row, &sides, args.repetitions).await;
        measured.push(Measured {
            generation,
            row,
            repetitions: repetitions.map_err(|e| e.context(row.name))?,
        });
    }
    Ok(())
}

fn tables(measured: &[Measured]) -> String {
    let mut text = String::new();
    for (role, name) in [(Role::Receiver, "Receiver"), (Role::Worker, "Worker")] {
        let of_role: Vec<_> = measured.iter().filter(|measured| measured.row.role == role).collect();
        if !of_role.is_empty() {
            text += &format!("\n#### {name}\n\n");
            for ratios in table::OTHERS.into_iter().filter_map(|other| table::ratios(&of_role, other)) {
                text += &format!("{ratios}\n");
            }
            text += &table::figures(&of_role, role);
        }
    }
    text
}

/// All sides in turns.
async fn measure(
    rig: &Rig,
    row: &Row,
    sides: &[Side],
    repetitions: usize,
) -> anyhow::Result<Vec<Repetition>> {
    let example = match row.role {
        Role::Receiver => Example::of_receiver(rig, row).await?,
        Role::Worker => Example::of_worker(rig, row).await?,
    };
    let requests: Vec<_> = match row.role {
        Role::Receiver => row.kind.webhooks(row.events, "bench").map(Request::of).collect(),
        Role::Worker => Vec::new(),
    };
    let mut measured = Vec::new();
    for number in 1..=repetitions {
        let mut repetition = Repetition(Vec::new());
        let tag = format!("{}-{number}", row.name.replace(' ', ""));
        for &side in sides {
            let figures = match row.role {
                Role::Receiver => receiver::run(rig, side, row, &example, &requests).await?,
                Role::Worker => {
                    // What Redis remembers of runs before is of no use; what the backlog left there is part of it.
                    if !row.backlog {
                        redis::forget(&rig.servers.redis_url).await?;
                    }
                    let rate = repetition.of(Side::Milepost).map(|milepost| milepost.rate);
                    worker::run(rig, side, row, (&tag, rate), &example).await?
                }
            };
            eprintln!("{}, {number} of {repetitions}: {} {:.0}/s", row.name, side.name(), figures.rate);
            repetition.0.push((side, figures));
        }
        same_event(&repetition)?;
        measured.push(repetition);
    }
    Ok(measured)
}

/// All that publish updates publish equally long ones: else they are not compared with each other.
fn same_event(repetition: &Repetition) -> anyhow::Result<()> {
    let Some(Figures { body_bytes: ours, .. }) = repetition.of(Side::Milepost) else { return Ok(()) };
    for (side, Figures { body_bytes: theirs, .. }) in &repetition.0 {
        let alike = *side == Side::Floor || (theirs - ours).abs() <= ours * ALIKE;
        ensure!(alike, "events of {} have {theirs:.0} bytes, Milepost's {ours:.0}", side.name());
    }
    Ok(())
}
