//! The system's wall clock.

use jiff::Timestamp;

use crate::ports::Clock;

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // This is the one place that reads the wall clock.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
