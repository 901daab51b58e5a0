//! Gives parked messages to the workers once more.
//!
//! Each is published to its work queue, and only once that is confirmed taken off the parked queue. If anything ends the
//! replay in between leaves both, and the ledger makes the second a duplicate: so it can be run again at any time.

pub mod results;
mod run;
mod tally;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

pub use self::run::Ended;
use self::run::ReplayRun;
pub use self::tally::Tally;
use super::ParkedQueues;
use super::entry::Entry;
use super::filter::Selection;
use super::ramp::Ramp;
use crate::adapters::clock::SystemClock;
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::parked::{ParkedMessage, ReplayPublisher};
use crate::domain::envelope::{Envelope, Replay};
use crate::domain::history::Failure;
use crate::domain::provider::ProviderId;
use crate::domain::verdict::ParkReason;
use crate::ports::Clock as _;
use crate::sinks;

/// The reason under which a message's history says that an operator changed its body.
pub const EDITED: &str = "edited";

/// What is replayed, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// At most so many a second.
    pub rate: Option<f64>,
    /// Stop when more than this share (0 to 1) of a batch fails again; `None`: everything at once, with no judgement.
    pub max_failures: Option<f64>,
    /// Publish even what was published before, once more.
    pub force: bool,
    pub selection: Selection,
    /// Another body in place of the message's own: for a selection of one id.
    pub edited: Option<Bytes>,
}

impl Options {
    fn no_ramp(&self) -> bool {
        self.max_failures.is_none()
    }

    fn ramp(&self) -> Ramp {
        self.max_failures.map_or_else(Ramp::none, Ramp::new)
    }
}

/// How far a replay of one queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayProgress {
    /// Messages of the queue that were looked at.
    pub looked_at: u32,
    /// Messages that were on the queue at the start.
    pub of: u32,
    /// What was done with them.
    pub tally: Tally,
}

/// Who watches a replay. Called for every message, so it must be quick.
pub trait Watcher: Send + Sync {
    /// The queue's replay is so far.
    fn progress(&self, progress: ReplayProgress);

    /// The message is off the parked queue.
    fn taken(&self, provider: ProviderId, id: &str);
}

/// Replays, queue after queue, until all is replayed or something ends it. Returns what was done, also when it was cut short.
///
/// # Errors
/// When the broker cuts it short: it is safe to run it again.
pub async fn run(
    settings: &RabbitSettings,
    options: &Options,
    stop: &CancellationToken,
    watcher: &dyn Watcher,
) -> (Tally, anyhow::Result<Ended>) {
    let mut total = Tally::default();
    let ended = replay(settings, options, stop, watcher, &mut total).await;
    (total, ended)
}

async fn replay(
    settings: &RabbitSettings,
    options: &Options,
    stop: &CancellationToken,
    watcher: &dyn Watcher,
    total: &mut Tally,
) -> anyhow::Result<Ended> {
    let publisher = ReplayPublisher::open(settings).await?;
    let mut queues = ParkedQueues::new(settings, &options.selection.filter);
    let mut ended = Ended::Through;
    while ended == Ended::Through {
        let Some(queue) = queues.next().await? else { break };
        let mut replay = ReplayRun::begin(options, queue, &publisher, stop, watcher).await?;
        let result = replay.run(options.ramp()).await;
        *total += replay.tally();
        ended =
            result.map_err(|error| error.context("the replay was cut short; it is safe to run it again"))?;
        replay.close().await?;
    }
    publisher.close().await;
    Ok(ended)
}

/// What a replay came to, in words.
#[must_use]
pub fn told(total: &Tally, ended: &anyhow::Result<Ended>) -> String {
    match ended {
        Ok(Ended::Through) => total.to_string(),
        Ok(stopped) => format!("stopped: {stopped}; {total}"),
        Err(error) => format!("failed: {error:#}; {total}"),
    }
}

/// The webhook to publish; `None` when the message must not be replayed. One that reached its worker as no envelope
/// was parked with an account and a time that were made up: only its own id says that it is meant.
#[must_use]
pub fn fit(options: &Options, entry: &Entry, message: &ParkedMessage) -> Option<Envelope> {
    let made_up = entry.about.reason == ParkReason::BadEnvelope.as_str();
    // An event says in its body what a webhook's message says beside it.
    let of_sink = sinks::by_name(message.envelope.provider.as_str()).is_some();
    if message.defect.is_some() && !of_sink || (made_up && options.selection.ids.is_empty()) {
        return None;
    }
    let replay = if options.force { Replay::Force(entry.about.replay_id()) } else { Replay::Normal };
    // A fresh chain, with the history of those before it.
    let mut webhook =
        Envelope { attempt: 0, crashes: 0, replay: Some(replay), reason: None, ..message.envelope.clone() };
    if let Some(body) = &options.edited {
        let by = Failure::new(SystemClock.now(), entry.about.attempt, EDITED, Some("by an operator"));
        webhook.history.push(by);
        webhook.body = body.clone();
    }
    Some(webhook)
}
