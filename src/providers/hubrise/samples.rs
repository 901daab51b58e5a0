//! HubRise's documented payloads.

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

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        personal::personalize(sample, personal);
    }
}
