//! `milepost account`: the question after every outage. For how long was each provider refused, what may be lost, and what
//! came back?

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::config::load_with;
use super::{Exit, Global, misuse};
use crate::adapters::clock::SystemClock;
use crate::app::backends::{gaps, open_deliveries};
use crate::config::Config;
use crate::domain::gap::{Gap, Witness};
use crate::domain::provider::Provider;
use crate::domain::silence::Cutoffs;
use crate::operator::provider;
use crate::operator::when::when;
use crate::operator::why::publications::{self, Publication};
use crate::ports::{Clock as _, Gaps as _, LedgerError, OpenDeliveries as _};
use crate::providers;

/// What `milepost account` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Since then: a time such as 10:00 or 2026-01-02T03:04:05Z, or so long ago, such as 2h
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Timestamp,
    /// And until then [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<Timestamp>,
    /// Only of this provider
    #[arg(long, value_name = "NAME", value_parser = provider)]
    pub provider: Option<&'static dyn Provider>,
    /// Ask this RabbitMQ [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
    /// Ask this Redis [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// One JSON object a line, of a provider each
    #[arg(long)]
    pub json: bool,
}

/// What is known of one provider.
struct Account {
    provider: &'static dyn Provider,
    /// When it was refused, or could not reach us, by when that began. They do not overlap.
    stretches: Vec<Stretch>,
    /// Whether its accounts can be asked.
    is_asked: bool,
    /// Deliveries that were open then, and of which nothing was heard since.
    unheard: usize,
    /// Updates that are published because we asked, since then. Nothing if the broker could not be asked.
    recovered: Option<Vec<Publication>>,
}

/// A time of refusals, as all witnesses together have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    from: Timestamp,
    until: Timestamp,
    /// Requests that were refused.
    refused: u64,
    witnesses: BTreeSet<Witness>,
}

/// Asks, and says what is known and what is not.
///
/// # Errors
/// When the configuration or Redis cannot be used, or the output cannot be written.
pub async fn run(args: Args, global: Global) -> anyhow::Result<Exit> {
    let now = SystemClock.now();
    let until = args.until.unwrap_or(now);
    if until <= args.since {
        return Err(misuse("--until is not after --since"));
    }
    let config = load_with(global, &[("--amqp", &args.amqp), ("--redis", &args.redis)])?.config;
    let mut accounts = Vec::new();
    let wanted = |id| args.provider.is_none_or(|provider| provider.id() == id);
    for &provider in providers::ALL.iter().filter(|provider| wanted(provider.id())) {
        let account = account(provider, &config, args.since, until).await;
        accounts.push(account.context("cannot ask Redis")?);
    }
    let pulled = publications::pulled(config.amqp.url.expose(), args.since, now).await;
    let outage = pulled.as_ref().err().map(|error| format!("{error:#}"));
    for account in &mut accounts {
        let own = |one: &&Publication| one.data.provider == account.provider.id().as_str();
        account.recovered = pulled.as_ref().ok().map(|all| all.iter().filter(own).cloned().collect());
    }
    let mut out = anstream::stdout().lock();
    for account in &accounts {
        if args.json {
            writeln!(out, "{}", account.as_json())?;
        } else {
            write!(out, "{}", account.for_a_person())?;
        }
    }
    out.flush()?;
    if let Some(outage) = outage {
        eprintln!("milepost: what was recovered is not known: {outage}");
    }
    Ok(Exit::Done)
}

async fn account(
    provider: &'static dyn Provider,
    config: &Config,
    since: Timestamp,
    until: Timestamp,
) -> anyhow::Result<Account> {
    let id = provider.id();
    let gaps = gaps(config)?.since(id, since).await?;
    let stretches = stretches(gaps.into_iter().filter(|gap| gap.from <= until));
    let end = stretches.iter().map(|stretch| stretch.until).max();
    let unheard = match end {
        Some(end) => unheard(provider, config, end).await?,
        None => 0,
    };
    let is_asked = config.recovery.sources.contains_key(&id);
    Ok(Account { provider, stretches, is_asked, unheard, recovered: None })
}

async fn unheard(provider: &'static dyn Provider, config: &Config, end: Timestamp) -> anyhow::Result<usize> {
    let open = open_deliveries(config)?;
    let most = usize::try_from(config.open.max_deliveries).unwrap_or(usize::MAX);
    let mut unheard = 0;
    for account in open.accounts(provider.id()).await? {
        let cutoffs = Cutoffs::at(end);
        let silent: Result<Vec<_>, LedgerError> = open.silent(provider.id(), &account, &cutoffs, most).await;
        unheard += silent?.len();
    }
    Ok(unheard)
}

/// Gaps that overlap are one stretch: each receiver notes its own.
fn stretches(gaps: impl Iterator<Item = Gap>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for Gap { witness, from, until, refused, .. } in gaps {
        match stretches.last_mut().filter(|last| from <= last.until) {
            Some(last) => {
                last.until = last.until.max(until);
                last.refused += refused;
                last.witnesses.insert(witness);
            }
            None => stretches.push(Stretch { from, until, refused, witnesses: BTreeSet::from([witness]) }),
        }
    }
    stretches
}

impl Stretch {
    fn lasted(&self) -> Duration {
        self.until.duration_since(self.from).unsigned_abs()
    }

    /// Whether the provider had given nothing up by its end, if it sends again as its documents say.
    fn is_outlasted_by(&self, patience: Duration) -> bool {
        self.lasted() < patience
    }

    fn for_a_person(&self, patience: Duration) -> String {
        let Self { from, until, refused, witnesses } = self;
        let mut said = match (witnesses.contains(&Witness::Receiver), witnesses.contains(&Witness::Absence)) {
            (true, false) => format!("refused {refused} requests"),
            (true, true) => format!("refused {refused} requests, and for a time no receiver ran"),
            (false, true) => "no receiver ran: how many requests came is not known".to_owned(),
            (false, false) => "an operator says that webhooks were missed".to_owned(),
        };
        let lasted = self.lasted().as_secs();
        let verdict = if patience.is_zero() {
            "each of them may be lost: it is not known to send again".to_owned()
        } else if self.is_outlasted_by(patience) {
            format!("it sends again for {} s: all came again, if it did so", patience.as_secs())
        } else {
            let lost = lasted.saturating_sub(patience.as_secs());
            format!(
                "it sends again for {} s: what was refused in the first {lost} s may be lost",
                patience.as_secs()
            )
        };
        write!(said, "; {verdict}").expect("a text takes all");
        format!("  {from:.0} to {until:.0} ({lasted} s): {said}\n")
    }

    fn as_json(&self, patience: Duration) -> Value {
        let witnesses: Vec<_> = self.witnesses.iter().map(|witness| witness.as_str()).collect();
        json!({
            "from": self.from, "until": self.until, "refused": self.refused, "witnesses": witnesses,
            "may_be_lost": !self.is_outlasted_by(patience),
        })
    }
}

impl Account {
    fn deliveries(recovered: &[Publication]) -> usize {
        let ids: BTreeSet<_> = recovered.iter().map(|one| (&one.data.account, &one.subject)).collect();
        ids.len()
    }

    fn for_a_person(&self) -> String {
        let (id, patience) = (self.provider.id(), self.provider.gives_up_after());
        if self.stretches.is_empty() {
            return format!("{id}: no refusal is known\n{}", self.recovery());
        }
        let mut said = format!("{id}\n");
        for stretch in &self.stretches {
            said.push_str(&stretch.for_a_person(patience));
        }
        said + &self.recovery()
    }

    /// What came back, and what cannot be known.
    fn recovery(&self) -> String {
        let id = self.provider.id();
        let mut said = String::new();
        if let Some(recovered) = self.recovered.as_deref().filter(|recovered| !recovered.is_empty()) {
            let (updates, deliveries) = (recovered.len(), Self::deliveries(recovered));
            writeln!(said, "  recovered by asking: {updates} updates of {deliveries} deliveries")
                .expect("a text takes all");
        }
        if self.stretches.is_empty() {
            return said;
        }
        let unheard = self.unheard;
        writeln!(said, "  open then and not heard of since: {unheard} deliveries").expect("a text takes all");
        let asked = match (self.provider.pull(), self.is_asked) {
            (None, _) => "it cannot be asked where deliveries stand",
            (Some(_), false) => "it could be asked, and no credential is configured: recovery.providers",
            (Some(_), true) => "it is asked for those",
        };
        writeln!(said, "  {asked}").expect("a text takes all");
        writeln!(
            said,
            "  not known: what was refused, as it is kept nowhere; {id}'s deliveries that began then; refusals of a receiver \
             that ended before it could note them"
        )
        .expect("a text takes all");
        said
    }

    fn as_json(&self) -> Value {
        let patience = self.provider.gives_up_after();
        let stretches: Vec<_> = self.stretches.iter().map(|stretch| stretch.as_json(patience)).collect();
        json!({
            "provider": self.provider.id().as_str(), "gives_up_after_seconds": patience.as_secs(),
            "gaps": stretches, "open_and_unheard": self.unheard, "is_asked": self.is_asked,
            "can_be_asked": self.provider.pull().is_some(),
            "recovered_updates": self.recovered.as_ref().map(Vec::len),
            "recovered_deliveries": self.recovered.as_deref().map(Self::deliveries),
        })
    }
}
