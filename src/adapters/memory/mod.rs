//! An in-memory broker and ledger with the real ones' behaviour, for `milepost run`, unit tests and simulation.
//! What they hold is gone when the process ends.

mod broker;
mod cells;
mod ledger;

pub use broker::{MemoryBroker, ParkedMessage};
pub use cells::MemoryCells;
pub use ledger::MemoryLedger;
