//! 247Express's documented payloads, and webhooks made of them.

use jiff::fmt::temporal::DateTimePrinter;
use serde_json::Value;
use uuid::Builder;

use super::{Express247, VIETNAM};
use crate::domain::journey::{Journey, Personal, Sample};
use crate::domain::samples::SampleSource;
use crate::providers::{delivery_digest, event_digest, journeys, samples};

impl SampleSource for Express247 {
    fn samples(&self) -> &'static [Sample] {
        samples!("247express": "accepted", "picked_up", "in_transit", "delivering", "pending_for_proceed",
            "delivered", "pending_for_return", "returned", "cancelled", "lost", "confiscated")
    }

    fn journeys(&self) -> &'static [Journey] {
        journeys! {
            "delivered": ["accepted", "picked_up", "in_transit", "delivering", "delivered"],
            "held": ["accepted", "picked_up", "in_transit", "delivering", "pending_for_proceed", "delivering",
                "delivered"],
            "returned": ["accepted", "picked_up", "in_transit", "delivering", "pending_for_proceed",
                "pending_for_return", "returned"],
            "cancelled": ["accepted", "cancelled"],
            "lost": ["accepted", "picked_up", "in_transit", "delivering", "lost"],
            "confiscated": ["accepted", "picked_up", "in_transit", "delivering", "confiscated"],
        }
    }

    fn personalize(&self, sample: &mut Value, personal: &Personal<'_>) {
        let Some(fields) = sample.as_object_mut() else { return };
        // 20 characters: the most an order code may have.
        let order_code = format!("HD{}", hex::encode(&delivery_digest(personal)[..9]));
        for name in ["ExternalCode", "ReferenceCode"] {
            if let Some(reference @ Value::String(_)) = fields.get_mut(name) {
                *reference = order_code.as_str().into();
            }
        }
        let time = personal.time();
        if let Some(date @ Value::String(_)) = fields.get_mut("DeliveryDate") {
            let printer = DateTimePrinter::new().separator(b' ').precision(Some(0));
            *date = printer.datetime_to_string(&VIETNAM.to_datetime(time)).into();
        }
        let mut id_bytes = [0; 16];
        id_bytes.copy_from_slice(&event_digest(personal, fields.get("TransactionId"))[..16]);
        let transaction = Builder::from_random_bytes(id_bytes).into_uuid().to_string();
        let time = DateTimePrinter::new().precision(Some(7)).timestamp_with_offset_to_string(&time, VIETNAM);
        fields.insert("OrderCode".to_owned(), order_code.into());
        fields.insert("TransactionId".to_owned(), transaction.into());
        fields.insert("Time".to_owned(), time.into());
    }
}
