//! What a delivery update *is*.
//!
//! Nothing here does IO, reads a clock or knows a broker: `tests/architecture.rs` fails when that changes
//! (invariant 10). Time and randomness come in as arguments.

pub mod answer;
pub mod authentication;
mod body_key;
pub mod claim;
pub mod decimal;
pub mod delivery_record;
pub mod document;
pub mod envelope;
mod escapes;
pub mod event;
pub mod event_list;
pub mod event_name;
pub mod extra;
pub mod fingerprint;
pub mod gap;
pub mod history;
pub mod hosts;
pub mod identity;
pub mod instant;
pub mod journey;
pub mod number;
pub mod open;
pub mod order;
mod outside_strings;
pub mod parked;
pub mod provider;
pub mod pull;
pub mod retry;
pub mod samples;
pub mod secret;
pub mod silence;
pub mod state;
pub mod status;
pub mod transitions;
pub mod update;
pub mod verdict;
