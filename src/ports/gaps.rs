//! The times in which webhooks may have been missed: the record that survives them.

use async_trait::async_trait;
use jiff::Timestamp;

use super::LedgerError;
use crate::domain::gap::Gap;
use crate::domain::provider::ProviderId;

/// Of a provider so many gaps are kept, the newest.
pub const MOST_GAPS: usize = 1_000;

/// Keeps gaps.
#[async_trait]
pub trait Gaps: Send + Sync {
    /// Notes a gap under a name of the witness's choosing: a gap that goes on is noted again under the same.
    ///
    /// # Errors
    /// When the store is away; noting it again is safe.
    async fn note(&self, provider: ProviderId, name: &str, gap: &Gap) -> Result<(), LedgerError>;

    /// Those that lasted until `since` or longer, by when they began.
    ///
    /// # Errors
    /// When the store is away.
    async fn since(&self, provider: ProviderId, since: Timestamp) -> Result<Vec<Gap>, LedgerError>;

    /// Says that a receiver runs at `now`, and answers when one last said so before.
    ///
    /// # Errors
    /// When the store is away.
    async fn alive(&self, now: Timestamp) -> Result<Option<Timestamp>, LedgerError>;
}
