//! What is looked at all the while, and whether it grew: the median of the last quarter against that of the second, when
//! everything has warmed up.

use std::time::Duration;

use milepost::adapters::rabbit::topology::{parked_queue, work_queue};
use milepost::adapters::rabbit::{DelayLevels, LEVELS};
use milepost::domain::provider::ProviderId;
use milepost::providers;
use tokio::time::sleep;

use crate::figures::{Spread, as_f64};
use crate::process::{Program, descriptors, memory, threads};
use crate::redis;
use crate::rig::Rig;
use crate::table::aligned;

const EVERY: Duration = Duration::from_secs(10);
/// At least so many samples, however short the soak.
const AT_LEAST: u32 = 24;
/// What may be more in the last quarter than in the second, in per cent, beside each series' own slack.
const TOLERANCE: f64 = 10.0;

/// What is watched.
pub struct Watched<'a> {
    pub rig: &'a Rig,
    pub programs: &'a [(String, Program)],
}

/// One thing at a moment.
struct Sample {
    name: String,
    value: f64,
    /// How much more it may be at any time: a thread, a second's events.
    slack: Slack,
}

#[derive(Clone, Copy)]
enum Slack {
    /// So much.
    Of(f64),
    /// As much as comes in within a second.
    Second,
    /// It is only shown.
    Shown,
}

#[derive(Default)]
pub struct Samples(Vec<Vec<Sample>>);

impl Watched<'_> {
    async fn look(&self) -> anyhow::Result<Vec<Sample>> {
        let mut samples = Vec::new();
        let mut put = |name: String, value, slack| samples.push(Sample { name, value, slack });
        for (name, program) in self.programs {
            let pid = program.pid();
            put(format!("{name}: RSS, MiB"), memory(pid)?.0, Slack::Of(1.0));
            put(format!("{name}: descriptors"), as_f64(descriptors(pid)?), Slack::Of(2.0));
            put(format!("{name}: threads"), as_f64(threads(pid)?), Slack::Of(2.0));
        }
        let servers = &self.rig.servers;
        put("Redis: keys".to_owned(), redis::keys(&servers.redis_url).await?, Slack::Second);
        put("Redis: RSS, MiB".to_owned(), memory(servers.redis)?.0, Slack::Shown);
        put("RabbitMQ: RSS, MiB".to_owned(), memory(servers.broker)?.0, Slack::Shown);
        let work = self.depths(work_queue).await?;
        put("waiting in the work queues".to_owned(), as_f64(work), Slack::Second);
        put("waiting for a retry".to_owned(), as_f64(self.retrying().await?), Slack::Second);
        put("parked".to_owned(), as_f64(self.parked().await?), Slack::Of(0.0));
        Ok(samples)
    }

    /// How many messages are parked.
    pub async fn parked(&self) -> anyhow::Result<usize> {
        self.depths(parked_queue).await
    }

    async fn depths(&self, queue: fn(ProviderId) -> String) -> anyhow::Result<usize> {
        let queues: Vec<_> = providers::ALL.iter().map(|provider| queue(provider.id())).collect();
        self.rig.broker.depths(&queues).await
    }

    /// How many messages are in the delay levels. A delay of 2^n seconds enters at level n, whose queue is named as its
    /// exchange is.
    async fn retrying(&self) -> anyhow::Result<usize> {
        let levels = DelayLevels::new(Duration::from_secs(1));
        let queue = |level| levels.route(Duration::from_secs(1_u64 << level), providers::ALL[0].id()).0;
        self.rig.broker.depths(&(0..LEVELS).map(queue).collect::<Vec<_>>()).await
    }
}

impl Samples {
    /// Looks again and again. Returns only when it fails.
    pub async fn take(&mut self, watched: &Watched<'_>, long: Duration) -> anyhow::Error {
        loop {
            match watched.look().await {
                Ok(samples) => self.0.push(samples),
                Err(error) => return error,
            }
            sleep(EVERY.min(long / AT_LEAST)).await;
        }
    }

    /// What grew, at so many events a second.
    pub fn grown(&self, rate: f64) -> Vec<&str> {
        let names = self.names().filter(|(index, sample)| {
            let slack = match sample.slack {
                Slack::Of(slack) => slack,
                Slack::Second => rate,
                Slack::Shown => f64::INFINITY,
            };
            self.quarter(*index, 3) > self.quarter(*index, 1) * (1.0 + TOLERANCE / 100.0) + slack
        });
        names.map(|(_, sample)| sample.name.as_str()).collect()
    }

    /// The medians of the quarters.
    pub fn table(&self, rate: f64) -> String {
        let heading = ["medians of", "1st quarter", "2nd", "3rd", "4th", ""].map(str::to_owned).to_vec();
        let grown = self.grown(rate);
        let lines = self.names().map(|(index, sample)| {
            let quarters = (0..4).map(|quarter| format!("{:.1}", self.quarter(index, quarter)));
            let verdict = match sample.slack {
                Slack::Shown => "",
                _ if grown.contains(&sample.name.as_str()) => "grew",
                _ => "flat",
            };
            [vec![sample.name.clone()], quarters.collect(), vec![verdict.to_owned()]].concat()
        });
        aligned(&[heading].into_iter().chain(lines).collect::<Vec<_>>())
    }

    fn names(&self) -> impl Iterator<Item = (usize, &Sample)> {
        self.0.first().into_iter().flatten().enumerate()
    }

    fn quarter(&self, index: usize, quarter: usize) -> f64 {
        let (from, to) = (self.0.len() * quarter / 4, self.0.len() * (quarter + 1) / 4);
        Spread::of(self.0[from..to].iter().map(|samples| samples[index].value)).median
    }
}
