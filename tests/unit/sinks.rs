//! What is written to other systems: the pure parts.

mod answers;
mod converge;
mod course;
mod decisions;
mod fields;
mod load;
mod orders;
mod reading;
mod stages;
mod windows;

use milepost::sinks::hubrise::core::carrier::Carrier;
use milepost::sinks::hubrise::core::decide::Case;
use milepost::sinks::hubrise::core::record::Style;
use milepost::sinks::update::{Read, Update, read};
use serde_json::{Value, json};

/// 2026-03-02T09:00:00Z in milliseconds.
pub const NINE: i64 = 1_772_442_000_000;
pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;

/// An event of Telyport's delivery TLP-88410, with these members of `data` over the usual ones.
pub fn event(sequence: u64, status: &str, data: &Value) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": format!("e{sequence}"), "source": "/milepost/telyport/default",
        "type": "com.milepost.delivery.updated.v1", "subject": "TLP-88410", "time": "2026-03-02T09:14:05Z",
        "data": {
            "provider": "telyport", "account": "default", "delivery_id": "TLP-88410",
            "status": status, "phase": "unknown", "raw_status": "?", "terminal": false, "order": "in_order",
            "sequence": sequence, "changes": ["status"], "received_at": "2026-03-02T09:14:06Z",
            "references": { "merchant_order": "#7KQ2M" },
        },
    });
    for (name, value) in data.as_object().expect("members") {
        match name.as_str() {
            "time" => event["time"] = value.clone(),
            name => event["data"][name] = value.clone(),
        }
    }
    event
}

pub fn update(sequence: u64, status: &str, data: &Value) -> Update {
    match read(event(sequence, status, data).to_string().as_bytes()) {
        Read::Update(update) => *update,
        other => panic!("{other:?}"),
    }
}

/// What a test decides about: an update, at some time.
pub struct Desk {
    pub carrier: Carrier,
    pub style: Style,
    pub now_ms: i64,
}

impl Desk {
    pub fn new() -> Self {
        Self { carrier: Carrier::of("telyport"), style: Style::default(), now_ms: NINE }
    }

    pub fn case<'a>(&'a self, update: &'a Update) -> Case<'a> {
        let (carrier, style) = (&self.carrier, &self.style);
        Case { update, carrier, style, interval_ms: 30 * SECOND, now_ms: self.now_ms }
    }
}
