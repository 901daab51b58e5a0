//! The fleet's state: what its processes say in their metrics, what waits on the broker, and what waits in Redis.
//!
//! The words and the limits are those of the overview board (deploy/observability/define/overview.py).

mod depths;
mod scrape;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use url::Url;

use self::depths::Depths;
pub(super) use self::depths::DepthsOf;
use self::scrape::{Counters, scrape};
use super::page::Tone;
use crate::adapters::clock::SystemClock;
use crate::domain::provider::ProviderId;
use crate::operator::parked::filter::Filter;
use crate::ports::Clock as _;
use reqwest::Client;

const EVERY: Duration = Duration::from_secs(2);
/// Shares are of so long.
const WINDOW: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Default)]
pub(super) struct FleetView {
    /// When; `None` before the first look.
    pub(super) at: Option<Timestamp>,
    /// Each provider, and each sink that is used.
    pub(super) providers: Vec<ProviderView>,
    /// Processes that said how they do.
    pub(super) processes: usize,
    /// What could not be asked, and why.
    pub(super) troubles: Vec<String>,
}

/// The state of one provider, or of a sink. `None` is not known.
#[derive(Debug, Clone)]
pub(super) struct ProviderView {
    pub(super) provider: ProviderId,
    /// The share of webhooks that we take, or refuse for a fault of theirs.
    pub(super) accepting: Option<f64>,
    /// The share of what came in that ended well.
    pub(super) publishing: Option<f64>,
    /// Webhooks accepted a second.
    pub(super) rate: Option<f64>,
    /// Messages that wait for a worker.
    pub(super) behind: Option<u32>,
    /// Events that wait for a retry.
    pub(super) waiting: Option<usize>,
    pub(super) parked: Option<u32>,
    pub(super) clock: LossClock,
}

/// How long until a webhook that we refuse is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossClock {
    Unknown,
    /// We refuse it: the time until the first refused webhook is lost; negative once it is lost.
    LosesDataIn(SignedDuration),
    /// We accept it: how long an outage can last before a webhook is lost.
    Tolerates(SignedDuration),
}

impl LossClock {
    pub(super) fn tone(self) -> Tone {
        match self {
            Self::Unknown => Tone::Plain,
            Self::Tolerates(_) => Tone::Good,
            Self::LosesDataIn(left) if left >= SignedDuration::from_mins(30) => Tone::Warn,
            Self::LosesDataIn(_) => Tone::Bad,
        }
    }
}

/// The tone of a share: below `amber` it is bad, and below `green` worth a look.
pub(super) fn share_tone(share: Option<f64>, amber: f64, green: f64) -> Tone {
    match share {
        None => Tone::Plain,
        Some(share) if share >= green => Tone::Good,
        Some(share) if share >= amber => Tone::Warn,
        Some(_) => Tone::Bad,
    }
}

/// The tone of a number of parked messages.
pub(super) fn parked_tone(parked: Option<u32>) -> Tone {
    match parked {
        None => Tone::Plain,
        Some(0) => Tone::Good,
        Some(1..100) => Tone::Warn,
        Some(_) => Tone::Bad,
    }
}

/// What one look at the metrics found, by process.
type MetricsSample = HashMap<String, BTreeMap<String, Counters>>;

/// What asks processes for their metrics.
///
/// # Errors
/// When the system does not let it.
pub(super) fn client() -> anyhow::Result<Client> {
    Ok(scrape::client()?)
}

pub(super) async fn follow(
    (client, metrics): (Client, Vec<Url>),
    mut depths_of: DepthsOf,
    seen: watch::Sender<Arc<FleetView>>,
) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples: VecDeque<(Instant, MetricsSample)> = VecDeque::new();
    loop {
        tick.tick().await;
        let mut troubles = Vec::new();
        let sample = scrape(&client, &metrics, &mut troubles).await;
        samples.push_back((Instant::now(), sample));
        while samples.front().is_some_and(|(at, _)| at.elapsed() > WINDOW) {
            samples.pop_front();
        }
        let depths = depths_of.look(&mut troubles).await;
        let view = |provider: ProviderId| {
            let Depths { behind, waiting, parked } = depths.get(&provider).copied().unwrap_or_default();
            ProviderView { behind, waiting, parked, ..of_metrics(provider, &samples) }
        };
        let mut providers: Vec<_> = Filter::default().providers().into_iter().map(view).collect();
        // Of a sink that is not used there is no queue.
        providers.retain(|view| view.behind.is_some() || view.parked.is_some() || view.accepting.is_some());
        let processes = samples.back().map_or(0, |(_, sample)| sample.len());
        let at = Some(SystemClock.now());
        seen.send_replace(Arc::new(FleetView { at, providers, processes, troubles }));
    }
}

/// What the metrics say of a provider.
fn of_metrics(provider: ProviderId, samples: &VecDeque<(Instant, MetricsSample)>) -> ProviderView {
    let mut view = ProviderView {
        provider,
        accepting: None,
        publishing: None,
        rate: None,
        behind: None,
        waiting: None,
        parked: None,
        clock: LossClock::Unknown,
    };
    let (Some((first_at, first)), Some((last_at, last))) = (samples.front(), samples.back()) else {
        return view;
    };
    let now = last.values().filter_map(|process| process.get(provider.as_str()));
    let mut grown = Counters::default();
    for (process, counters) in last {
        let of = |sample: &MetricsSample| sample.get(process)?.get(provider.as_str()).cloned();
        let Some(before) = of(first) else { continue };
        if let Some(counters) = counters.get(provider.as_str()) {
            grown.add_growth(&before, counters);
        }
    }
    let passed = last_at.duration_since(*first_at).as_secs_f64();
    if passed > 0.0 {
        view.rate = Some(grown.accepted / passed).filter(|_| now.clone().any(|counters| counters.receives));
        view.accepting =
            (grown.requests > 0.0).then(|| 1.0 - (grown.failed / grown.requests).clamp(0.0, 1.0));
        view.publishing = (grown.accepted > 0.0).then(|| (grown.ended_well / grown.accepted).min(1.0));
    }
    view.clock = loss_clock(now.filter(|counters| counters.receives), SystemClock.now());
    view
}

/// The fleet refuses a provider when the last of its webhooks, by whichever receiver, was refused: since then, but at the
/// earliest since the last one that was accepted.
fn loss_clock<'a>(receivers: impl Iterator<Item = &'a Counters>, now: Timestamp) -> LossClock {
    let (mut since, mut accepted, mut refused, mut gives_up) = (None::<f64>, 0.0_f64, 0.0_f64, None::<f64>);
    for receiver in receivers {
        let refusing = Some(receiver.refusing_since).filter(|since| *since > 0.0);
        since = [since, refusing].into_iter().flatten().reduce(f64::min);
        accepted = accepted.max(receiver.last_accepted);
        refused = refused.max(receiver.last_refused);
        gives_up = Some(receiver.gives_up_after);
    }
    let Some(gives_up) = gives_up else { return LossClock::Unknown };
    match since.filter(|_| refused > accepted) {
        None => LossClock::Tolerates(seconds(gives_up)),
        Some(since) => {
            #[allow(clippy::cast_precision_loss)] // Seconds since 1970 fit a float's 53 bits.
            let now = now.as_millisecond() as f64 / 1000.0;
            LossClock::LosesDataIn(seconds(since.max(accepted) + gives_up - now))
        }
    }
}

fn seconds(seconds: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX)
}
