//! What Milepost needs of the world, in its own words. Adapters implement these; one contract suite runs against
//! the in-memory and the real implementation of each (`tests/it/contract/`).

mod cells;
pub mod chance;
mod clock;
mod inbox;
mod ledger;
mod publisher;

pub use cells::{Cell, Cells, CellsError, Swap};
pub use clock::Clock;
pub use inbox::{Delivery, Inbox, Subscription, SubscriptionEnded, Tag};
pub use ledger::{Ledger, LedgerError};
pub use publisher::{Outbound, PublishError, Publisher};
