//! `milepost audit`: what operators did.

use jiff::Timestamp;

use super::config::load_with;
use super::parked::BrokerArgs;
use super::table::{Align, Table};
use super::{Exit, Global, listing};
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::updates_log::Start;
use crate::operator::audit::{self, ActPhase, AuditEntry};
use crate::operator::when::{clock, when};
use crate::ports::Clock as _;

/// What `milepost audit` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Since then: so long ago, such as 2h, or a time such as 10:30 or 2026-01-02T03:04:05Z [default: all that is kept]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Option<Timestamp>,
    /// Only what this one did
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub broker: BrokerArgs,
}

/// Shows it.
///
/// # Errors
/// When the configuration or the broker cannot be used, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let config = load_with(global, &[("--amqp", &args.broker.amqp)])?.config;
    let start = args.since.map_or(Start::First, Start::At);
    let mut entries = audit::read(config.amqp.url.expose(), start).await?;
    entries.retain(|entry| {
        args.since.is_none_or(|since| entry.at >= since)
            && args.who.as_ref().is_none_or(|who| entry.who == *who)
    });
    listing::print(args.json, &entries, || table(&entries))
}

fn table(entries: &[AuditEntry]) -> Table {
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("WHO", Align::Left),
        ("BY", Align::Left),
        ("ACT", Align::Left),
        ("WHICH", Align::Left),
        ("COUNT", Align::Right),
        ("RESULT", Align::Left),
    ]);
    let now = SystemClock.now();
    for entry in entries {
        let begun = if entry.phase == ActPhase::Begun { "begun" } else { "" };
        table.row(&[
            clock(entry.at, now),
            entry.who.clone(),
            entry.by.as_str().to_owned(),
            entry.act.as_str().to_owned(),
            entry.which.clone(),
            entry.count.map_or_else(String::new, |count| count.to_string()),
            entry.result.clone().unwrap_or_else(|| begun.to_owned()),
        ]);
    }
    table
}
