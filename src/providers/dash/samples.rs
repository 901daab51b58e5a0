//! Dash Electric's documented payloads.

use std::time::Duration;

use serde_json::Value;

use super::{Dash, personal};
use crate::domain::journey::{Journey, Personal, Sample};
use crate::domain::samples::SampleSource;
use crate::providers::{journeys, samples};

impl SampleSource for Dash {
    fn samples(&self) -> &'static [Sample] {
        samples!("dash": "express_queueing", "express_allocating", "express_pending_pickup", "express_picking_up",
            "express_pending_delivery", "express_in_delivery", "express_completed", "express_failed",
            "express_cancelled", "logistic_preparing", "logistic_verified", "logistic_not_verified",
            "logistic_pending_delivery", "logistic_in_delivery", "logistic_completed", "logistic_failed")
    }

    /// Its two services never mix: a delivery is of one or of the other.
    fn journeys(&self) -> &'static [Journey] {
        journeys! {
            "express_delivered": ["express_queueing", "express_allocating", "express_pending_pickup",
                "express_picking_up", "express_pending_delivery", "express_in_delivery", "express_completed"],
            "express_failed": ["express_queueing", "express_allocating", "express_pending_pickup",
                "express_picking_up", "express_pending_delivery", "express_in_delivery", "express_failed"],
            "express_cancelled": ["express_queueing", "express_allocating", "express_pending_pickup",
                "express_cancelled"],
            "logistic_delivered": ["logistic_preparing", "logistic_verified", "logistic_pending_delivery",
                "logistic_in_delivery", "logistic_completed"],
            "logistic_failed": ["logistic_preparing", "logistic_not_verified", "logistic_verified",
                "logistic_pending_delivery", "logistic_in_delivery", "logistic_failed"],
        }
    }

    /// Three attempts, 60 s apart.
    fn resends_after(&self, tries: u32) -> Option<Duration> {
        (1..=2).contains(&tries).then(|| Duration::from_mins(1))
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        personal::personalize(sample, personal);
    }
}
