//! The second store, on real servers: what is proved, who may what, and a fleet whose broker is away.

mod crash;
mod fleet;
mod proof;
