//! Telyport's documented payloads, and webhooks made of them.

use std::time::Duration;

use serde_json::Value;

use super::Telyport;
use crate::domain::journey::{Journey, Personal, Sample};
use crate::domain::samples::SampleSource;
use crate::providers::{event_digest, journeys, samples};

impl SampleSource for Telyport {
    fn samples(&self) -> &'static [Sample] {
        samples!("telyport": "order_created", "started", "pickup_reached", "pickup_completed", "wh_drop",
            "wh_pick", "drop_reached", "drop_completed", "return_initiated", "returned", "cancelled")
    }

    fn journeys(&self) -> &'static [Journey] {
        journeys! {
            "delivered": ["order_created", "started", "pickup_reached", "pickup_completed", "drop_reached",
                "drop_completed"],
            "by_warehouse": ["order_created", "started", "pickup_reached", "pickup_completed", "wh_drop", "wh_pick",
                "drop_reached", "drop_completed"],
            "returned": ["order_created", "started", "pickup_reached", "pickup_completed", "return_initiated",
                "returned"],
            "cancelled": ["order_created", "started", "cancelled"],
        }
    }

    /// Doubled from a second to 2048 s, as [`Provider::gives_up_after`](crate::domain::provider::Provider::gives_up_after) has it.
    fn resends_after(&self, tries: u32) -> Option<Duration> {
        (1..=12).contains(&tries).then(|| Duration::from_secs(1 << (tries - 1)))
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        let Some(top) = sample.as_object_mut() else { return };
        let event_id = hex::encode(&event_digest(personal, top.get("webhookEventID"))[..8]);
        let time = personal.time().as_millisecond();
        top.insert("webhookEventID".to_owned(), event_id.into());
        top.insert("timestamp".to_owned(), time.into());
        let Some(data) = top.get_mut("data").and_then(Value::as_object_mut) else { return };
        let order_id = format!("IN{}-{}", personal.tag, personal.number);
        if let Some(temporary) = data.get_mut("temporaryOrderID") {
            *temporary = order_id.as_str().into();
        }
        if let Some(business) = data.get_mut("businessOrderID") {
            *business = format!("#{}-{}", personal.tag, personal.number).into();
        }
        if let Some(updated_at) = data.get_mut("updatedAt") {
            *updated_at = time.into();
        }
        data.insert("orderID".to_owned(), order_id.into());
    }
}
