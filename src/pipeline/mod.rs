//! What happens to a webhook: it is received, then a worker processes it; and a sink's worker what
//! became of it. What did not come is asked for.

pub mod census;
mod counts;
pub mod lease;
pub mod message;
pub mod parking;
pub mod receive;
pub mod reconciler;
pub mod refusals;
pub mod session;
pub mod sink;
mod spans;
pub mod spooling;
pub mod trials;
pub mod work;
pub mod worker;
