//! RabbitMQ.

pub mod updates_log;
