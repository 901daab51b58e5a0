//! `milepost parked summary`.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use super::entry::Entry;
use super::filter::Filter;
use super::list::when;
use super::{Broker, look, out};
use crate::cli::table::{Align, Table};
use crate::cli::{Exit, Global};

/// What `milepost parked summary` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Where.
    #[command(flatten)]
    pub broker: Broker,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Which messages.
    #[command(flatten)]
    pub filter: Filter,
}

/// Messages that failed alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// Since when the first of them is parked.
    pub oldest: Option<Timestamp>,
    /// And the last.
    pub newest: Option<Timestamp>,
}

impl Group {
    /// Counts one that was parked at this time, if that is known.
    pub fn add(&mut self, at: Option<Timestamp>) {
        self.count += 1;
        self.oldest = [self.oldest, at].into_iter().flatten().min();
        self.newest = self.newest.max(at);
    }
}

/// Provider, account, reason, detail, fingerprint.
type Key = [String; 5];

pub(super) async fn run(args: &Args, global: Global) -> anyhow::Result<Exit> {
    let (mut groups, mut total) = (BTreeMap::<Key, Group>::new(), Group::default());
    look(&args.broker.settings(global)?, &args.filter, |entry, _| {
        groups.entry(key(&entry)).or_default().add(entry.since());
        total.add(entry.since());
        Ok(())
    })
    .await?;
    let mut out = out();
    if args.json {
        for ([provider, account, reason, detail, fingerprint], Group { count, oldest, newest }) in &groups {
            let line = json!({
                "provider": provider, "account": account, "reason": reason, "detail": detail,
                "fingerprint": fingerprint, "count": count, "oldest": oldest, "newest": newest,
            });
            writeln!(out, "{line}")?;
        }
    } else {
        writeln!(out, "{}", table(&groups))?;
        writeln!(
            out,
            "{} parked, the oldest since {}, the newest since {}",
            total.count,
            when(total.oldest),
            when(total.newest)
        )?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn key(entry: &Entry) -> Key {
    let about = &entry.about;
    [
        about.provider.to_string(),
        entry.account().to_owned(),
        about.reason.clone(),
        about.detail.clone().unwrap_or_default(),
        about.fingerprint(),
    ]
}

fn table(groups: &BTreeMap<Key, Group>) -> Table {
    let mut table = Table::new(&[
        ("PROVIDER", Align::Left),
        ("ACCOUNT", Align::Left),
        ("REASON", Align::Left),
        ("FINGERPRINT", Align::Left),
        ("COUNT", Align::Right),
        ("OLDEST", Align::Left),
        ("NEWEST", Align::Left),
        ("DETAIL", Align::Left),
    ]);
    for (key, Group { count, oldest, newest }) in groups {
        let [provider, account, reason, detail, fingerprint] = key.clone();
        let count = count.to_string();
        table.row(&[provider, account, reason, fingerprint, count, when(*oldest), when(*newest), detail]);
    }
    table
}
