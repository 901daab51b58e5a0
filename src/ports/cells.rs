//! Small values that replicas share, each read and swapped as a whole.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

/// A value as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The value, if there is one.
    pub value: Option<String>,
    /// When it was read, in milliseconds on the store's own clock: replicas' clocks do not matter.
    pub now_ms: i64,
}

/// The answer to a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    Done,
    /// The value is another than was expected: this one.
    Conflict(Cell),
}

/// The store cannot answer now. Always an outage.
#[derive(Debug, Clone, Error)]
#[error("the store is unavailable: {0}")]
pub struct CellsError(pub String);

#[async_trait]
pub trait Cells: Send + Sync {
    /// Reads a value.
    ///
    /// # Errors
    /// When the store is away.
    async fn read(&self, key: &str) -> Result<Cell, CellsError>;

    /// Puts `new` in the place of `old`, if that is still there, and keeps it for `ttl`; in one atomic step.
    ///
    /// # Errors
    /// When the store is away. It may have been done: then asking again gives a conflict with `new`.
    async fn swap(&self, key: &str, old: Option<&str>, new: &str, ttl: Duration) -> Result<Swap, CellsError>;
}
