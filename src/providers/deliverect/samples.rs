//! Deliverect's documented payloads, and webhooks made of them.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde_json::Value;

use super::Deliverect;
use crate::domain::journey::{Journey, Personal, Sample};
use crate::domain::samples::SampleSource;
use crate::providers::{delivery_digest, journeys, moved, samples};

/// 2023-09-25T08:10:00Z: before the first estimate of the samples, which tell one delivery.
const SAMPLES_BEGIN: Timestamp = Timestamp::constant(1_695_629_400, 0);

impl SampleSource for Deliverect {
    fn samples(&self) -> &'static [Sample] {
        samples!("deliverect": "delivery_created", "in_delivery", "en_route_to_pickup", "almost_at_pickup",
            "arrived_at_pickup", "en_route_to_dropoff", "courier_moved", "multiple_drivers",
            "arrived_at_dropoff", "delivered", "delivery_canceled")
    }

    fn journeys(&self) -> &'static [Journey] {
        journeys! {
            "delivered": ["delivery_created", "in_delivery", "en_route_to_pickup", "almost_at_pickup",
                "arrived_at_pickup", "en_route_to_dropoff", "courier_moved", "arrived_at_dropoff", "delivered"],
            "two_couriers": ["delivery_created", "in_delivery", "en_route_to_pickup", "arrived_at_pickup",
                "en_route_to_dropoff", "multiple_drivers", "courier_moved", "arrived_at_dropoff", "delivered"],
            "cancelled": ["delivery_created", "in_delivery", "en_route_to_pickup", "delivery_canceled"],
        }
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        let Some(fields) = sample.as_object_mut() else { return };
        let printer = DateTimePrinter::new().precision(Some(6));
        for name in ["pickupTime", "deliveryTime"] {
            let Some(Value::String(estimate)) = fields.get_mut(name) else { continue };
            if let Some(time) = moved(estimate, SAMPLES_BEGIN, personal.begun) {
                *estimate = printer.timestamp_to_string(&time);
            }
        }
        if let Some(channel_order) = fields.get_mut("channelOrderId") {
            *channel_order = format!("{}-{}", personal.tag, personal.number).into();
        }
        // 24 hex digits, as its order ids are.
        let order_id = hex::encode(&delivery_digest(personal)[..12]);
        fields.insert("orderId".to_owned(), order_id.into());
    }
}
