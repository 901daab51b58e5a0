//! The spool in memory, for `milepost run` without servers and for tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::envelope::Envelope;
use crate::ports::{
    Clock, DurabilityProof, Next, Spool, SpoolError, SpoolLimits, SpoolState, Spooled, chance, spooled_bytes,
};

#[derive(Default)]
struct SpoolEntries {
    /// Each with when it went in.
    queue: VecDeque<(Timestamp, Spooled)>,
    bytes: u64,
    last_id: u64,
    /// Which drainer has the lease, and until when.
    lease: Option<(u64, Timestamp)>,
}

pub struct MemorySpool {
    limits: SpoolLimits,
    clock: Arc<dyn Clock>,
    entries: Arc<Mutex<SpoolEntries>>,
    drainer: u64,
}

impl MemorySpool {
    #[must_use]
    pub fn new(limits: SpoolLimits, clock: Arc<dyn Clock>) -> Self {
        Self { limits, clock, entries: Arc::default(), drainer: chance::random() }
    }

    /// The same spool, as another process uses it.
    #[must_use]
    pub fn beside(&self) -> Self {
        let (clock, entries) = (Arc::clone(&self.clock), Arc::clone(&self.entries));
        Self { limits: self.limits, clock, entries, drainer: chance::random() }
    }

    fn entries(&self) -> MutexGuard<'_, SpoolEntries> {
        // Each step leaves the entries whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpoolEntries {
    fn remove(&mut self, confirmed: Option<&Spooled>) {
        let same = |spooled: &Spooled, other: &Spooled| {
            spooled.id == other.id && spooled.webhook.receipt == other.webhook.receipt
        };
        let at = confirmed
            .and_then(|confirmed| self.queue.iter().position(|(_, spooled)| same(spooled, confirmed)));
        if let Some((_, spooled)) = at.and_then(|at| self.queue.remove(at)) {
            self.bytes -= spooled_bytes(&spooled.webhook);
        }
    }
}

#[async_trait]
impl Spool for MemorySpool {
    async fn append(&self, webhook: &Envelope) -> Result<(), SpoolError> {
        let (mut entries, size) = (self.entries(), spooled_bytes(webhook));
        let SpoolLimits { max_entries, max_bytes } = self.limits;
        if entries.queue.len() as u64 >= max_entries || entries.bytes + size > max_bytes {
            return Err(SpoolError::Full);
        }
        entries.bytes += size;
        entries.last_id += 1;
        let spooled = Spooled { id: entries.last_id.to_string(), webhook: webhook.clone() };
        entries.queue.push_back((self.clock.now(), spooled));
        Ok(())
    }

    async fn next(&self, lease: Duration, confirmed: Option<&Spooled>) -> Result<Next, SpoolError> {
        let (mut entries, now) = (self.entries(), self.clock.now());
        entries.remove(confirmed);
        let Some((_, oldest)) = entries.queue.front() else { return Ok(Next::Empty) };
        let oldest = Box::new(oldest.clone());
        if entries.lease.is_some_and(|(holder, until)| holder != self.drainer && until > now) {
            return Ok(Next::Busy);
        }
        entries.lease = Some((self.drainer, now.checked_add(lease).unwrap_or(Timestamp::MAX)));
        Ok(Next::Entry(oldest))
    }

    async fn release(&self, confirmed: Option<&Spooled>) -> Result<(), SpoolError> {
        let mut entries = self.entries();
        entries.remove(confirmed);
        entries.lease = entries.lease.filter(|(holder, _)| *holder != self.drainer);
        Ok(())
    }

    async fn look(&self) -> Result<SpoolState, SpoolError> {
        let (entries, now) = (self.entries(), self.clock.now());
        let oldest = entries.queue.front().map(|(since, _)| now.duration_since(*since).unsigned_abs());
        let (count, bytes) = (entries.queue.len() as u64, entries.bytes);
        Ok(SpoolState { entries: count, bytes, oldest, proof: Ok(DurabilityProof::EveryAnswer) })
    }
}
