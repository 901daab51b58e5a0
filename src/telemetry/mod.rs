//! What an operator sees: metrics, health, logs and traces.

mod export;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod recorder;
pub mod reference;
pub mod seldom;
pub mod told_apart;
pub mod traces;
pub mod usage;
mod zero;
