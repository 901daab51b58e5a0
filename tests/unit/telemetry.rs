//! What operators see.

mod logging;
mod metrics;
mod traces;
