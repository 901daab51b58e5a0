//! What happens to a webhook: it is received, then a worker processes it; and a sink's worker what became of it.

mod counts;
pub mod message;
pub mod parking;
pub mod receive;
pub mod refusals;
pub mod session;
pub mod sink;
mod spans;
pub mod trials;
pub mod work;
pub mod worker;
