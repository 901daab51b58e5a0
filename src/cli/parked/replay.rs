//! `milepost parked replay`.

use std::io::Write as _;

use indicatif::ProgressBar;

use super::{BrokerArgs, Site, out, until_signalled};
use crate::cli::{Exit, send};
use crate::domain::provider::ProviderId;
use crate::operator::audit::{Act, AuditEntry, Surface, words};
use crate::operator::parked::filter::Selection;
use crate::operator::parked::look;
use crate::operator::parked::replay::{self, Ended, Options, ReplayProgress, Tally, Watcher, fit};

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
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// Which messages. Those parked after the command began are never among them.
    #[command(flatten)]
    pub selection: Selection,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 1".to_owned())
}

/// Shown on standard error, if that is a terminal.
struct Bar(ProgressBar);

impl Watcher for Bar {
    fn progress(&self, ReplayProgress { looked_at, of, .. }: ReplayProgress) {
        self.0.set_length(of.into());
        self.0.set_position(looked_at.into());
    }

    fn taken(&self, _: ProviderId, _: &str) {}
}

pub(super) async fn run(args: Args, site: &Site) -> anyhow::Result<Exit> {
    let Args { rate, max_failures, no_ramp, force, dry_run, selection, .. } = args;
    let max_failures = (!no_ramp).then_some(max_failures);
    let options = Options { rate, max_failures, force, selection, edited: None };
    if dry_run {
        return show(&options, site).await;
    }
    let (stop, bar) = (until_signalled()?, Bar(ProgressBar::new(0)));
    let selection = &options.selection;
    let entry = AuditEntry::begun(&site.who, Surface::Command, Act::Replay, words(selection), &selection.ids);
    // A replay that was cut short says what it did, too.
    let replaying = async { anyhow::Ok(replay::run(&site.rabbit, &options, &stop, &bar).await) };
    let (total, ended) = site.audit().done(&entry, replaying, told).await?;
    bar.0.finish_and_clear();
    eprintln!("milepost: {total}");
    Ok(match ended? {
        Ended::Through if selection.ids.len() as u64 > total.selected => {
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

fn told((total, ended): &(Tally, anyhow::Result<Ended>)) -> (u64, String) {
    (total.replayed, replay::told(total, ended))
}

async fn show(options: &Options, site: &Site) -> anyhow::Result<Exit> {
    let (mut out, mut total) = (out(), Tally::default());
    let selection = &options.selection;
    look(&site.rabbit, &selection.filter, &until_signalled()?, |entry, message| {
        if selection.accepts(&entry) {
            total.selected += 1;
            match fit(options, &entry, message) {
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
