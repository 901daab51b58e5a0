//! `milepost parked replay`: gives parked messages to the workers once more.
//!
//! Each is published to its work queue, and only once that is confirmed taken off the parked queue. If anything ends the
//! command in between leaves both, and the ledger makes the second a duplicate: so it can be run again at any time.

pub mod heard;
mod run;
mod tally;

use std::io::Write as _;

use self::run::{Ended, Replay};
use self::tally::Tally;
use super::filter::Selection;
use super::ramp::Ramp;
use super::{Broker, Queues, look, out};
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::parked::{Outlet, ParkedMessage};
use crate::app::life::Signals;
use crate::cli::parked::entry::Entry;
use crate::cli::{Exit, Global, send};
use crate::domain::envelope::{Envelope, Replay as Wish};
use crate::domain::verdict::ParkReason;
use crate::sinks;

/// What `milepost parked replay` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// At most so many a second
    #[arg(long, value_name = "R", value_parser = send::args::rate)]
    pub rate: Option<f64>,
    /// Stop when more than this share of a batch fails again: batches of 1, 2, 5, 20 and 100 are waited for, further
    /// ones of 500 are not
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    pub max_failures: f64,
    /// No batches: replay everything and do not wait for what becomes of it
    #[arg(long, conflicts_with = "max_failures")]
    pub no_ramp: bool,
    /// Publish even what was published before, once more
    #[arg(long)]
    pub force: bool,
    /// Show what would be replayed and end
    #[arg(long)]
    pub dry_run: bool,
    /// Where.
    #[command(flatten)]
    pub broker: Broker,
    /// Which messages. Those parked after the command began are never among them.
    #[command(flatten)]
    pub selection: Selection,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 1".to_owned())
}

pub(super) async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let settings = args.broker.settings(global)?;
    if args.dry_run {
        return dry_run(&args, &settings).await;
    }
    let mut signals = Signals::new()?;
    let outlet = Outlet::open(&settings).await?;
    let mut queues = Queues::new(&settings, &args.selection.filter);
    let (mut total, mut ended) = (Tally::default(), Ended::Through);
    while ended == Ended::Through {
        let Some(queue) = queues.next().await? else { break };
        let mut replay = Replay::begin(&args, queue, &outlet).await?;
        let ramp = if args.no_ramp { Ramp::none() } else { Ramp::new(args.max_failures) };
        let result = replay.run(ramp, &mut signals).await;
        total += replay.tally();
        match result {
            Ok(how) => ended = how,
            Err(error) => {
                eprintln!("milepost: {total}");
                return Err(error.context("the replay was cut short; it is safe to run it again"));
            }
        }
        replay.close().await?;
    }
    outlet.close().await;
    eprintln!("milepost: {total}");
    Ok(match ended {
        Ended::Through if args.selection.ids.len() as u64 > total.selected => {
            eprintln!("milepost: not every id is parked");
            Exit::Failed
        }
        Ended::Through => Exit::Done,
        stopped => {
            eprintln!("milepost: stopped: {stopped}; what was not replayed stays parked");
            Exit::Failed
        }
    })
}

async fn dry_run(args: &Args, settings: &RabbitSettings) -> anyhow::Result<Exit> {
    let (mut out, mut total) = (out(), Tally::default());
    look(settings, &args.selection.filter, |entry, message| {
        if args.selection.accepts(&entry) {
            total.selected += 1;
            match fit(args, &entry, message) {
                Some(_) => writeln!(out, "{}", entry.about.id)?,
                None => total.unfit += 1,
            }
        }
        Ok(())
    })
    .await?;
    out.flush()?;
    eprintln!("milepost: would replay {} messages", total.selected - total.unfit);
    Ok(Exit::Done)
}

/// The webhook to publish; `None` when the message must not be replayed. One that reached its worker as no envelope
/// was parked with an account and a time that were made up: only its own id says that it is meant.
fn fit(args: &Args, entry: &Entry, message: &ParkedMessage) -> Option<Envelope> {
    let made_up = entry.about.reason == ParkReason::BadEnvelope.as_str();
    // An event says in its body what a webhook's message says beside it.
    let of_sink = sinks::by_name(message.envelope.provider.as_str()).is_some();
    if message.defect.is_some() && !of_sink || (made_up && args.selection.ids.is_empty()) {
        return None;
    }
    let wish = if args.force { Wish::Force(entry.about.wish()) } else { Wish::Normal };
    // A fresh chain, with the history of those before it.
    Some(Envelope { attempt: 0, crashes: 0, replay: Some(wish), reason: None, ..message.envelope.clone() })
}
