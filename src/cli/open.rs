//! `milepost open`: which deliveries are not closed, and how long ago each had its last update.

use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::config::load_with;
use super::table::{Align, Table};
use super::{Exit, Global, listing};
use crate::adapters::clock::SystemClock;
use crate::domain::identity::Account;
use crate::domain::provider::Provider;
use crate::operator::open::{Listed, OpenInPhase, OpenQuestion, ask};
use crate::operator::printable::shortened;
use crate::operator::provider;
use crate::operator::waiting::{span, until};
use crate::operator::when::duration;
use crate::ports::{Clock as _, OpenDelivery};

/// A delivery's id is shown as far as this; `--json` has all of it.
const LONGEST_ID: usize = 32;

/// What `milepost open` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Only of this provider
    #[arg(long, value_name = "NAME", value_parser = provider)]
    pub provider: Option<&'static dyn Provider>,
    /// Only of this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<Account>,
    /// Only those without an update for so long, such as 2h [default: all]
    #[arg(long, value_name = "SPAN", value_parser = duration, conflicts_with = "silent")]
    pub silent_for: Option<Duration>,
    /// Only those without an update for longer than providers.NAME.silent_after_seconds
    #[arg(long)]
    pub silent: bool,
    /// List at most so many of each account, the longest silent
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Ask this Redis [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Shows how many deliveries are open, and lists them.
///
/// # Errors
/// When the configuration or Redis cannot be used, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let config = load_with(global, &[("--redis", &args.redis)])?.config;
    let now = SystemClock.now();
    let listed = match args.silent_for {
        Some(span) => Listed::SilentFor(span),
        None if args.silent => Listed::Silent,
        None => Listed::All,
    };
    let Args { provider, account, limit, .. } = args;
    let question = OpenQuestion { provider, account, listed, limit };
    let (counts, listed) = ask(&question, &config, now).await.context("cannot ask the ledger")?;
    let objects = listed.iter().map(|open| as_json(open, now));
    listing::print(args.json, objects, || {
        if counts.is_empty() {
            return "no delivery is open\n".to_owned();
        }
        let counts = table(&counts);
        if listed.is_empty() { counts.to_string() } else { format!("{counts}\n{}", list(&listed, now)) }
    })
}

fn table(counts: &[OpenInPhase]) -> Table {
    let mut table = Table::new(&[
        ("PROVIDER", Align::Left),
        ("ACCOUNT", Align::Left),
        ("PHASE", Align::Left),
        ("OPEN", Align::Right),
        ("SILENT", Align::Right),
        ("IF FOR", Align::Right),
    ]);
    for OpenInPhase { provider, account, count, usual } in counts {
        let [open, silent] = [count.open, count.silent].map(|number| number.to_string());
        let after = span(SignedDuration::try_from(*usual).unwrap_or(SignedDuration::MAX));
        let phase = count.phase.as_str().to_owned();
        table.row(&[provider.to_string(), account.to_string(), phase, open, silent, after]);
    }
    table
}

fn list(listed: &[OpenDelivery], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("LAST UPDATE", Align::Right),
        ("PROVIDER", Align::Left),
        ("ACCOUNT", Align::Left),
        ("PHASE", Align::Left),
        ("DELIVERY", Align::Left),
    ]);
    for OpenDelivery { delivery, phase, updated_at, .. } in listed {
        table.row(&[
            until(*updated_at, now),
            delivery.provider.to_string(),
            delivery.account.to_string(),
            phase.as_str().to_owned(),
            shortened(&delivery.delivery_id, LONGEST_ID),
        ]);
    }
    table
}

fn as_json(open: &OpenDelivery, now: Timestamp) -> serde_json::Value {
    let OpenDelivery { delivery, phase, updated_at, .. } = open;
    json!({
        "provider": delivery.provider.as_str(), "account": delivery.account.as_str(),
        "delivery_id": delivery.delivery_id, "phase": phase.as_str(), "updated_at": updated_at,
        "silent_seconds": now.duration_since(*updated_at).as_secs().max(0),
    })
}
