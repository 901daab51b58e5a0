//! What Milepost needs of the world, in its own words. Adapters implement these; one contract suite runs against
//! the in-memory and the real implementation of each (`tests/it/contract/`).

mod cells;
pub mod chance;
mod clock;
mod gaps;
mod inbox;
mod ledger;
mod open_deliveries;
mod provider_api;
mod publisher;
mod spool;

pub use cells::{Cell, Cells, CellsError, Swap};
pub use clock::Clock;
pub use gaps::{Gaps, MOST_CONTENTS, MOST_GAPS};
pub use inbox::{Delivery, Inbox, Subscription, SubscriptionEnded, Tag};
pub use ledger::{Ledger, LedgerError};
pub use open_deliveries::{OpenCount, OpenDeliveries, OpenDelivery, TRIMMED_AT_ONCE};
pub use provider_api::ProviderApi;
pub use publisher::{Outbound, PublishError, Publisher};
pub use spool::{DurabilityProof, Next, Spool, SpoolError, SpoolLimits, SpoolState, Spooled, spooled_bytes};
