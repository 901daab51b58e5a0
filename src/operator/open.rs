//! Which deliveries are not closed, and which of them have been silent for long.

use std::time::Duration;

use jiff::Timestamp;

use crate::adapters::redis::{DeliveryName, LedgerReader};
use crate::app::backends::{open_deliveries, redis_connection};
use crate::config::Config;
use crate::domain::identity::Account;
use crate::domain::provider::{Provider, ProviderId};
use crate::domain::silence::Cutoffs;
use crate::domain::state::DeliveryState;
use crate::domain::status::Phase;
use crate::ports::{LedgerError, OpenCount, OpenDeliveries as _, OpenDelivery};
use crate::providers;

/// Which of the open deliveries are listed.
#[derive(Debug, Clone, Copy)]
pub enum Listed {
    All,
    /// Those that have been silent for longer than their provider usually is.
    Silent,
    /// Those that have been silent for so long.
    SilentFor(Duration),
}

pub struct OpenQuestion {
    pub provider: Option<&'static dyn Provider>,
    pub account: Option<Account>,
    pub listed: Listed,
    /// So many of each account at most, the longest silent.
    pub limit: usize,
}

/// How many of an account's deliveries are open in a phase.
pub struct OpenInPhase {
    pub provider: ProviderId,
    pub account: Account,
    /// The phase, and how many.
    pub count: OpenCount,
    /// For how long the provider is usually silent in it.
    pub usual: Duration,
}

/// Counts what is open, and lists it, the longest silent first.
///
/// # Errors
/// When the configuration or the ledger cannot be used.
pub async fn ask(
    question: &OpenQuestion,
    config: &Config,
    now: Timestamp,
) -> anyhow::Result<(Vec<OpenInPhase>, Vec<OpenDelivery>)> {
    let (open, inspector) = (open_deliveries(config)?, LedgerReader::new(redis_connection(config)?));
    let (mut counts, mut listed) = (Vec::new(), Vec::new());
    let all = || providers::ALL.iter().map(|provider| provider.id()).collect();
    for id in question.provider.map_or_else(all, |provider| vec![provider.id()]) {
        let usual = config.provider(id).usual_silence;
        for account in open.accounts(id).await? {
            if question.account.as_ref().is_some_and(|wanted| *wanted != account) {
                continue;
            }
            for count in open.count(id, &account, &usual.cutoffs(now)).await? {
                let usual = usual.of(count.phase);
                counts.push(OpenInPhase { provider: id, account: account.clone(), count, usual });
            }
            let cutoffs = match question.listed {
                Listed::SilentFor(span) => Cutoffs::at(now.checked_sub(span).unwrap_or(Timestamp::MIN)),
                Listed::Silent => usual.cutoffs(now),
                Listed::All => Cutoffs::at(Timestamp::MAX),
            };
            for delivery in open.silent(id, &account, &cutoffs, question.limit).await? {
                if is_open(&inspector, &delivery).await? {
                    listed.push(delivery);
                } else {
                    open.forget(&delivery.delivery).await?;
                }
            }
        }
    }
    counts.retain(|one| one.count.open > 0);
    listed.sort_by_key(|open| open.updated_at);
    Ok((counts, listed))
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
