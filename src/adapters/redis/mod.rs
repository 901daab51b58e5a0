//! Redis: the ledger, and the connection it keeps.

mod connection;
mod inspect;
mod ledger;
mod policy;
mod record;

pub use connection::{RedisConnection, RedisSettings};
pub use inspect::{DeliveryName, Inspector, RememberedDelivery, RememberedEvent, WaitingEvent};
pub use ledger::RedisLedger;
pub use record::{Record, State};
