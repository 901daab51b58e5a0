//! What the orchestrator asks: is the process ready for work, and is it alive.
//!
//! The two are kept apart because their consequences are: one that is not ready gets no traffic, one that is not
//! alive is killed. So an outage of a dependency belongs to [`Readiness`], and only a stalled loop of our own
//! to [`Heartbeat`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

/// How old a heartbeat may grow: well beyond the longest pause of a healthy loop.
pub const HEARTBEAT_LIMIT: Duration = Duration::from_secs(30);

/// The named conditions that must all hold before work is sent here.
#[derive(Default)]
pub struct Readiness {
    conditions: BTreeMap<&'static str, Box<dyn Fn() -> bool + Send + Sync>>,
    notes: BTreeMap<&'static str, Box<dyn Fn() -> bool + Send + Sync>>,
    draining: AtomicBool,
}

/// What [`Readiness`] says at one moment.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// Every condition holds, and it is not draining.
    pub ready: bool,
    /// Each condition and whether it holds; `draining` beside them.
    pub conditions: BTreeMap<&'static str, bool>,
    /// What is worth knowing and keeps nothing from being ready, as far as it is so.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub notes: BTreeSet<&'static str>,
}

impl Readiness {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires that `holds` is true.
    #[must_use]
    pub fn requires(mut self, name: &'static str, holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.conditions.insert(name, Box::new(holds));
        self
    }

    /// Says `name` in the report while it `holds`, ready or not.
    #[must_use]
    pub fn notes(mut self, name: &'static str, holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.notes.insert(name, Box::new(holds));
        self
    }

    /// Says that the process is going away: never ready again.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        let mut conditions: BTreeMap<_, _> =
            self.conditions.iter().map(|(name, holds)| (*name, holds())).collect();
        let draining = self.draining.load(Ordering::Relaxed);
        let ready = !draining && conditions.values().all(|holds| *holds);
        conditions.insert("draining", draining);
        let notes = self.notes.iter().filter(|(_, holds)| holds()).map(|(name, _)| *name).collect();
        ReadinessReport { ready, conditions, notes }
    }
}

/// The sign of life of one loop, on the monotonic clock.
#[derive(Debug)]
pub struct Heartbeat {
    name: &'static str,
    limit: Duration,
    since: Instant,
    last_beat_ms: AtomicU64,
}

impl Heartbeat {
    /// For the loop `name`, alive from now on for as long as it beats at least once per `limit`.
    #[must_use]
    pub fn new(name: &'static str, limit: Duration) -> Self {
        Self { name, limit, since: Instant::now(), last_beat_ms: AtomicU64::new(0) }
    }

    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub fn beat(&self) {
        self.last_beat_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Whether the last beat is recent enough.
    #[must_use]
    pub fn alive(&self) -> bool {
        let last = self.last_beat_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.now_ms().saturating_sub(last)) <= self.limit
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
