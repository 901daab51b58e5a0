//! `milepost parked discard`: takes messages off the queue for good, after writing them down.

use std::path::PathBuf;

use super::filter::Selection;
use super::transfer::Writer;
use super::{Broker, Queues};
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::parked::ParkedQueue;
use crate::cli::parked::entry::Entry;
use crate::cli::{Exit, Global};
use crate::ports::Clock as _;

/// What `milepost parked discard` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Where they are written first, a new file for `import` [default: milepost-discarded-<time>.jsonl]
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Yes, for good
    #[arg(long, required = true)]
    pub yes: bool,
    /// Where.
    #[command(flatten)]
    pub broker: Broker,
    /// Which messages.
    #[command(flatten)]
    pub selection: Selection,
}

pub(super) async fn run(args: &Args, global: Global) -> anyhow::Result<Exit> {
    let settings = args.broker.settings(global)?;
    let path = args.file.clone().unwrap_or_else(|| {
        format!("milepost-discarded-{}.jsonl", SystemClock.now().strftime("%Y%m%dT%H%M%SZ")).into()
    });
    let mut writer = Writer::into(path.clone());
    let mut queues = Queues::new(&settings, &args.selection.filter);
    let mut discarded = 0;
    while let Some(mut queue) = queues.next().await? {
        discarded += discard(&mut queue, args, &mut writer).await?;
        queue.close().await?;
    }
    if discarded == 0 {
        eprintln!("milepost: nothing to discard");
    } else {
        eprintln!("milepost: discarded {discarded}, written to {}", path.display());
    }
    let missing = args.selection.ids.len() > discarded;
    Ok(if missing { Exit::Failed } else { Exit::Done })
}

async fn discard(queue: &mut ParkedQueue, args: &Args, writer: &mut Writer) -> anyhow::Result<usize> {
    let mut meant = Vec::new();
    while let Some(message) = queue.next().await? {
        if args.selection.accepts(&Entry::read(&message)) {
            writer.write(&message)?;
            meant.push(message.tag);
        }
    }
    writer.sync()?;
    for tag in &meant {
        queue.ack(*tag).await?;
    }
    Ok(meant.len())
}
