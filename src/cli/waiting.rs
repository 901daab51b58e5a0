//! `milepost waiting`: what waits for a retry. It is read from the ledger, so that looking disturbs no delay level.

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;

use super::config::load_with;
use super::table::{Align, Table};
use super::{Exit, Global, listing};
use crate::adapters::clock::SystemClock;
use crate::adapters::redis::{LedgerReader, WaitingEvent};
use crate::app::backends::redis_connection;
use crate::domain::provider::Provider;
use crate::operator::printable::shortened;
use crate::operator::provider;
use crate::operator::waiting::{WaitingGroup, groups, reason, until};
use crate::ports::Clock as _;

/// A delivery's id is shown as far as this; `--json` has all of it.
const LONGEST_ID: usize = 32;

/// What `milepost waiting` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Only of this provider
    #[arg(long, value_name = "NAME", value_parser = provider)]
    pub provider: Option<&'static dyn Provider>,
    /// List at most so many, the next retry first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Ask this Redis [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// All of them, one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Shows what waits, by provider and reason, and the next retry.
///
/// # Errors
/// When the configuration or Redis cannot be used, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let config = load_with(global, &[("--redis", &args.redis)])?.config;
    let inspector = LedgerReader::new(redis_connection(&config)?);
    let mut waiting = inspector.waiting().await.context("cannot ask the ledger")?;
    if let Some(provider) = args.provider {
        waiting.retain(|event| event.delivery.provider == provider.id().as_str());
    }
    let now = SystemClock.now();
    let objects = waiting.iter().map(|event| as_json(event, now));
    listing::print(args.json, objects, || {
        if waiting.is_empty() {
            return "nothing waits for a retry\n".to_owned();
        }
        format!("{}\n{}", summary(&waiting, now), list(&waiting[..args.limit.min(waiting.len())], now))
    })
}

/// How many wait, by provider and reason, and when the first and the last of them is retried.
fn summary(waiting: &[WaitingEvent], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("PROVIDER", Align::Left),
        ("REASON", Align::Left),
        ("WAITING", Align::Right),
        ("FIRST", Align::Right),
        ("LAST", Align::Right),
    ]);
    let at = |time: Option<Timestamp>| time.map_or_else(String::new, |time| until(time, now));
    for WaitingGroup { provider, reason, count, first, last } in groups(waiting) {
        table.row(&[provider.to_owned(), reason.to_owned(), count.to_string(), at(first), at(last)]);
    }
    table
}

fn list(waiting: &[WaitingEvent], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("RETRY AT", Align::Right),
        ("PROVIDER", Align::Left),
        ("ACCOUNT", Align::Left),
        ("DELIVERY", Align::Left),
        ("FAILED", Align::Right),
        ("REASON", Align::Left),
        ("RECEIPT", Align::Left),
    ]);
    for event in waiting {
        table.row(&[
            due(event, now),
            event.delivery.provider.clone(),
            event.delivery.account.clone(),
            shortened(&event.delivery.delivery_id, LONGEST_ID),
            event.record.attempt.to_string(),
            reason(event).to_owned(),
            event.record.receipt.to_string(),
        ]);
    }
    table
}

fn due(event: &WaitingEvent, now: Timestamp) -> String {
    event.record.deadline.map_or_else(String::new, |due| until(due, now))
}

fn as_json(event: &WaitingEvent, now: Timestamp) -> serde_json::Value {
    let WaitingEvent { delivery, record } = event;
    json!({
        "provider": delivery.provider, "account": delivery.account, "delivery_id": delivery.delivery_id,
        "receipt": record.receipt.to_string(), "attempt": record.attempt, "reason": record.reason, "due": record.deadline,
        "due_in_seconds": record.deadline.map(|due| due.duration_since(now).as_secs_f64()),
    })
}
