//! What one provider's webhooks may take of the receiver at once: requests, and bytes of their bodies.
//!
//! Each provider has an allowance of its own, so that none takes another's. Within it, a body that is still being read has
//! proved nothing, and gives way to a new request, the oldest first; a webhook that is being stored keeps its place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{HttpLimits, load};
use crate::domain::answer::Rejection;

/// A body that has been read for less than this is in no other's way: what was sent at once arrives sooner.
const YOUNG: Duration = Duration::from_millis(250);

pub(super) struct Allowance {
    most_requests: usize,
    most_bytes: usize,
    taken: Mutex<Taken>,
    requests: Gauge,
    bytes: Gauge,
}

#[derive(Default)]
struct Taken {
    /// By their numbers, which count up, so that the first is the oldest.
    reading: BTreeMap<u64, Reading>,
    next: u64,
    storing: usize,
    bytes: usize,
}

struct Reading {
    since: Instant,
    bytes: usize,
    asked_to_go: Arc<Notify>,
}

/// A request's part of it, given back when this is dropped.
pub(super) struct Admitted<'a> {
    allowance: &'a Allowance,
    number: u64,
    asked_to_go: Arc<Notify>,
    /// What it holds, once it is being stored.
    stored: Option<usize>,
}

impl Allowance {
    pub(super) fn new(provider: &'static str, limits: &HttpLimits) -> Self {
        let (most_requests, most_bytes) = (limits.max_requests_in_flight, limits.max_bytes_in_flight);
        Self {
            most_requests,
            most_bytes,
            taken: Mutex::default(),
            requests: load::shown("requests", provider, most_requests),
            bytes: load::shown("bytes", provider, most_bytes),
        }
    }

    /// Lets a request in whose body is to be read.
    ///
    /// # Errors
    /// [`Rejection::Saturated`] when there are too many, and none of them gives way.
    pub(super) fn admit(&self) -> Result<Admitted<'_>, Rejection> {
        let mut taken = self.lock();
        if taken.requests() >= self.most_requests {
            taken.evict()?;
        }
        let (number, asked_to_go) = (taken.next, Arc::new(Notify::new()));
        taken.next += 1;
        let reading = Reading { since: Instant::now(), bytes: 0, asked_to_go: Arc::clone(&asked_to_go) };
        taken.reading.insert(number, reading);
        self.show(&taken);
        Ok(Admitted { allowance: self, number, asked_to_go, stored: None })
    }

    #[allow(clippy::cast_precision_loss)] // Within configured limits, not 2^53.
    fn show(&self, taken: &Taken) {
        self.requests.set(taken.requests() as f64);
        self.bytes.set(taken.bytes as f64);
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing below panics with the lock held.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn requests(&self) -> usize {
        self.reading.len() + self.storing
    }

    /// Makes the oldest body give way, unless it has just begun. What it held is free at once; its buffer goes within
    /// moments.
    fn evict(&mut self) -> Result<(), Rejection> {
        let oldest = self.reading.first_entry().filter(|oldest| oldest.get().since.elapsed() >= YOUNG);
        let evicted = oldest.ok_or(Rejection::Saturated)?.remove();
        self.bytes -= evicted.bytes;
        evicted.asked_to_go.notify_one();
        Ok(())
    }
}

impl Admitted<'_> {
    /// Takes note of `more` bytes of the body.
    ///
    /// # Errors
    /// [`Rejection::Evicted`] when it had to give way, [`Rejection::Saturated`] when there are too many bytes and none
    /// gives way.
    pub(super) fn grow(&self, more: usize) -> Result<(), Rejection> {
        let mut taken = self.allowance.lock();
        while taken.reading.contains_key(&self.number) && taken.bytes + more > self.allowance.most_bytes {
            taken.evict()?;
        }
        taken.reading.get_mut(&self.number).ok_or(Rejection::Evicted)?.bytes += more;
        taken.bytes += more;
        self.allowance.show(&taken);
        Ok(())
    }

    /// Waits until it has to give way. Cancel safe.
    pub(super) async fn asked_to_go(&self) {
        self.asked_to_go.notified().await;
    }

    /// Keeps its place from now on: the webhook is authentic.
    ///
    /// # Errors
    /// [`Rejection::Evicted`] when it had to give way.
    pub(super) fn keep(&mut self) -> Result<(), Rejection> {
        let mut taken = self.allowance.lock();
        let read = taken.reading.remove(&self.number).ok_or(Rejection::Evicted)?;
        taken.storing += 1;
        self.stored = Some(read.bytes);
        Ok(())
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let mut taken = self.allowance.lock();
        let bytes = if let Some(bytes) = self.stored {
            taken.storing -= 1;
            bytes
        } else {
            taken.reading.remove(&self.number).map_or(0, |reading| reading.bytes)
        };
        taken.bytes -= bytes;
        self.allowance.show(&taken);
    }
}
