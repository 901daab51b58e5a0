//! RabbitMQ: its connections, its topology, and the inbox and publisher on it.

mod answers;
pub mod audit;
mod bursts;
mod channel;
pub mod compare;
mod connection;
mod counts;
pub mod definitions;
mod delay;
pub mod envelope;
mod inbox;
pub mod inspect;
pub mod management;
mod max_age;
pub mod parked;
mod places;
mod publisher;
mod stall;
pub mod subscriptions;
pub mod topology;
pub mod updates_log;

pub use connection::{ConnectError, RabbitSettings, connect};
pub use delay::{DELAY_UNIT, DelayLevels, LEVELS};
pub use inbox::RabbitInbox;
pub use max_age::MaxAge;
pub use places::{Link, Place, connect_to_first};
pub use publisher::{Pace, RabbitPublisher};
