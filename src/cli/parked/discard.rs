//! `milepost parked discard`.

use std::path::PathBuf;

use super::{BrokerArgs, Site};
use crate::adapters::clock::SystemClock;
use crate::cli::Exit;
use crate::operator::audit::{Act, AuditEntry, Surface, words};
use crate::operator::parked::discard::{discard, file_name};
use crate::operator::parked::filter::Selection;
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
    #[command(flatten)]
    pub broker: BrokerArgs,
    #[command(flatten)]
    pub selection: Selection,
}

pub(super) async fn run(args: &Args, site: &Site) -> anyhow::Result<Exit> {
    let Args { selection, .. } = args;
    let path = args.file.clone().unwrap_or_else(|| file_name(SystemClock.now()));
    let entry =
        AuditEntry::begun(&site.who, Surface::Command, Act::Discard, words(selection), &selection.ids);
    let discarding = discard(&site.rabbit, selection, &path);
    let told = |ids: &Vec<String>| (ids.len() as u64, format!("written to {}", path.display()));
    let discarded = site.audit().done(&entry, discarding, told).await?.len();
    if discarded == 0 {
        eprintln!("milepost: nothing to discard");
    } else {
        eprintln!("milepost: discarded {discarded}, written to {}", path.display());
    }
    let missing = selection.ids.len() > discarded;
    Ok(if missing { Exit::Failed } else { Exit::Done })
}
