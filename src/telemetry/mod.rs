//! What an operator sees: metrics, health, logs and traces.

mod export;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod recorder;
pub mod reference;
mod sampling;
pub mod traces;
mod zero;
