//! What operators see.

mod logging;
mod metrics;
mod reference;
mod traces;
mod usage;
