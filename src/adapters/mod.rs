//! The world: RabbitMQ, Redis, HTTP, and an in-memory stand-in for the first two.

pub mod clock;
pub mod http;
pub mod hubrise;
pub mod live_url;
pub mod memory;
pub mod outgoing;
pub mod provider_api;
pub mod rabbit;
pub mod redis;
pub mod tls;
