//! Tests of single modules, without servers.

mod config;
mod fake;
mod telemetry;
