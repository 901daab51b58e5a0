//! How a replay gathers speed, and when it stops: the cause that parked the messages may still be there.

use thiserror::Error;

/// The first batches. After each, what became of it is waited for.
const FIRST: [u32; 5] = [1, 2, 5, 20, 100];
/// Every further batch. Its failures are judged as they become known.
const FURTHER: u32 = 500;

/// A number of messages to replay before the next judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    pub size: u32,
    /// Whether to wait for what becomes of them.
    pub awaited: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{failed} of {replayed} replays failed again")]
pub struct TooManyFailures {
    pub failed: u64,
    pub replayed: u64,
}

/// Where a replay is on its way up.
#[derive(Debug)]
pub struct Ramp {
    /// Batches judged so far; `None` when there is no ramp and no judgement.
    judged: Option<usize>,
    max_failures: f64,
}

impl Ramp {
    /// Stops when more than this share of a batch (0 to 1) fails again.
    #[must_use]
    pub const fn new(max_failures: f64) -> Self {
        Self { judged: Some(0), max_failures }
    }

    /// Everything at once, without regard to the outcomes.
    #[must_use]
    pub const fn none() -> Self {
        Self { judged: None, max_failures: 1.0 }
    }

    /// The batch to replay now.
    #[must_use]
    pub fn batch(&self) -> Batch {
        match self.judged.and_then(|judged| FIRST.get(judged)) {
            Some(&size) => Batch { size, awaited: true },
            None => Batch { size: FURTHER, awaited: false },
        }
    }

    /// Judges a batch, and goes on to the next.
    ///
    /// # Errors
    /// When too many of it failed.
    pub fn judge(&mut self, replayed: u64, failed: u64) -> Result<(), TooManyFailures> {
        let Some(judged) = &mut self.judged else { return Ok(()) };
        *judged += 1;
        #[allow(clippy::cast_precision_loss)] // At most a batch, and what was late of those before it.
        let too_many = failed as f64 > replayed as f64 * self.max_failures;
        if too_many { Err(TooManyFailures { failed, replayed }) } else { Ok(()) }
    }
}
