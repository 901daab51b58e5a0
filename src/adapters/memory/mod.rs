//! An in-memory broker, ledger and stores with the real ones' behaviour, for `milepost run`, unit tests and simulation.
//! What they hold is gone when the process ends.

mod broker;
mod cells;
mod gaps;
mod ledger;
mod spool;

pub use broker::{MemoryBroker, MemoryParked};
pub use cells::MemoryCells;
pub use gaps::MemoryGaps;
pub use ledger::MemoryLedger;
pub use spool::MemorySpool;
