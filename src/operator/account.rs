//! The account after an outage: for how long each provider was refused, what may be lost, and what came back.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use super::why::publications::{self, Publication};
use crate::app::backends::{gaps, open_deliveries};
use crate::config::Config;
use crate::domain::gap::{Gap, RefusedContent, Witness};
use crate::domain::provider::Provider;
use crate::domain::silence::Cutoffs;
use crate::ports::{Gaps as _, LedgerError, OpenDeliveries as _};
use crate::providers;

#[derive(Clone, Copy)]
pub struct AccountQuestion {
    pub since: Timestamp,
    pub until: Timestamp,
    pub provider: Option<&'static dyn Provider>,
}

/// What is known of one provider.
pub struct ProviderAccount {
    pub provider: &'static dyn Provider,
    /// When it was refused, or could not reach us, by when that began. They do not overlap.
    pub stretches: Vec<Stretch>,
    /// Whether its accounts can be asked.
    pub is_asked: bool,
    /// Deliveries that were open then and have had no update since.
    pub unheard: usize,
    /// Updates that are published because we asked, since then. Nothing if the broker could not be asked.
    pub recovered: Option<Vec<Publication>>,
}

/// A time of refusals, as all witnesses together have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub from: Timestamp,
    pub until: Timestamp,
    pub refused: u64,
    /// Different webhooks among them that were read, as far as they are remembered.
    pub webhooks: u64,
    /// How many of those surely came again and were accepted.
    pub came_again: u64,
    pub witnesses: BTreeSet<Witness>,
}

/// Asks Redis and the broker. Why the broker could not be asked, if so, is beside what is known without it.
///
/// # Errors
/// When Redis cannot be asked.
pub async fn ask(
    question: AccountQuestion,
    config: &Config,
    now: Timestamp,
) -> anyhow::Result<(Vec<ProviderAccount>, Option<anyhow::Error>)> {
    let mut accounts = Vec::new();
    let wanted = |id| question.provider.is_none_or(|provider| provider.id() == id);
    for &provider in providers::ALL.iter().filter(|provider| wanted(provider.id())) {
        let account = account(provider, config, question).await;
        accounts.push(account.context("cannot ask Redis")?);
    }
    let pulled = match publications::pulled(config.amqp.url.expose(), question.since, now).await {
        Ok(pulled) => pulled,
        Err(outage) => return Ok((accounts, Some(outage))),
    };
    for account in &mut accounts {
        let own = |one: &&Publication| one.data.provider == account.provider.id().as_str();
        account.recovered = Some(pulled.iter().filter(own).cloned().collect());
    }
    Ok((accounts, None))
}

async fn account(
    provider: &'static dyn Provider,
    config: &Config,
    AccountQuestion { since, until, .. }: AccountQuestion,
) -> anyhow::Result<ProviderAccount> {
    let (id, kept) = (provider.id(), gaps(config)?);
    let found = kept.since(id, since).await?;
    let mut stretches = stretches(found.into_iter().filter(|gap| gap.from <= until));
    if let Some(first) = stretches.first() {
        let contents = kept.contents(id, first.from).await?;
        for stretch in &mut stretches {
            stretch.count(&contents);
        }
    }
    let end = stretches.iter().map(|stretch| stretch.until).max();
    let unheard = match end {
        Some(end) => unheard(provider, config, end).await?,
        None => 0,
    };
    let is_asked = config.recovery.sources.contains_key(&id);
    Ok(ProviderAccount { provider, stretches, is_asked, unheard, recovered: None })
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
            None => {
                let (webhooks, came_again) = (0, 0);
                let witnesses = BTreeSet::from([witness]);
                stretches.push(Stretch { from, until, refused, webhooks, came_again, witnesses });
            }
        }
    }
    stretches
}

impl Stretch {
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.until.duration_since(self.from).unsigned_abs()
    }

    /// Whether the provider had given nothing up by its end, if it sends again as its documents say.
    #[must_use]
    pub fn is_outlasted_by(&self, patience: Duration) -> bool {
        self.lasted() < patience
    }

    /// Takes those that were last refused in it into account.
    fn count(&mut self, contents: &[RefusedContent]) {
        let own = contents.iter().filter(|content| (self.from..=self.until).contains(&content.refused_at));
        for content in own {
            self.webhooks += 1;
            self.came_again += u64::from(content.came_again());
        }
    }
}

impl ProviderAccount {
    /// How many deliveries the updates are of that are published because we asked.
    #[must_use]
    pub fn recovered_deliveries(&self) -> Option<usize> {
        let recovered = self.recovered.as_deref()?;
        let ids: BTreeSet<_> = recovered.iter().map(|one| (&one.data.account, &one.subject)).collect();
        Some(ids.len())
    }
}
