//! The world: RabbitMQ, Redis, HTTP, and an in-memory stand-in for the first two.

pub mod clock;
pub mod rabbit;
pub mod tls;
