//! One provider's replay.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::results::ReplayResults;
use super::tally::Tally;
use super::{Options, ReplayProgress, Watcher, fit};
use crate::adapters::rabbit::parked::{Outcomes, ParkedError, ParkedMessage, ParkedQueue, ReplayPublisher};
use crate::operator::pace::SendPace;
use crate::operator::parked::entry::Entry;
use crate::operator::parked::ramp::{Ramp, TooManyFailures};
use crate::ports::{PublishError, Tag};

/// Replays that wait for their confirm at once.
const UNCONFIRMED: usize = 256;
/// Messages are held no longer than this at a time: the broker takes them back after 30 minutes.
const HOLD: Duration = Duration::from_mins(10);
/// With no result for so long, the results so far count: a refused update is seen just before its retry is. A failure
/// seen later counts with the next batch.
const SETTLED: Duration = Duration::from_millis(500);
/// With the work queue empty for so long, replays without an outcome are reported as unknown.
const SILENCE: Duration = Duration::from_secs(2);
/// With no outcome for so long and the work queue not empty, no worker runs.
const STANDSTILL: Duration = Duration::from_mins(1);

#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was meant is replayed.
    Through,
    /// It was told to stop.
    Interrupted,
    Failing(TooManyFailures),
    /// There is no worker, or none that gets on.
    NoWorker,
    /// The broker did not take a message.
    Broker(PublishError),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Through => f.write_str("nothing is left"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Failing(too_many) => too_many.fmt(f),
            Self::NoWorker => f.write_str("no worker takes the replays (--no-ramp replays without one)"),
            Self::Broker(error) => error.fmt(f),
        }
    }
}

/// A message that was sent: its tag, its id, and whether the broker has it.
type Sent = (Tag, String, Result<(), PublishError>);

pub(super) struct ReplayRun<'a> {
    options: &'a Options,
    queue: ParkedQueue,
    publisher: &'a ReplayPublisher,
    stop: &'a CancellationToken,
    watcher: &'a dyn Watcher,
    outcomes: Outcomes,
    pace: SendPace,
    unconfirmed: FuturesUnordered<BoxFuture<'a, Sent>>,
    results: ReplayResults,
    /// Messages that stay where they are: they come by again when the look is renewed.
    kept: u32,
    refused: Option<PublishError>,
    looked_at: u32,
    of: u32,
    tally: Tally,
}

impl<'a> ReplayRun<'a> {
    pub(super) async fn begin(
        options: &'a Options,
        queue: ParkedQueue,
        publisher: &'a ReplayPublisher,
        stop: &'a CancellationToken,
        watcher: &'a dyn Watcher,
    ) -> Result<Self, ParkedError> {
        let outcomes = Outcomes::of(queue.connection(), queue.provider()).await?;
        let of = queue.remaining();
        Ok(Self {
            options,
            queue,
            publisher,
            stop,
            watcher,
            outcomes,
            pace: SendPace::new(options.rate, Instant::now()),
            unconfirmed: FuturesUnordered::new(),
            results: ReplayResults::default(),
            kept: 0,
            refused: None,
            looked_at: 0,
            of,
            tally: Tally::default(),
        })
    }

    /// What it has done so far.
    pub(super) fn tally(&self) -> Tally {
        Tally { published: self.results.published(), failed: self.results.failed(), ..self.tally }
    }

    fn show(&self) {
        let Self { looked_at, of, .. } = *self;
        self.watcher.progress(ReplayProgress { looked_at, of, tally: self.tally() });
    }

    /// Batch after batch, until all is replayed or something ends it.
    pub(super) async fn run(&mut self, mut ramp: Ramp) -> anyhow::Result<Ended> {
        // Asked in any case: without the queue, what is published would be caught as unroutable.
        let workers = self.queue.work_counts().await?.consumers;
        if workers == 0 && !self.options.no_ramp() && self.queue.remaining() > 0 {
            return Ok(Ended::NoWorker);
        }
        loop {
            let (batch, before) = (ramp.batch(), self.tally());
            let mut ended = self.send(batch.size).await?;
            let through = ended == Some(Ended::Through) && !self.options.no_ramp();
            if batch.awaited && ended.is_none() || through {
                ended = self.listen().await?.or(ended);
            }
            let (replayed, failed) =
                (self.tally.replayed - before.replayed, self.results.failed() - before.failed);
            if let Err(too_many) = ramp.judge(replayed, failed) {
                return Ok(Ended::Failing(too_many));
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// Replays so many. Returns why there are no more, when there are not.
    async fn send(&mut self, size: u32) -> anyhow::Result<Option<Ended>> {
        let (mut sent, mut ended) = (0, None);
        while sent < size && ended.is_none() {
            self.renew_if_due().await?;
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => { ended = Some(Ended::Interrupted); break }
                next = self.queue.next() => next?,
            };
            let Some(message) = next else {
                ended = Some(Ended::Through);
                break;
            };
            self.looked_at += 1;
            self.show();
            let entry = Entry::read(&message);
            if !self.options.selection.accepts(&entry) {
                self.kept += 1;
                continue;
            }
            ended = self.turn().await?;
            if ended.is_none() {
                sent += 1;
                self.publish(&entry, &message).await;
            }
        }
        while let Some(sent) = self.unconfirmed.next().await {
            self.confirmed(sent).await?;
        }
        Ok(self.refused.map(Ended::Broker).or(ended))
    }

    /// Waits for the next turn and for room, and takes care of what was sent meanwhile.
    async fn turn(&mut self) -> anyhow::Result<Option<Ended>> {
        let mut turn = false;
        while self.refused.is_none() {
            if turn && self.unconfirmed.len() < UNCONFIRMED {
                return Ok(None);
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Some(Ended::Interrupted)),
                Some(sent) = self.unconfirmed.next(), if !self.unconfirmed.is_empty() => self.confirmed(sent).await?,
                next = self.outcomes.next() => {
                    let (id, outcome) = next?;
                    self.results.record(id, outcome);
                }
                () = self.pace.turn(), if !turn => turn = true,
            }
        }
        Ok(self.refused.map(Ended::Broker))
    }

    async fn publish(&mut self, entry: &Entry, message: &ParkedMessage) {
        self.tally.selected += 1;
        let Some(webhook) = fit(self.options, entry, message) else {
            self.tally.unfit += 1;
            self.kept += 1;
            return;
        };
        let (tag, id) = (message.tag, entry.about.id.clone());
        self.results.expect(&id);
        match self.publisher.work(&webhook).await {
            Ok(confirm) => {
                self.unconfirmed.push(Box::pin(async move { (tag, id, confirm.await) }));
            }
            Err(error) => {
                self.results.forget(&id);
                self.refused = Some(error);
            }
        }
    }

    /// Takes a message off the parked queue, as the work queue has it.
    async fn confirmed(&mut self, (tag, id, result): Sent) -> Result<(), ParkedError> {
        match result {
            Ok(()) => {
                self.queue.ack(tag).await?;
                self.tally.replayed += 1;
                self.watcher.taken(self.queue.provider(), &id);
            }
            Err(error) => {
                self.results.forget(&id);
                self.refused = Some(error);
            }
        }
        Ok(())
    }

    /// Waits until every replay has a result, or gets none.
    async fn listen(&mut self) -> anyhow::Result<Option<Ended>> {
        let (mut seen_at, mut empty_since) = (Instant::now(), None);
        let mut look = interval(Duration::from_millis(100));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.results.is_complete() || seen_at.elapsed() < SETTLED {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Some(Ended::Interrupted)),
                _ = look.tick() => {
                    if self.queue.work_counts().await?.ready > 0 {
                        empty_since = None;
                    } else if empty_since.get_or_insert_with(Instant::now).elapsed() > SILENCE {
                        self.results.give_up();
                    }
                    if seen_at.elapsed() > STANDSTILL {
                        return Ok(Some(Ended::NoWorker));
                    }
                }
                next = self.outcomes.next() => {
                    let (id, outcome) = next?;
                    self.results.record(id, outcome);
                    self.show();
                    (seen_at, empty_since) = (Instant::now(), None);
                }
            }
        }
        Ok(None)
    }

    /// Only with nothing on its way: what is not acknowledged would come by again.
    async fn renew_if_due(&mut self) -> Result<(), ParkedError> {
        if self.queue.held_for() < HOLD {
            return Ok(());
        }
        while let Some(sent) = self.unconfirmed.next().await {
            self.confirmed(sent).await?;
        }
        self.queue.renew().await?;
        self.looked_at -= std::mem::take(&mut self.kept);
        Ok(())
    }

    /// Gives back what is not replayed.
    pub(super) async fn close(self) -> Result<(), ParkedError> {
        self.queue.close().await
    }
}
