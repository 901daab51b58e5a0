//! Whether subscribers' full queues refuse updates: for the log, for readiness, and for finding out which queues.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long a refusal is news.
const LATELY: Duration = Duration::from_mins(10);

/// When the broker last refused an update in this process.
static LAST: Mutex<Option<Instant>> = Mutex::new(None);

pub(super) fn happened(now: Instant) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
}

/// Whether one was refused lately. Each waits for its retry, so that they come for as long as the queue is full.
#[must_use]
pub fn lately() -> bool {
    since(LATELY)
}

/// Whether one was refused within the last `span`.
#[must_use]
pub fn since(span: Duration) -> bool {
    let last = *LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.is_some_and(|last| last.elapsed() < span)
}
