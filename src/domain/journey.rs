//! What the providers' documented payloads are made into: webhooks of deliveries of their own, told in order.

use jiff::{SignedDuration, Timestamp};

/// One of the provider's own documented payloads, by name.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// For `milepost send --sample`.
    pub name: &'static str,
    pub body: &'static str,
}

/// A whole delivery in order, as its provider tells it.
#[derive(Debug, Clone, Copy)]
pub struct Journey {
    /// For `milepost send --journey`.
    pub name: &'static str,
    /// Its webhooks: names of the provider's samples, one of which may occur twice.
    pub steps: &'static [&'static str],
}

/// Which webhook of which delivery a sample is made into.
#[derive(Debug, Clone, Copy)]
pub struct Personal<'a> {
    /// Tells runs apart: short, letters and digits.
    pub tag: &'a str,
    /// Which delivery of the run.
    pub number: u64,
    /// The names of the samples that make up the journey, in order.
    pub steps: &'a [&'static str],
    pub step: u32,
    /// When the delivery begins, and its first step happens.
    pub begun: Timestamp,
}

impl Personal<'_> {
    /// From one step to the next.
    const PACE: SignedDuration = SignedDuration::from_mins(3);

    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.after(self.step)
    }

    /// When the first step with such a name happened; without one, when the delivery began.
    #[must_use]
    pub fn time_of_first(&self, is_such: impl Fn(&str) -> bool) -> Timestamp {
        let step = self.steps.iter().position(|name| is_such(name)).unwrap_or_default();
        self.after(u32::try_from(step).unwrap_or(u32::MAX))
    }

    fn after(&self, steps: u32) -> Timestamp {
        let passed = i32::try_from(steps).map_or(SignedDuration::MAX, |steps| Self::PACE * steps);
        self.begun.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}
