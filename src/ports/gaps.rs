//! The times in which webhooks may have been missed: the record that survives them.

use async_trait::async_trait;
use jiff::Timestamp;

use super::LedgerError;
use crate::domain::gap::{ContentDigest, Gap, RefusedContent};
use crate::domain::provider::ProviderId;

/// Of a provider so many gaps are kept, the newest.
pub const MOST_GAPS: usize = 1_000;

/// Of a provider so many refused webhooks are remembered, the newest.
pub const MOST_CONTENTS: usize = 10_000;

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

    /// Notes webhooks that were refused, each with when it was last.
    ///
    /// # Errors
    /// When the store is away; noting them again is safe.
    async fn refused(
        &self,
        provider: ProviderId,
        contents: &[(ContentDigest, Timestamp)],
    ) -> Result<(), LedgerError>;

    /// Notes that webhooks which had been refused were accepted.
    ///
    /// # Errors
    /// When the store is away; noting them again is safe.
    async fn accepted(
        &self,
        provider: ProviderId,
        contents: &[(ContentDigest, Timestamp)],
    ) -> Result<(), LedgerError>;

    /// Those that were last refused at `since` or later.
    ///
    /// # Errors
    /// When the store is away.
    async fn contents(
        &self,
        provider: ProviderId,
        since: Timestamp,
    ) -> Result<Vec<RefusedContent>, LedgerError>;

    /// Says that a receiver runs at `now`, and answers when one last said so before.
    ///
    /// # Errors
    /// When the store is away.
    async fn alive(&self, now: Timestamp) -> Result<Option<Timestamp>, LedgerError>;
}
