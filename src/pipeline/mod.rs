//! What happens to a webhook: it is received, then a worker processes it.

mod counts;
pub mod message;
pub mod receive;
pub mod refusals;
pub mod session;
mod spans;
pub mod worker;
