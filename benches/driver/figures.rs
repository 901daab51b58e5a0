//! What is measured, and how several measurements become one figure.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::process;
use crate::side::Side;

/// What one side did in one run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Events measured, after the warming up.
    pub events: usize,
    /// Events a second.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
    /// Microseconds of CPU an event of the program's process, or of all its processes.
    pub cpu: f64,
    /// The same of RabbitMQ.
    pub broker_cpu: f64,
    /// The same of Redis.
    pub redis_cpu: f64,
    /// Bytes that Redis remembers an event in, of workers.
    pub redis_bytes: f64,
    /// Bytes of what came out, on average, of workers.
    pub body_bytes: f64,
    /// MiB in RAM at the end of the run, of the largest process.
    pub rss: f64,
    /// The most it ever was.
    pub peak_rss: f64,
}

impl Figures {
    /// Microseconds of CPU an event of all three: what an event costs the machine.
    pub fn sum(&self) -> f64 {
        self.cpu + self.broker_cpu + self.redis_cpu
    }
}

/// One repetition: the sides, one right after the other.
#[derive(Debug, Clone)]
pub struct Repetition(pub Vec<(Side, Figures)>);

impl Repetition {
    pub fn of(&self, side: Side) -> Option<&Figures> {
        self.0.iter().find(|(whose, _)| *whose == side).map(|(_, figures)| figures)
    }

    /// The peer with the highest rate.
    pub fn best_peer(&self) -> Option<&Figures> {
        let peers = self.0.iter().filter(|(side, _)| matches!(side, Side::Peer(_)));
        peers.map(|(_, figures)| figures).max_by(|one, other| one.rate.total_cmp(&other.rate))
    }

    /// By the sides' names.
    pub fn json(&self) -> Value {
        self.0
            .iter()
            .map(|(side, figures)| (side.name().to_owned(), json!(figures)))
            .collect::<Map<_, _>>()
            .into()
    }
}

/// The processes whose CPU time is read.
pub struct Meter {
    pub own: Vec<u32>,
    pub broker: u32,
    pub redis: u32,
}

/// What they had used at a moment.
#[derive(Clone, Copy)]
pub struct Reading {
    at: Instant,
    own: Duration,
    broker: Duration,
    redis: Duration,
}

impl Meter {
    pub fn read(&self) -> anyhow::Result<Reading> {
        let own = self.own.iter().map(|&pid| process::cpu(pid)).sum::<anyhow::Result<_>>()?;
        let (broker, redis) = (process::cpu(self.broker)?, process::cpu(self.redis)?);
        Ok(Reading { at: Instant::now(), own, broker, redis })
    }

    /// The figures of `events` between two readings, and the memory now.
    pub fn figures(&self, from: &Reading, to: &Reading, events: usize) -> anyhow::Result<Figures> {
        let each = |from: Duration, to: Duration| (to - from).as_secs_f64() * 1e6 / as_f64(events);
        let mut figures = Figures {
            events,
            rate: as_f64(events) / (to.at - from.at).as_secs_f64(),
            cpu: each(from.own, to.own),
            broker_cpu: each(from.broker, to.broker),
            redis_cpu: each(from.redis, to.redis),
            ..Figures::default()
        };
        for &pid in &self.own {
            let (rss, peak) = process::memory(pid)?;
            figures.rss = figures.rss.max(rss);
            figures.peak_rss = figures.peak_rss.max(peak);
        }
        Ok(figures)
    }
}

/// The 50th and 99th percentile in milliseconds.
pub fn percentiles(mut latencies: Vec<Duration>) -> (f64, f64) {
    latencies.sort_unstable();
    let at = |share: usize| {
        let index = (latencies.len() * share / 100).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    };
    (at(50), at(99))
}

/// Least, median and greatest.
#[derive(Clone, Copy)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub greatest: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (Some(&least), Some(&greatest)) = (values.first(), values.last()) else {
            return Self { least: f64::NAN, median: f64::NAN, greatest: f64::NAN };
        };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Self { least, median, greatest }
    }
}

/// A count as a number to calculate with.
#[allow(clippy::cast_precision_loss)] // All counts here are far below 2^52.
pub fn as_f64(count: usize) -> f64 {
    count as f64
}
