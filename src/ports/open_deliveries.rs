//! Which deliveries are not closed, and when each had its last update.
//!
//! The ledger keeps it: a delivery comes in, or moves, when an update of it is marked published, and leaves when one closes
//! it. It is an index: a delivery that it lacks comes in with the next update, and of one that it names the ledger's
//! record has its true state.

use async_trait::async_trait;
use jiff::Timestamp;

use super::LedgerError;
use crate::domain::identity::{Account, DeliveryKey};
use crate::domain::provider::ProviderId;
use crate::domain::silence::Cutoffs;
use crate::domain::status::Phase;

/// A delivery that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDelivery {
    pub delivery: DeliveryKey,
    /// What the provider is asked for it by, where that is not its id.
    pub address: Option<String>,
    /// Where its last update left it.
    pub phase: Phase,
    /// When that update's webhook was received, to the millisecond.
    pub updated_at: Timestamp,
}

/// How many deliveries are in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenCount {
    pub phase: Phase,
    pub open: u64,
    /// Those whose last update was received before the cutoff.
    pub silent: u64,
}

/// Asks which deliveries are open.
#[async_trait]
pub trait OpenDeliveries: Send + Sync {
    /// The accounts that have had open deliveries, in the order of their names.
    ///
    /// # Errors
    /// When the ledger is away.
    async fn accounts(&self, provider: ProviderId) -> Result<Vec<Account>, LedgerError>;

    /// How many are open in each phase, and how many of these are silent since before `cutoffs`.
    ///
    /// # Errors
    /// When the ledger is away.
    async fn count(
        &self,
        provider: ProviderId,
        account: &Account,
        cutoffs: &Cutoffs,
    ) -> Result<Vec<OpenCount>, LedgerError>;

    /// Those that are silent since before `cutoffs`: the longest silent first, and at most `most`.
    ///
    /// # Errors
    /// When the ledger is away.
    async fn silent(
        &self,
        provider: ProviderId,
        account: &Account,
        cutoffs: &Cutoffs,
        most: usize,
    ) -> Result<Vec<OpenDelivery>, LedgerError>;

    /// Forgets a delivery, which comes in again with its next update.
    ///
    /// # Errors
    /// When the ledger is away.
    async fn forget(&self, delivery: &DeliveryKey) -> Result<(), LedgerError>;

    /// Forgets those without an update since `oldest`, and the longest silent ones beyond `most`; 1,000 of
    /// each at a time.
    ///
    /// # Errors
    /// When the ledger is away.
    async fn trim(
        &self,
        provider: ProviderId,
        account: &Account,
        oldest: Timestamp,
        most: u64,
    ) -> Result<(), LedgerError>;
}

/// How many deliveries [`OpenDeliveries::trim`] forgets of a kind at a time.
pub const TRIMMED_AT_ONCE: usize = 1_000;
