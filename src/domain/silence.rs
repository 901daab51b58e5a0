//! When a delivery has been silent for too long: longer than its provider usually is, in the phase that it is in.

use std::time::Duration;

use jiff::Timestamp;

use super::status::Phase;

/// The phases of a delivery that is not closed.
pub const OPEN_PHASES: [Phase; 6] =
    [Phase::Planned, Phase::Pickup, Phase::Transit, Phase::Dropoff, Phase::Exception, Phase::Unknown];

/// For how long a provider usually says nothing about a delivery, by its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsualSilence([Duration; OPEN_PHASES.len()]);

impl UsualSilence {
    /// Of couriers in a city: a delivery is planned for up to a day, and then under way for hours at most. No provider's
    /// document says it.
    pub const IN_A_CITY: Self = Self::hours([24, 2, 4, 2, 24, 24]);
    /// Of parcels, which wait in depots, over weekends too.
    pub const OF_PARCELS: Self = Self::hours([72, 72, 72, 48, 96, 72]);

    /// So many hours for each of [`OPEN_PHASES`].
    #[must_use]
    pub const fn hours(hours: [u64; OPEN_PHASES.len()]) -> Self {
        let [planned, pickup, transit, dropoff, exception, unknown] = hours;
        Self([
            Duration::from_hours(planned),
            Duration::from_hours(pickup),
            Duration::from_hours(transit),
            Duration::from_hours(dropoff),
            Duration::from_hours(exception),
            Duration::from_hours(unknown),
        ])
    }

    /// The same, but for one phase.
    #[must_use]
    pub fn with(mut self, phase: Phase, usual: Duration) -> Self {
        for (at, _) in OPEN_PHASES.iter().enumerate().filter(|(_, open)| **open == phase) {
            self.0[at] = usual;
        }
        self
    }

    /// For how long, in this phase; for ever in one that is not open.
    #[must_use]
    pub fn of(&self, phase: Phase) -> Duration {
        let at = OPEN_PHASES.iter().position(|open| *open == phase);
        at.map_or(Duration::MAX, |at| self.0[at])
    }

    /// At `now`, whose last update before when is too old.
    #[must_use]
    pub fn cutoffs(&self, now: Timestamp) -> Cutoffs {
        Cutoffs(self.0.map(|usual| now.checked_sub(usual).unwrap_or(Timestamp::MIN)))
    }
}

/// A time for each of [`OPEN_PHASES`]: deliveries whose last update was received before it are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoffs([Timestamp; OPEN_PHASES.len()]);

impl Cutoffs {
    /// The same time for every phase.
    #[must_use]
    pub const fn at(time: Timestamp) -> Self {
        Self([time; OPEN_PHASES.len()])
    }

    /// The later of each time and `time`.
    #[must_use]
    pub fn or_later(self, time: Timestamp) -> Self {
        Self(self.0.map(|own| own.max(time)))
    }

    /// Each of [`OPEN_PHASES`] with its time.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Timestamp)> {
        OPEN_PHASES.into_iter().zip(self.0)
    }

    /// Whether a delivery that is in `phase` and had its last update at `updated_at` is meant.
    #[must_use]
    pub fn include(&self, phase: Phase, updated_at: Timestamp) -> bool {
        self.iter().any(|(open, time)| open == phase && updated_at < time)
    }
}
