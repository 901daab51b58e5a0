//! The binaries themselves, each as a process of its own, configured by its environment as in production.

mod end_to_end;
mod exit_codes;
pub mod journeys;
mod lifecycle;
mod log;
mod metrics;
mod rotation;
mod secrets;
