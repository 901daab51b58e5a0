//! Who is working on which event, and what is done: the protocol of docs/ARCHITECTURE.md.

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::claim::{Claim, ClaimRequest, EventRef, Mark};

/// The ledger cannot answer now. Always an outage, never the event's own failure.
#[derive(Debug, Clone, Error)]
#[error("the ledger is unavailable: {0}")]
pub struct LedgerError(pub String);

/// Remembers the events of each delivery, and its present state.
///
/// Each method is one atomic step and one round trip. Leases are on the ledger's own clock, so workers' clocks do not
/// matter.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Asks for an event.
    ///
    /// # Errors
    /// When the ledger is away; asking again with the same token is safe.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, LedgerError>;

    /// Marks what became of a claimed event. Returns whether it changed anything: a token that is no longer current
    /// changes nothing, except that [`Mark::Published`] always counts.
    ///
    /// # Errors
    /// When the ledger is away; marking it again is safe.
    async fn mark(&self, event: &EventRef, mark: Mark) -> Result<bool, LedgerError>;

    /// Whether it takes claims now.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<(), LedgerError>;
}
