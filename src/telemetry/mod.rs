//! What an operator sees: metrics, health, logs and traces.

pub mod health;
pub mod logging;
pub mod metrics;
pub mod recorder;
pub mod reference;
pub mod traces;
mod zero;
