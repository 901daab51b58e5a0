//! One suite for each port, run against the in-memory and the real adapter.

mod ledger;
mod ledger_model;
mod messaging;
mod redis_calls;
mod redis_failover;
mod redis_values;
