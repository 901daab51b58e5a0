//! `milepost recover`: has the reconciler ask a provider for what may have been missed.

use std::io::Write as _;

use anyhow::Context as _;
use jiff::Timestamp;

use super::config::load_with;
use super::{Exit, Global, misuse};
use crate::adapters::clock::SystemClock;
use crate::app::backends::{gaps, open_deliveries};
use crate::domain::gap::{Gap, Witness};
use crate::domain::identity::Account;
use crate::domain::provider::Provider;
use crate::domain::silence::Cutoffs;
use crate::operator::provider;
use crate::operator::when::when;
use crate::ports::{Clock as _, Gaps as _, OpenDeliveries as _};

const EXAMPLES: &str = "\
Examples:
  milepost recover --provider telyport --since 3h             webhooks of the last three hours may be missing
  milepost recover --provider dash --account paris --since 10:00 --until 10:45

It is done by milepost-reconciler, once recovery.after_gap_seconds have passed since the end, at the rate that is
configured. `milepost account` says what came of it.";

/// What `milepost recover` is asked.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The provider to ask
    #[arg(long, value_name = "NAME", value_parser = provider)]
    pub provider: &'static dyn Provider,
    /// Only about this account's deliveries
    #[arg(long, value_name = "NAME")]
    pub account: Option<Account>,
    /// Webhooks may have been missed since then: a time such as 10:00 or 2026-01-02T03:04:05Z, or so long ago, such as 2h
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Timestamp,
    /// And until then [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<Timestamp>,
    /// Ask this Redis [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
}

/// Notes a gap, and says how many deliveries will be asked for.
///
/// # Errors
/// When the provider cannot be asked, the configuration or Redis cannot be used, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let config = load_with(global, &[("--redis", &args.redis)])?.config;
    let now = SystemClock.now();
    let (id, until) = (args.provider.id(), args.until.unwrap_or(now).min(now));
    if until < args.since {
        return Err(misuse("--until is before --since"));
    }
    if args.provider.pull().is_none() {
        return Err(misuse(format_args!("{id} cannot be asked for a delivery's status")));
    }
    let asked = config.recovery.sources.get(&id);
    let accounts: Vec<_> = asked.iter().flat_map(|source| source.accounts.keys()).collect();
    let wanted = |account: &Account| args.account.as_ref().is_none_or(|wanted| wanted == account);
    anyhow::ensure!(
        accounts.iter().any(|account| wanted(account)),
        "no credential is configured to ask {id} with: recovery.providers.{id}.accounts"
    );
    let open = open_deliveries(&config)?;
    let (mut pending, most) = (0, usize::try_from(config.open.max_deliveries).unwrap_or(usize::MAX));
    for account in accounts.into_iter().filter(|account| wanted(account)) {
        let silent = open.silent(id, account, &Cutoffs::at(until), most).await;
        pending += silent.context("cannot ask the ledger")?.len();
    }
    let name = format!("operator-{}", now.as_millisecond());
    let gap = Gap { witness: Witness::Operator, account: args.account, from: args.since, until, refused: 0 };
    gaps(&config)?.note(id, &name, &gap).await.context("cannot note it")?;
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{id} will be asked for {pending} open deliveries that had their last update before {until:.0}"
    )?;
    out.flush()?;
    Ok(Exit::Done)
}
