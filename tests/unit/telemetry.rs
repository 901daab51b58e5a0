//! What operators see.

mod logging;
mod metrics;
mod reference;
mod seldom;
mod traces;
