//! One account of a provider: whom to ask next, and when.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::asking::{AskFailure, Asker};
use super::missed_events::MissedEvents;
use super::{ReconcilerPorts, ReconcilerSettings};
use crate::domain::identity::Account;
use crate::domain::provider::ProviderId;
use crate::domain::pull::{NoAnswer, Pull};
use crate::domain::retry::{RetrySchedule, reconnect_delay};
use crate::domain::silence::UsualSilence;
use crate::ports::{LedgerError, OpenDelivery, chance};
use crate::telemetry::metrics as m;

/// A delivery of which the provider had nothing new is asked for again after this, doubled each time.
const NOTHING_NEW: Duration = Duration::from_mins(35);
/// But no later than after this.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// An account that may be asked.
pub struct Source {
    pub provider: ProviderId,
    pub pull: &'static dyn Pull,
    pub path: String,
    /// The path by which its timeline is asked for, if it is.
    pub timeline_path: Option<String>,
    pub account: Account,
    /// For how long the provider is usually silent.
    pub usual: UsualSilence,
    /// When a failed request is made again.
    pub schedule: RetrySchedule,
    /// Requests a minute, at most.
    pub per_minute: u32,
    /// Deliveries that are looked at, at most.
    pub most_deliveries: usize,
}

impl Source {
    /// Requests of one round, at most: a minute's worth, so that the choice stays fresh.
    fn at_once(&self) -> usize {
        usize::try_from(self.per_minute).unwrap_or(usize::MAX)
    }
}

fn is_active(holding: &watch::Receiver<Option<Instant>>) -> bool {
    holding.borrow().is_some_and(|until| Instant::now() < until)
}

/// A delivery that was asked for.
struct LastQuery {
    at: Timestamp,
    updated_at: Timestamp,
    times: u32,
    due: Timestamp,
}

/// An account that is asked, with what is remembered of it while this process lives.
pub(super) struct AskedAccount {
    source: Source,
    ports: ReconcilerPorts,
    settings: ReconcilerSettings,
    asker: Asker,
    missed: Option<MissedEvents>,
    asked: HashMap<String, LastQuery>,
    /// Requests in a row that failed for a reason of the whole account's.
    failures: u32,
    holding: watch::Receiver<Option<Instant>>,
}

impl AskedAccount {
    pub(super) fn new(
        source: Source,
        ports: ReconcilerPorts,
        settings: ReconcilerSettings,
        holding: watch::Receiver<Option<Instant>>,
    ) -> Self {
        let asker = Asker::new(&source);
        let missed = source.pull.missed_events().map(MissedEvents::new);
        Self { source, ports, settings, asker, missed, asked: HashMap::new(), failures: 0, holding }
    }

    /// Asks for ever, as long as the lease is held.
    pub(super) async fn run(mut self) {
        loop {
            // The sender lives as long as this task. What is returned locks it, and must not be kept.
            drop(self.holding.wait_for(|until| until.is_some_and(|until| Instant::now() < until)).await);
            let pause = match self.round().await {
                Ok(pause) => pause,
                // The ledger is away: no delivery can be chosen.
                Err(_away) => self.settings.look_every,
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks for those that are due, a minute's worth at most, so that the choice stays fresh. Returns how long to wait
    /// before the next round.
    async fn round(&mut self) -> Result<Duration, LedgerError> {
        let now = self.ports.clock.now();
        let ends = self.gap_ends(now).await?;
        let more_missed = match self.ask_for_missed(&ends, now).await {
            Ok(more) => more,
            Err(failure) => return Ok(self.failed(failure)),
        };
        // After this the provider has had time to send again.
        let settled = now.checked_sub(self.settings.after_gap).unwrap_or_default();
        let gap = ends.into_iter().filter(|end| *end <= settled).max();
        let (provider, account) = (self.source.provider, &self.source.account);
        let usual = self.source.usual.cutoffs(now);
        let cutoffs = gap.map_or(usual, |gap| usual.or_later(gap));
        let silent = self.ports.open.silent(provider, account, &cutoffs, self.source.most_deliveries).await?;
        let ids: HashSet<&str> = silent.iter().map(|open| open.delivery.delivery_id.as_str()).collect();
        self.asked.retain(|id, _| ids.contains(id.as_str()));
        let due: Vec<_> = silent.iter().filter(|open| self.is_due(open, gap, now)).collect();
        self.show_pending(due.len());
        for (asked, open) in due.iter().take(self.source.at_once()).enumerate() {
            if !is_active(&self.holding) {
                break;
            }
            match self.ask(open).await {
                Ok(()) => self.failures = 0,
                Err(failure) => return Ok(self.failed(failure)),
            }
            self.show_pending(due.len() - asked - 1);
        }
        let more = due.len() > self.source.at_once() || more_missed;
        Ok(if more { Duration::ZERO } else { self.settings.look_every })
    }

    /// When gaps of this account ended, or were last noted.
    async fn gap_ends(&self, now: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        let since = now.checked_sub(self.settings.gaps_count_for).unwrap_or_default();
        let gaps = self.ports.gaps.since(self.source.provider, since).await?;
        let ours = gaps
            .into_iter()
            .filter(|gap| gap.account.as_ref().is_none_or(|account| *account == self.source.account));
        Ok(ours.map(|gap| gap.until).collect())
    }

    /// Asks for the events on the provider's own list, a minute's worth at most. Returns whether there are more.
    async fn ask_for_missed(&mut self, gap_ends: &[Timestamp], now: Timestamp) -> Result<bool, AskFailure> {
        let Some(missed) = self.missed.as_mut().filter(|missed| missed.is_due(gap_ends, now)) else {
            return Ok(false);
        };
        let is_active = || is_active(&self.holding);
        match missed.publish(&mut self.asker, &self.ports, now, self.source.at_once(), is_active).await {
            Err(AskFailure::NoAnswer(why)) if !why.may_pass() => {
                let (provider, account) = (self.source.provider, &self.source.account);
                tracing::warn!(%provider, %account, why = why.as_str(), "the provider's list of events cannot be read");
                Ok(false)
            }
            published => published,
        }
    }

    /// Whether to ask: never asked, updated since, missed something since, or its time has come.
    fn is_due(&self, open: &OpenDelivery, gap: Option<Timestamp>, now: Timestamp) -> bool {
        self.asked.get(&open.delivery.delivery_id).is_none_or(|asked| {
            asked.updated_at != open.updated_at || gap.is_some_and(|gap| asked.at < gap) || asked.due <= now
        })
    }

    /// Asks for one delivery. What fails about it alone is remembered, and it is asked for again later.
    async fn ask(&mut self, open: &OpenDelivery) -> Result<(), AskFailure> {
        let delivery_id = &open.delivery.delivery_id;
        match self.asker.ask(&self.ports, delivery_id, open.address.as_deref()).await {
            Ok(()) => {}
            Err(AskFailure::NoAnswer(why)) if !why.is_of_account() => {
                let (provider, account) = (self.source.provider, &self.source.account);
                tracing::info!(%provider, %account, delivery.id = delivery_id, why = why.as_str(), "nothing was pulled");
            }
            Err(failure) => return Err(failure),
        }
        let now = self.ports.clock.now();
        let before = self.asked.get(delivery_id).filter(|asked| asked.updated_at == open.updated_at);
        let times = before.map_or(0, |asked| asked.times);
        let pause = (NOTHING_NEW * (1 << times.min(10))).min(LONGEST_PAUSE);
        let due = now.checked_add(pause).unwrap_or(now);
        let asked = LastQuery { at: now, updated_at: open.updated_at, times: times + 1, due };
        self.asked.insert(delivery_id.clone(), asked);
        Ok(())
    }

    /// How long to wait after a failure of the whole account's.
    fn failed(&mut self, failure: AskFailure) -> Duration {
        let pause = match failure {
            AskFailure::NotPublished => reconnect_delay(self.failures, chance::random()),
            AskFailure::NoAnswer(why) => {
                let last =
                    u32::try_from(self.source.schedule.attempts().saturating_sub(2)).unwrap_or_default();
                let delay = self.source.schedule.delay_after(self.failures.min(last), chance::random());
                let said = match why {
                    NoAnswer::Limited(said) => said.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                delay.unwrap_or_default().max(said)
            }
        };
        let (provider, account) = (self.source.provider, &self.source.account);
        if self.failures == 0 {
            let why = failure.as_str();
            tracing::warn!(%provider, %account, why, wait_seconds = pause.as_secs_f64(), "cannot pull");
        }
        self.failures = self.failures.saturating_add(1);
        pause
    }

    fn show_pending(&self, deliveries: usize) {
        let labels =
            [("provider", self.source.provider.to_string()), ("account", self.source.account.to_string())];
        #[allow(clippy::cast_precision_loss)] // Far below 2^53.
        metrics::gauge!(m::PULL_PENDING, &labels).set(deliveries as f64);
    }
}
