//! Whether the connection in use confirms anything.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ports::PublishError;

#[derive(Default)]
pub(super) struct Answers(Mutex<Times>);

#[derive(Default)]
struct Times {
    /// When a publish was last answered.
    last: Option<Instant>,
    none_since: Option<Instant>,
}

impl Answers {
    /// The connection is a new one.
    pub(super) fn forget(&self) {
        *self.lock() = Times::default();
    }

    /// Since when nothing is answered. While this is said, nothing more is sent on the connection.
    pub(super) fn none_since(&self) -> Option<Instant> {
        self.lock().none_since
    }

    /// Notes what a publish that began at `began` says of the connection: any answer, that it lives; none within `limit`
    /// while nothing else was answered either, that it may not.
    pub(super) fn note(&self, began: Instant, result: Result<(), PublishError>, limit: Duration) {
        match result {
            Ok(()) | Err(PublishError::Refused) => {
                *self.lock() = Times { last: Some(Instant::now()), none_since: None };
            }
            Err(PublishError::Unconfirmed) if began.elapsed() >= limit => {
                let mut times = self.lock();
                if times.last.is_none_or(|last| last < began) {
                    times.none_since.get_or_insert(began);
                }
            }
            Err(PublishError::Unconfirmed | PublishError::Unavailable) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        // A panic elsewhere cannot leave two times half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
