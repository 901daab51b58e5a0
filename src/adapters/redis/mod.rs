//! Redis: the ledger, and the connection it keeps.

mod connection;
mod ledger;
mod policy;

pub use connection::{RedisConnection, RedisSettings};
pub use ledger::RedisLedger;
