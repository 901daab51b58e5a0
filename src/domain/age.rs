//! Which of two updates of a delivery is the newer one.

use std::fmt;

use jiff::Timestamp;

use super::identity::Origin;
use super::update::DeliveryUpdate;

/// How recent an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// When it happened, as the provider says, to the microsecond: as fine as a Lua number holds exactly.
    pub event_time: Option<Timestamp>,
    /// When it was first received, to the millisecond.
    pub received_at: Timestamp,
}

impl Age {
    /// Of `update`, first received as `origin`.
    #[must_use]
    pub fn of(update: &DeliveryUpdate, origin: &Origin) -> Self {
        let event_time = update.event_time.as_ref();
        let event_time =
            event_time.and_then(|time| Timestamp::from_microsecond(time.utc.as_microsecond()).ok());
        Self { event_time, received_at: origin.received_at }
    }

    /// Whether this is more recent. Of two times of the provider's, the later is; where one is missing, arrival decides.
    #[must_use]
    pub fn is_newer_than(self, other: Self) -> bool {
        match (self.event_time, other.event_time) {
            (Some(one), Some(other)) => one > other,
            _ => self.received_at > other.received_at,
        }
    }

    /// The latest of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            event_time: self.event_time.max(other.event_time),
            received_at: self.received_at.max(other.received_at),
        }
    }
}

/// `event time in µs or nothing,receipt in ms`: what a ledger compares.
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event_time) = self.event_time {
            write!(f, "{}", event_time.as_microsecond())?;
        }
        write!(f, ",{}", self.received_at.as_millisecond())
    }
}
