//! A worker's run. Its rate is that at which it empties a full queue; its latency is taken at half of Milepost's rate,
//! from the publish of a message to the arrival of what became of it at a subscriber.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::Channel;
use lapin::message::Delivery;
use milepost::domain::envelope::Envelope;
use milepost::ports::Outbound;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::broker::Broker;
use crate::example::Example;
use crate::figures::{Figures, as_f64, percentiles};
use crate::material::number;
use crate::plan::{Load, Row};
use crate::process::Program;
use crate::redis;
use crate::rig::Rig;
use crate::side::{Side, work_queue};

/// How often the depth of the output is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the latency is measured.
const PACED: Duration = Duration::from_secs(2);
/// How long a slow machine may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// One run. `rate` is Milepost's in this repetition, unless it is being measured. `tag` is the run's own.
pub async fn run(
    rig: &Rig,
    side: Side,
    row: &Row,
    (tag, rate): (&str, Option<f64>),
    example: &Example,
) -> anyhow::Result<Figures> {
    let inputs: Vec<_> = row.kind.providers.iter().map(|provider| work_queue(provider.id())).collect();
    let output = [side.output().to_owned()];
    rig.broker.expect(&inputs, 0).await?;
    rig.broker.purge(&output).await?;
    let run = Run { broker: &rig.broker, side, row, tag };
    let prefetch = if let Load::Prefetch(prefetch) = row.load { prefetch } else { 256 };
    let figures = if let Load::OneInFlight = row.load {
        let programs = rig.workers(side, row.kind.providers, prefetch, example).await?;
        let figures = run.one_by_one(rig, &programs).await?;
        stop(side, programs).await?;
        figures
    } else {
        run.fill().await?;
        rig.rest().await?;
        let used = redis::used_memory(&rig.servers.redis_url).await?;
        let programs = rig.workers(side, row.kind.providers, prefetch, example).await?;
        let mut figures = run.drain(rig, &programs).await?;
        let more = redis::used_memory(&rig.servers.redis_url).await? - used;
        figures.redis_bytes = more / as_f64(row.events);
        rig.broker.expect(&output, row.events).await?;
        rig.broker.purge(&output).await?;
        run.paced(rate.unwrap_or(figures.rate) / 2.0, &mut figures).await?;
        stop(side, programs).await?;
        figures
    };
    // Every delivered message is acknowledged: the input queues are empty, and nothing more was published.
    if side == Side::Milepost {
        rig.broker.expect(&inputs, 0).await?;
    }
    rig.broker.expect(&output, 0).await.with_context(|| format!("when {side:?} was done"))?;
    rig.broker.purge(&inputs).await?;
    Ok(figures)
}

/// What they printed in the end.
fn said(programs: &[Program]) -> String {
    let last = |program: &Program| program.said().lines().last().unwrap_or_default().to_owned();
    programs.iter().map(last).collect::<Vec<_>>().join("; ")
}

/// Ends a side's programs. Milepost alone knows an orderly end.
async fn stop(side: Side, programs: Vec<Program>) -> anyhow::Result<()> {
    for program in programs {
        let orderly = program.stop().await?;
        ensure!(orderly || side != Side::Milepost, "a worker did not end as it should");
    }
    Ok(())
}

struct Run<'a> {
    broker: &'a Broker,
    side: Side,
    row: &'a Row,
    tag: &'a str,
}

impl Run<'_> {
    fn messages(&self, part: &str, count: usize) -> impl Iterator<Item = Envelope> + use<> {
        let webhooks = self.row.kind.webhooks(count, &format!("{}{part}", self.tag));
        webhooks.enumerate().map(|(index, webhook)| webhook.stored(index))
    }

    async fn fill(&self) -> anyhow::Result<()> {
        self.broker.fill(self.messages("f", self.row.events).map(Outbound::Raw)).await
    }

    /// Measures from the moment a tenth has come out until all has.
    async fn drain(&self, rig: &Rig, programs: &[Program]) -> anyhow::Result<Figures> {
        let (meter, output) = (rig.meter(programs), self.side.output());
        let end = Instant::now() + PATIENCE;
        let mut begun = None;
        loop {
            let depth = self.broker.depth(output).await?;
            if begun.is_none() && depth >= self.row.events / 10 {
                begun = Some((meter.read()?, depth));
            }
            if depth >= self.row.events {
                let (begun, already) = begun.context("a tenth is less than all")?;
                return meter.figures(&begun, &meter.read()?, depth - already);
            }
            ensure!(Instant::now() < end, "{depth} of {} came out; {}", self.row.events, said(programs));
            sleep(LOOK_EVERY).await;
        }
    }

    /// The latencies at so many messages a second, and the length of what comes out. The first fifth warms up.
    async fn paced(&self, rate: f64, figures: &mut Figures) -> anyhow::Result<()> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Some thousands.
        let count = (rate * PACED.as_secs_f64()) as usize;
        let messages: Vec<_> = self.messages("p", count).collect();
        let (channel, mut arriving) = self.broker.listen(self.side.output()).await?;
        let begun = Instant::now();
        let sending = async {
            let mut sent = Vec::with_capacity(count);
            let mut publishing = FuturesUnordered::new();
            let mut tick = interval(Duration::from_millis(1));
            tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut messages = messages.into_iter();
            while sent.len() < count || !publishing.is_empty() {
                tokio::select! {
                    _ = tick.tick(), if sent.len() < count => {
                        while as_f64(sent.len()) < begun.elapsed().as_secs_f64() * rate {
                            let Some(message) = messages.next() else { break };
                            sent.push(Instant::now());
                            publishing.push(self.broker.publish(Outbound::Raw(message)));
                        }
                    }
                    Some(published) = publishing.next(), if !publishing.is_empty() => published?,
                }
            }
            anyhow::Ok(sent)
        };
        let receiving = async {
            let (mut arrived, mut bytes) = (vec![None; count], 0);
            for _ in 0..count {
                let next = timeout(PATIENCE, arriving.next()).await.context("not all came through")?;
                let delivery = next.context("the queue is gone")??;
                let slot = arrived.get_mut(self.index(&delivery)?).context("an index of another run")?;
                ensure!(slot.replace(Instant::now()).is_none(), "one came through twice");
                bytes += delivery.data.len();
            }
            anyhow::Ok((arrived, bytes))
        };
        let (sent, (arrived, bytes)) = tokio::try_join!(sending, receiving)?;
        leave(&channel).await?;
        let latencies = sent.iter().zip(&arrived).skip(count / 5);
        let latencies = latencies.filter_map(|(sent, arrived)| Some((*arrived)? - *sent)).collect();
        (figures.p50, figures.p99) = percentiles(latencies);
        figures.body_bytes = as_f64(bytes) / as_f64(count);
        Ok(())
    }

    /// One message after the other. The first tenth warms up.
    async fn one_by_one(&self, rig: &Rig, programs: &[Program]) -> anyhow::Result<Figures> {
        let meter = rig.meter(programs);
        let (channel, mut arriving) = self.broker.listen(self.side.output()).await?;
        let warm_up = self.row.events / 10;
        let (mut begun, mut latencies, mut bytes) = (meter.read()?, Vec::new(), 0);
        for (index, message) in self.messages("o", self.row.events).enumerate() {
            if index == warm_up {
                begun = meter.read()?;
            }
            let sent = Instant::now();
            self.broker.publish(Outbound::Raw(message)).await?;
            let next = timeout(PATIENCE, arriving.next()).await.context("it did not come through")?;
            let delivery = next.context("the queue is gone")??;
            ensure!(self.index(&delivery)? == index, "another one came through");
            if index >= warm_up {
                latencies.push(sent.elapsed());
                bytes += delivery.data.len();
            }
        }
        let mut figures = meter.figures(&begun, &meter.read()?, latencies.len())?;
        figures.body_bytes = as_f64(bytes) / as_f64(latencies.len());
        (figures.p50, figures.p99) = percentiles(latencies);
        leave(&channel).await?;
        Ok(figures)
    }

    /// Which message became this: its receipt says so.
    fn index(&self, delivery: &Delivery) -> anyhow::Result<usize> {
        let receipt = match self.side {
            Side::Floor => delivery.properties.message_id().as_ref().map(|id| id.as_str()),
            Side::Milepost | Side::ToUpdates | Side::Peer(_) => receipt(&delivery.data),
        };
        number(receipt.context("no receipt")?)
    }
}

/// Closes a listener's channel. RabbitMQ settles the messages that it delivered there; those that are not
/// settled when the channel closes return to a quorum queue: seen in one of a dozen runs when it was closed
/// at once.
pub async fn leave(channel: &Channel) -> anyhow::Result<()> {
    sleep(Duration::from_millis(300)).await;
    Ok(channel.close(200, "bye".into()).await?)
}

/// The receipt of an event, without reading all of its JSON.
pub fn receipt(event: &[u8]) -> Option<&str> {
    const FIELD: &str = "\"receipt_id\":\"";
    let text = std::str::from_utf8(event).ok()?;
    let at = text.rfind(FIELD)? + FIELD.len();
    text.get(at..at + 36)
}

/// Its id: the first, before that of anything in it.
pub fn id(event: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(event).ok()?.split_once("\"id\":\"")?;
    Some(rest.split_once('"')?.0)
}
