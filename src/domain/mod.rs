//! What a delivery update *is*.
//!
//! Nothing here does IO, reads a clock or knows a broker: `tests/architecture.rs` fails when that changes
//! (invariant 10). Time and randomness come in as arguments.

pub mod age;
pub mod answer;
pub mod decimal;
pub mod document;
pub mod envelope;
pub mod event;
pub mod extra;
pub mod fingerprint;
pub mod history;
pub mod identity;
pub mod instant;
pub mod journey;
pub mod number;
pub mod open;
pub mod parked;
pub mod provider;
pub mod retry;
pub mod secret;
pub mod state;
pub mod status;
pub mod transitions;
pub mod update;
pub mod verdict;
