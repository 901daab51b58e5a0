//! A sample as a webhook of a delivery of its own.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde_json::{Map, Value};

use super::envelope::TIMES;
use crate::domain::journey::Personal;

/// Rewrites a payload. It says when the delivery began, when it was picked up, and when this happened.
pub(super) fn personalize(sample: &mut Value, personal: &Personal<'_>) {
    let Some(fields) = sample.as_object_mut() else { return };
    fields.insert("providerOrderID".to_owned(), format!("AWB-{}-{}", personal.tag, personal.number).into());
    fields.insert("deliveryID".to_owned(), format!("DE-{}-{}", personal.tag, personal.number).into());
    let picked_up = personal.time_of_first(|name| name.ends_with("_pending_delivery"));
    for item in fields.get_mut("media").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(item) = item.as_object_mut() else { continue };
        let at_pickup = item.get("type").is_some_and(|kind| kind == "PICKUP_PROOF");
        say(item, "createdAt", if at_pickup { picked_up } else { personal.time() });
    }
    for name in TIMES {
        say(fields, name, personal.time());
    }
    say(fields, "pickupAt", picked_up);
    say(fields, "createdAt", personal.begun);
}

/// Makes the field `name` say `time`, where it says any.
fn say(fields: &mut Map<String, Value>, name: &str, time: Timestamp) {
    if let Some(Value::String(text)) = fields.get_mut(name) {
        *text = DateTimePrinter::new().precision(Some(3)).timestamp_to_string(&time);
    }
}
