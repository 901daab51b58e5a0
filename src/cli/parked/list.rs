//! `milepost parked list`.

use std::io::Write;

use jiff::Timestamp;

use super::{BrokerArgs, Site, out, until_signalled};
use crate::cli::Exit;
use crate::cli::table::{Align, Table};
use crate::operator::parked::entry::Entry;
use crate::operator::parked::filter::Filter;
use crate::operator::parked::look;
use crate::operator::printable::shortened;

/// A delivery's or an event's id is shown as far as this; `show` has all of it.
const LONGEST_ID: usize = 24;

/// What `milepost parked list` is asked.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub broker: BrokerArgs,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub filter: Filter,
}

pub(super) async fn run(args: &Args, site: &Site) -> anyhow::Result<Exit> {
    let mut out = out();
    let mut table = Table::new(&[
        ("ID", Align::Left),
        ("PROVIDER", Align::Left),
        ("ACCOUNT", Align::Left),
        ("PARKED", Align::Left),
        ("REASON", Align::Left),
        ("TRIES", Align::Right),
        ("DELIVERY", Align::Left),
        ("STATUS", Align::Left),
        ("DETAIL", Align::Left),
    ]);
    look(&site.rabbit, &args.filter, &until_signalled()?, |entry, _| {
        if args.json {
            writeln!(out, "{}", entry.json())?;
        } else {
            table.row(&row(&entry));
        }
        Ok(())
    })
    .await?;
    if !args.json {
        write!(out, "{table}")?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn row(entry: &Entry) -> [String; 9] {
    let (about, content) = (&entry.about, &entry.content);
    let id = |id: &Option<String>| id.as_deref().map_or("-".to_owned(), |id| shortened(id, LONGEST_ID));
    [
        about.id.clone(),
        about.provider.to_string(),
        entry.account().to_owned(),
        when(about.parked_at),
        about.reason.clone(),
        (u64::from(about.attempt) + 1).to_string(),
        id(&content.delivery_id),
        id(&content.raw_status),
        about.detail.clone().unwrap_or_default(),
    ]
}

/// A time to the second.
pub(super) fn when(time: Option<Timestamp>) -> String {
    time.map_or("-".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
