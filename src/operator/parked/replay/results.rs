//! What became of the replays.

use std::collections::HashSet;

use crate::adapters::rabbit::parked::ReplayOutcome;

/// The replays, by how much is known of them.
#[derive(Debug, Default)]
pub struct ReplayResults {
    /// Sent since the last wait, and without a result.
    awaited: HashSet<String>,
    /// Not waited for any longer.
    silent: HashSet<String>,
    published: HashSet<String>,
    failed: u64,
}

impl ReplayResults {
    /// A message is about to be sent: a worker may be done with it before its confirm is here.
    pub fn expect(&mut self, id: &str) {
        self.awaited.insert(id.to_owned());
    }

    /// It was not sent after all.
    pub fn forget(&mut self, id: &str) {
        self.awaited.remove(id);
    }

    /// Takes note of an outcome, if it is a replay's.
    pub fn record(&mut self, id: String, outcome: ReplayOutcome) {
        let pending = self.awaited.remove(&id) || self.silent.remove(&id);
        match outcome {
            ReplayOutcome::Published if pending => drop(self.published.insert(id)),
            // An update that one subscriber refuses reaches us, a subscriber too, before its retry does.
            ReplayOutcome::Failed if pending || self.published.remove(&id) => self.failed += 1,
            // Another's, or a later try of one that failed.
            ReplayOutcome::Published | ReplayOutcome::Failed => {}
        }
    }

    /// Whether nothing more is waited for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Waits no longer for what has no result yet.
    pub fn give_up(&mut self) {
        self.silent.extend(self.awaited.drain());
    }

    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.len() as u64
    }

    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }
}
