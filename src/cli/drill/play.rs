//! Plays a plan against a fleet in fast motion, taking the broker away in the midst of it. Each provider sends again what was
//! not taken as it really does, by the drill's clock.
//!
//! The clock stops while the broker goes and comes, and no request is under way then: so the outage is exactly as long as
//! asked, however long a broker takes to start on this machine, and the same plan meets it in the same way each time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::fleet::TestFleet;
use super::plan::{BEFORE, PlannedWebhook};
use crate::cli::fake::provider::dialect::Dialect;
use crate::cli::send::delivered::{ProviderReply, SendOutcome};
use crate::cli::send::post::Poster;
use crate::cli::send::target;
use crate::domain::authentication::Authentication;
use crate::domain::identity::ReceiptId;
use crate::domain::provider::ProviderId;
use crate::domain::samples::{SampleSource, SignedWebhook};
use crate::providers::SAMPLE_SOURCES;

/// A webhook that was sent, as its provider knows it.
pub struct PlayedWebhook {
    pub planned: PlannedWebhook,
    /// How often it was sent.
    pub tries: u32,
    /// The receipts of all answers.
    pub receipts: Vec<ReceiptId>,
    /// The receipt it was accepted with.
    pub accepted: Option<ReceiptId>,
    /// How often it was not taken.
    pub not_taken: u64,
    /// Whether an answer said that it never will be.
    pub is_refused: bool,
}

/// What a provider does, or happens to the broker, at a time of the drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Occasion {
    BrokerGoes,
    BrokerComes,
    Try(usize),
}

/// The drill's clock: faster than that of the machine, and it can stand.
struct FastClock {
    zero: Instant,
    speed: f64,
}

impl FastClock {
    async fn reaches(&self, at_ms: u64) {
        let passed = Duration::from_millis(at_ms).div_f64(self.speed);
        sleep_until(self.zero + passed).await;
    }
}

struct EndedTry {
    webhook: usize,
    at_ms: u64,
    reply: ProviderReply,
    outcome: Option<SendOutcome>,
}

pub struct Player {
    fleet: Arc<TestFleet>,
    posters: BTreeMap<ProviderId, Arc<Poster>>,
    webhooks: Vec<PlayedWebhook>,
    queue: BinaryHeap<Reverse<(u64, Occasion)>>,
    under_way: JoinSet<anyhow::Result<EndedTry>>,
    clock: FastClock,
    /// Since when the broker is away, by the machine's clock.
    away_since: Option<Instant>,
    /// For how long it was.
    pub away: Duration,
}

impl Player {
    /// Plays `plan` so many times as fast as it would really be, with an outage of the broker in it.
    ///
    /// # Errors
    /// When requests cannot be made at all.
    pub fn new(
        fleet: Arc<TestFleet>,
        plan: Vec<PlannedWebhook>,
        outage: Duration,
        speed: f64,
    ) -> anyhow::Result<Self> {
        let poster = |provider: &dyn SampleSource| {
            let to = target::resolve(fleet.webhooks.clone(), provider.id(), &fleet.account);
            let scheme = provider.authentication().first().map(Authentication::scheme);
            let poster = Poster::new(to, provider.answer(scheme, Ok(())), Duration::ZERO, Arc::new(|_| {}))?;
            anyhow::Ok((provider.id(), Arc::new(poster)))
        };
        let posters =
            SAMPLE_SOURCES.iter().map(|&provider| poster(provider)).collect::<anyhow::Result<_>>()?;
        let goes_ms = u64::try_from(BEFORE.as_millis())?;
        let comes_ms = goes_ms + u64::try_from(outage.as_millis())?;
        let tries = plan.iter().enumerate().map(|(webhook, planned)| (planned.at_ms, Occasion::Try(webhook)));
        let broker = [(goes_ms, Occasion::BrokerGoes), (comes_ms, Occasion::BrokerComes)];
        let queue = tries.chain(broker).map(Reverse).collect();
        let webhooks = plan.into_iter().map(|planned| {
            let (tries, receipts, accepted, not_taken, is_refused) = (0, Vec::new(), None, 0, false);
            PlayedWebhook { planned, tries, receipts, accepted, not_taken, is_refused }
        });
        let (webhooks, under_way) = (webhooks.collect(), JoinSet::new());
        let clock = FastClock { zero: Instant::now(), speed };
        let (away_since, away) = (None, Duration::ZERO);
        Ok(Self { fleet, posters, webhooks, queue, under_way, clock, away_since, away })
    }

    /// Plays it until every webhook is accepted or given up.
    ///
    /// # Errors
    /// When the fleet cannot be drilled. The broker may be away then: [`Self::leave`].
    pub async fn play(&mut self) -> anyhow::Result<()> {
        loop {
            let next = self.queue.peek().map(|Reverse((at_ms, _))| *at_ms);
            tokio::select! {
                biased;
                Some(ended) = self.under_way.join_next() => self.note(ended??),
                () = self.clock.reaches(next.unwrap_or_default()), if next.is_some() => {
                    match self.queue.pop() {
                        Some(Reverse((at_ms, Occasion::Try(webhook)))) => self.begin(webhook, at_ms)?,
                        Some(Reverse((_, occasion))) => self.turn(occasion).await?,
                        None => {}
                    }
                }
                else => return Ok(()),
            }
        }
    }

    #[must_use]
    pub fn played(&self) -> &[PlayedWebhook] {
        &self.webhooks
    }

    /// Gives the broker back if it is away.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn leave(&mut self) -> anyhow::Result<()> {
        self.under_way.shutdown().await;
        if self.away_since.is_some() { self.fleet.give_broker_back().await } else { Ok(()) }
    }

    /// The broker goes, or comes.
    async fn turn(&mut self, occasion: Occasion) -> anyhow::Result<()> {
        let stopped = Instant::now();
        while let Some(ended) = self.under_way.join_next().await {
            self.note(ended??);
        }
        if occasion == Occasion::BrokerGoes {
            eprintln!("milepost: the broker goes");
            self.away_since = Some(Instant::now());
            self.fleet.take_broker_away().await?;
        } else {
            eprintln!("milepost: the broker is started again");
            self.fleet.give_broker_back().await?;
            self.away = self.away_since.take().map(|since| since.elapsed()).unwrap_or_default();
        }
        self.clock.zero += stopped.elapsed();
        Ok(())
    }

    fn begin(&mut self, webhook: usize, at_ms: u64) -> anyhow::Result<()> {
        let played = &mut self.webhooks[webhook];
        let (planned, is_first) = (&played.planned, played.tries == 0);
        played.tries += 1;
        let provider = planned.provider.id();
        let poster = Arc::clone(self.posters.get(&provider).context("a provider without a poster")?);
        let (fleet, signed) = (Arc::clone(&self.fleet), planned.webhook.clone());
        self.under_way.spawn(async move {
            if is_first {
                happens(&fleet, provider, &signed).await?;
            }
            let (reply, outcome) = poster.post(&signed).await;
            Ok(EndedTry { webhook, at_ms, reply, outcome })
        });
        Ok(())
    }

    /// A try has ended: its provider may make another.
    fn note(&mut self, ended: EndedTry) {
        let EndedTry { webhook, at_ms, reply, outcome } = ended;
        let played = &mut self.webhooks[webhook];
        let receipt = match reply {
            ProviderReply::Answer { receipt, .. } => receipt.and_then(|receipt| receipt.parse().ok()),
            ProviderReply::None(_) => None,
        };
        played.receipts.extend(receipt);
        if outcome == Some(SendOutcome::Accepted) {
            played.accepted = receipt;
            return;
        }
        played.not_taken += 1;
        played.is_refused = outcome == Some(SendOutcome::Refused);
        let again = played.planned.provider.resends_after(played.tries);
        if let (None, Some(wait)) = (outcome, again) {
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.queue.push(Reverse((at_ms.saturating_add(wait_ms), Occasion::Try(webhook))));
        }
    }
}

/// What a webhook is about has happened, whether or not the webhook is taken: the provider says so when it is asked.
async fn happens(fleet: &TestFleet, provider: ProviderId, signed: &SignedWebhook) -> anyhow::Result<()> {
    let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.provider() == provider);
    let said: Value = serde_json::from_slice(&signed.body)?;
    match dialect.and_then(|dialect| dialect.state_by(&said)) {
        Some((address, state)) => fleet.knows(provider.as_str(), &address, &state).await,
        None => Ok(()),
    }
}
