//! What happens to a webhook: it is received, then a worker processes and settles it.

pub mod process;
pub mod receive;
pub mod session;
pub mod settle;
mod spans;
pub mod worker;
