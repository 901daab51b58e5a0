//! `milepost parked summary`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::list::when;
use super::{BrokerArgs, Site, until_signalled};
use crate::cli::table::{Align, Table};
use crate::cli::{Exit, listing};
use crate::operator::parked::filter::Filter;
use crate::operator::parked::groups::{Group, GroupKey};
use crate::operator::parked::look;

/// What `milepost parked summary` is asked.
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
    let (mut groups, mut total) = (BTreeMap::<GroupKey, Group>::new(), Group::default());
    look(&site.rabbit, &args.filter, &until_signalled()?, |entry, _| {
        groups.entry(GroupKey::of(&entry)).or_default().add(entry.since());
        total.add(entry.since());
        Ok(())
    })
    .await?;
    listing::print(args.json, groups.iter().map(as_json), || {
        let (oldest, newest) = (when(total.oldest), when(total.newest));
        let total = total.count;
        format!("{}\n{total} parked, the oldest since {oldest}, the newest since {newest}\n", table(&groups))
    })
}

fn as_json((key, group): (&GroupKey, &Group)) -> Value {
    let GroupKey { provider, account, reason, detail, fingerprint } = key;
    let Group { count, oldest, newest } = group;
    json!({
        "provider": provider, "account": account, "reason": reason, "detail": detail,
        "fingerprint": fingerprint, "count": count, "oldest": oldest, "newest": newest,
    })
}

fn table(groups: &BTreeMap<GroupKey, Group>) -> Table {
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
        let GroupKey { provider, account, reason, detail, fingerprint } = key.clone();
        let count = count.to_string();
        table.row(&[provider, account, reason, fingerprint, count, when(*oldest), when(*newest), detail]);
    }
    table
}
