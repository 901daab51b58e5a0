//! One suite for each port, run against the in-memory and the real adapter.

mod gaps;
mod ledger;
mod ledger_model;
mod messaging;
mod open_deliveries;
mod redis_calls;
mod redis_failover;
mod redis_values;
pub mod spool;
