//! The HubRise sink against a stand-in for HubRise, on a real RabbitMQ and Redis.

mod answers;
mod crash;
mod drain;
mod journeys;
mod links;
pub mod stand_in;
