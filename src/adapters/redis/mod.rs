//! Redis: the ledger, and the connection it keeps.

mod answer;
mod calls;
mod cells;
mod clock;
mod connection;
mod delivery_key;
mod inspect;
mod ledger;
mod memory;
mod policy;
mod record;
mod remembered;
mod script;

pub use cells::RedisCells;
pub use clock::RedisClock;
pub use connection::{RedisConnection, RedisSettings};
pub use inspect::{RedisFacts, inspect};
pub use ledger::RedisLedger;
pub use policy::KEEPS_ALL;
pub use record::{EventRecord, State};
pub use remembered::{DeliveryName, Inspector, RememberedDelivery, Repeat, WaitingEvent};
