//! The second store: where a receiver puts webhooks that the broker cannot confirm, until it can.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::envelope::Envelope;

/// What an entry takes beside its texts and its body, in bytes, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// How much a provider's spool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    pub max_entries: u64,
    /// Bytes of them, as [`spooled_bytes`] counts.
    pub max_bytes: u64,
}

/// What a webhook counts for in [`SpoolLimits`].
#[must_use]
pub fn spooled_bytes(webhook: &Envelope) -> u64 {
    let trace = [&webhook.trace.traceparent, &webhook.trace.tracestate, &webhook.content_type];
    let texts: usize = trace.into_iter().flatten().map(String::len).sum();
    (webhook.body.len() + webhook.account.as_str().len() + texts + ENTRY_OVERHEAD_BYTES) as u64
}

/// How a store shows that what it took outlives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurabilityProof {
    /// It says of each write when it is on disk (`WAITAOF`).
    EachWrite,
    /// It answers no write before it is on disk (`appendfsync always`); or has no disk, as a spool in memory.
    EveryAnswer,
}

impl fmt::Display for DurabilityProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EachWrite => "WAITAOF proves each write",
            Self::EveryAnswer => "appendfsync always: each answer proves its write",
        })
    }
}

/// Why a webhook is not known to be in the spool.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SpoolError {
    /// It holds as much as it may. The webhook is not in it.
    #[error("the spool is full")]
    Full,
    /// The store cannot prove that anything it takes outlives it: why. The webhook is not in it.
    #[error("the spool is not durable: {0}")]
    NotDurable(&'static str),
    /// The store is away, or proved nothing in time: the webhook may or may not be in it.
    #[error("the spool is unavailable: {0}")]
    Unavailable(String),
}

/// A webhook in the spool.
#[derive(Debug, Clone)]
pub struct Spooled {
    /// Names it within its spool.
    pub id: String,
    pub webhook: Envelope,
}

#[derive(Debug, Clone)]
pub enum Next {
    /// The oldest webhook. It stays in the spool.
    Entry(Box<Spooled>),
    Empty,
    /// Another drainer has the lease.
    Busy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolState {
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// For how long the oldest has been in it.
    pub oldest: Option<Duration>,
    /// What proves that it is durable, or why nothing does.
    pub proof: Result<DurabilityProof, &'static str>,
}

/// One provider's spool, as one process uses it: the process is one drainer.
///
/// Entries come out in the order they went in. Each stays until the drainer that published it says so, whichever has the
/// lease by then: a crash repeats an entry, with the same receipt, and loses none.
#[async_trait]
pub trait Spool: Send + Sync {
    /// Stores a webhook. `Ok` only once it is proved to be durable (invariant 1). Bounded in time. Cancelling the future
    /// leaves it unknown whether it is stored.
    ///
    /// # Errors
    /// See [`SpoolError`].
    async fn append(&self, webhook: &Envelope) -> Result<(), SpoolError>;

    /// Removes the entry that the broker `confirmed`, if it is still there, and returns the next one. The drainer that gets
    /// one has the lease for `lease` from now on. One atomic step: asking again after a lost reply is safe.
    ///
    /// # Errors
    /// [`SpoolError::Unavailable`].
    async fn next(&self, lease: Duration, confirmed: Option<&Spooled>) -> Result<Next, SpoolError>;

    /// Removes the entry that the broker `confirmed`, and gives the lease back if this drainer has it.
    ///
    /// # Errors
    /// [`SpoolError::Unavailable`]; the lease then runs out by itself.
    async fn release(&self, confirmed: Option<&Spooled>) -> Result<(), SpoolError>;

    /// Its state.
    ///
    /// # Errors
    /// [`SpoolError::Unavailable`].
    async fn look(&self) -> Result<SpoolState, SpoolError>;
}
