//! Milepost takes in delivery-status webhooks, stores each one durably before it answers, normalizes it to one
//! vocabulary, and publishes it once in effect.
//!
//! The modules, in reading order; which may use which, docs/ARCHITECTURE.md has as a table and `tests/unit/architecture.rs`
//! checks:
//!
//! * [`domain`]: what a delivery update is. Pure.
//! * [`providers`]: the companies' words. Pure.
//! * [`ports`]: what the pipeline needs of the world.
//! * [`telemetry`]: metrics, health, logs and traces.
//! * [`pipeline`]: receive a webhook; process a message; run a worker.
//! * [`sinks`]: systems that updates are written to.
//! * [`adapters`]: RabbitMQ, Redis, memory and HTTP.
//! * [`contract`]: what subscribers are promised, as files.
//! * [`config`]: one file and the environment, checked once.
//! * [`app`]: how a role is put together, run and drained.
//! * [`operator`]: what an operator does, without its printing.
//! * [`console`]: the operator's pages.
//! * [`cli`]: the operator's commands.

#![forbid(unsafe_code)]
#![warn(unreachable_pub, clippy::pedantic, clippy::unwrap_used)]
// Providers' names are words, not code.
#![allow(clippy::doc_markdown)]
// A two-armed `match` on an `Option` or `Result` shows both ways at once.
#![allow(clippy::single_match_else)]
// Where the code can panic in theory, `Unwrap safety` says why it does not.
#![allow(clippy::missing_panics_doc)]

pub mod adapters;
pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod contract;
pub mod domain;
pub mod operator;
pub mod pipeline;
pub mod ports;
pub mod providers;
pub mod sinks;
pub mod telemetry;
