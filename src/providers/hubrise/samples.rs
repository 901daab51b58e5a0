//! HubRise's documented payloads.

use std::time::Duration;

use serde_json::Value;

use super::{HubRise, personal};
use crate::domain::journey::{Journey, Personal, Sample};
use crate::domain::samples::SampleSource;
use crate::providers::{journeys, samples};

impl SampleSource for HubRise {
    fn samples(&self) -> &'static [Sample] {
        samples!("hubrise": "pending", "pickup_enroute", "pickup_approaching", "pickup_waiting",
            "dropoff_enroute", "moved", "dropoff_approaching", "dropoff_waiting", "delivered", "cancelled")
    }

    fn journeys(&self) -> &'static [Journey] {
        journeys! {
            "delivered": ["pending", "pickup_enroute", "pickup_approaching", "pickup_waiting", "dropoff_enroute",
                "moved", "dropoff_approaching", "dropoff_waiting", "delivered"],
            "cancelled": ["pending", "pickup_enroute", "cancelled"],
        }
    }

    /// Doubled from a minute; whether 32 minutes are waited, too, its document leaves open.
    fn resends_after(&self, tries: u32) -> Option<Duration> {
        (1..=5).contains(&tries).then(|| Duration::from_mins(1 << (tries - 1)))
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        personal::personalize(sample, personal);
    }
}
