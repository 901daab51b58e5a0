//! A sample as a delivery of its own.

use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{ESTIMATES, TIMES};
use crate::domain::instant;
use crate::providers::own_digest;

/// The offset of the samples' location.
const OFFSET: Offset = Offset::constant(1);

/// Rewrites a callback. Its times keep their distances: all are moved as far as the callback's own.
pub(super) fn personalize(sample: &mut Value, tag: &str, number: u64, time: Timestamp) {
    let Some(callback) = sample.as_object_mut() else { return };
    let text = |name| callback.get(name).and_then(Value::as_str);
    let shift = text("created_at").and_then(read_time).map(|created_at| time.duration_since(created_at));
    // The callbacks of one delivery have ids of their own.
    let own = own_digest(&format!("{tag}/{}", text("id").unwrap_or_default()), number);
    callback.insert("id".to_owned(), hex::encode(&own[..8]).into());
    let (delivery_id, order_id) = (format!("dl{tag}-{number}"), format!("or{tag}-{number}"));
    replace(callback, &["delivery_id"], |_| Some(delivery_id.clone()));
    replace(callback, &["order_id"], |_| Some(order_id.clone()));
    replace(callback, &["created_at"], |sent| moved(sent, shift));
    for state in ["new_state", "previous_state"] {
        let Some(state) = callback.get_mut(state).and_then(Value::as_object_mut) else { continue };
        replace(state, &["id"], |_| Some(delivery_id.clone()));
        replace(state, &["order_id"], |_| Some(order_id.clone()));
        replace(state, &TIMES, |sent| moved(sent, shift));
        replace(state, &ESTIMATES, |sent| moved(sent, shift));
    }
}

fn read_time(text: &str) -> Option<Timestamp> {
    instant::from_text(text, None)
}

/// The same text `shift` later, to the second as HubRise writes it.
fn moved(sent: &str, shift: Option<SignedDuration>) -> Option<String> {
    let time = read_time(sent)?.checked_add(shift?).ok()?;
    Some(DateTimePrinter::new().precision(Some(0)).timestamp_with_offset_to_string(&time, OFFSET))
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
