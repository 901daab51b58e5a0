//! A sample as a webhook of a delivery of its own.
//!
//! The samples tell one delivery: each has the state before it as `previous_state`. So all their times are moved alike,
//! at every step, and still fit together.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;
use serde_json::{Map, Value};

use super::{ESTIMATES, TIMES};
use crate::domain::journey::Personal;
use crate::providers::{event_digest, moved};

/// The offset of the samples' location.
const OFFSET: Offset = Offset::constant(1);
/// 2023-01-01T11:48:40+01:00: when the first of the samples happens.
const SAMPLES_BEGIN: Timestamp = Timestamp::constant(1_672_570_120, 0);

pub(super) fn personalize(sample: &mut Value, personal: &Personal<'_>) {
    let Some(callback) = sample.as_object_mut() else { return };
    let event_id = hex::encode(&event_digest(personal, callback.get("id"))[..8]);
    callback.insert("id".to_owned(), event_id.into());
    let delivery_id = format!("dl{}-{}", personal.tag, personal.number);
    let order_id = format!("or{}-{}", personal.tag, personal.number);
    let time = |sent: &str| {
        let time = moved(sent, SAMPLES_BEGIN, personal.begun)?;
        // To the second, as HubRise writes it.
        Some(DateTimePrinter::new().precision(Some(0)).timestamp_with_offset_to_string(&time, OFFSET))
    };
    replace(callback, &["delivery_id"], |_| Some(delivery_id.clone()));
    replace(callback, &["order_id"], |_| Some(order_id.clone()));
    replace(callback, &["created_at"], time);
    for state in ["new_state", "previous_state"] {
        let Some(state) = callback.get_mut(state).and_then(Value::as_object_mut) else { continue };
        replace(state, &["id"], |_| Some(delivery_id.clone()));
        replace(state, &["order_id"], |_| Some(order_id.clone()));
        replace(state, &TIMES, time);
        replace(state, &ESTIMATES, time);
    }
}

/// Replaces the texts among the fields `names`; a `null` stays one.
fn replace(fields: &mut Map<String, Value>, names: &[&str], with: impl Fn(&str) -> Option<String>) {
    for name in names {
        let Some(Value::String(text)) = fields.get_mut(*name) else { continue };
        if let Some(new) = with(text) {
            *text = new;
        }
    }
}
