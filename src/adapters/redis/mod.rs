//! Redis: the ledger, the cells, the spool, and the connections they keep.

mod answer;
mod calls;
mod cells;
mod clock;
mod connection;
mod delivery_key;
mod gaps;
mod inspect;
mod kind;
mod ledger;
mod link;
mod memory;
mod open_deliveries;
mod policy;
mod pool;
mod proof;
mod record;
mod remembered;
mod script;
mod spool;
mod spool_commits;
mod spool_entry;
mod target;

pub use cells::RedisCells;
pub use clock::RedisClock;
pub use connection::{RedisConnection, RedisSettings, RedisUnusable};
pub use gaps::RedisGaps;
pub use inspect::{NodeFacts, RedisFacts, inspect};
pub use ledger::RedisLedger;
pub use policy::KEEPS_ALL;
pub use proof::prove;
pub use record::{EventRecord, EventState};
pub use remembered::{DeliveryName, LedgerReader, RememberedDelivery, Repeat, WaitingEvent};
pub use spool::{RedisSpool, spooled};
pub use target::{BadRedisUrl, RedisTarget};
