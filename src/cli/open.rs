//! `milepost open`: which deliveries are not closed, and for how long nothing was heard of each.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::config::load_with;
use super::table::{Align, Table};
use super::{Exit, Global};
use crate::adapters::clock::SystemClock;
use crate::adapters::redis::{DeliveryName, LedgerReader};
use crate::app::backends::{open_deliveries, redis_connection};
use crate::config::Config;
use crate::domain::identity::Account;
use crate::domain::provider::{Provider, ProviderId};
use crate::domain::silence::Cutoffs;
use crate::domain::state::DeliveryState;
use crate::domain::status::Phase;
use crate::operator::printable::shortened;
use crate::operator::provider;
use crate::operator::waiting::{span, until};
use crate::operator::when::duration;
use crate::ports::{Clock as _, LedgerError, OpenCount, OpenDeliveries as _, OpenDelivery};
use crate::providers;

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
    /// Only those not heard of for so long, such as 2h [default: all]
    #[arg(long, value_name = "SPAN", value_parser = duration, conflicts_with = "silent")]
    pub silent_for: Option<Duration>,
    /// Only those not heard of for longer than their provider usually is silent, as providers.NAME.silent_after_seconds has it
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
    let (counts, listed) = ask(&args, &config, now).await.context("cannot ask the ledger")?;
    let mut out = anstream::stdout().lock();
    if args.json {
        for open in &listed {
            writeln!(out, "{}", as_json(open, now))?;
        }
    } else if counts.is_empty() {
        writeln!(out, "no delivery is open")?;
    } else {
        write!(out, "{counts}")?;
        if !listed.is_empty() {
            write!(out, "\n{}", list(&listed, now))?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

async fn ask(args: &Args, config: &Config, now: Timestamp) -> anyhow::Result<(Table, Vec<OpenDelivery>)> {
    let (open, inspector) = (open_deliveries(config)?, LedgerReader::new(redis_connection(config)?));
    let mut table = Table::new(&[
        ("PROVIDER", Align::Left),
        ("ACCOUNT", Align::Left),
        ("PHASE", Align::Left),
        ("OPEN", Align::Right),
        ("SILENT", Align::Right),
        ("IF FOR", Align::Right),
    ]);
    let mut listed = Vec::new();
    for id in args.provider.map_or_else(all, |provider| vec![provider.id()]) {
        let usual = config.provider(id).usual_silence;
        for account in open.accounts(id).await? {
            if args.account.as_ref().is_some_and(|wanted| *wanted != account) {
                continue;
            }
            for OpenCount { phase, open, silent } in open.count(id, &account, &usual.cutoffs(now)).await? {
                if open > 0 {
                    let [open, silent] = [open, silent].map(|number| number.to_string());
                    let phase_word = phase.as_str().to_owned();
                    let after =
                        span(SignedDuration::try_from(usual.of(phase)).unwrap_or(SignedDuration::MAX));
                    table.row(&[id.to_string(), account.to_string(), phase_word, open, silent, after]);
                }
            }
            let cutoffs = match args.silent_for {
                Some(span) => Cutoffs::at(now.checked_sub(span).unwrap_or(Timestamp::MIN)),
                None if args.silent => usual.cutoffs(now),
                None => Cutoffs::at(Timestamp::MAX),
            };
            for delivery in open.silent(id, &account, &cutoffs, args.limit).await? {
                if is_open(&inspector, &delivery).await? {
                    listed.push(delivery);
                } else {
                    open.forget(&delivery.delivery).await?;
                }
            }
        }
    }
    listed.sort_by_key(|open| open.updated_at);
    Ok((table, listed))
}

fn all() -> Vec<ProviderId> {
    providers::ALL.iter().map(|provider| provider.id()).collect()
}

/// The index is a hint: a delivery's own record says whether it is over, and one that is leaves the index. One that Redis has
/// forgotten is listed.
async fn is_open(inspector: &LedgerReader, open: &OpenDelivery) -> Result<bool, LedgerError> {
    let name = DeliveryName {
        provider: open.delivery.provider.to_string(),
        account: open.delivery.account.to_string(),
        delivery_id: open.delivery.delivery_id.clone(),
    };
    let legs = inspector.delivery(&name).await?.legs;
    let is_over = |leg: &DeliveryState| leg.is_terminal() || leg.status().phase() == Phase::Closed;
    Ok(legs.is_empty() || !legs.values().all(is_over))
}

fn list(listed: &[OpenDelivery], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("LAST HEARD OF", Align::Right),
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
