//! The wall clock.

use jiff::Timestamp;

/// Tells the time. The only way to it outside `adapters` (`.clippy.toml` says so).
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}
