//! One published event as one line of text.

use jiff::Timestamp;
use serde::Deserialize;

use crate::operator::printable::{printable, shortened};

/// This many of its 32 digits tell an event's id apart well enough.
const ID_PREFIX: usize = 8;

#[derive(Deserialize)]
struct LineEvent {
    id: String,
    time: String,
    data: LineData,
}

#[derive(Deserialize)]
struct LineData {
    provider: String,
    account: String,
    delivery_id: String,
    status: String,
    raw_status: String,
    order: Option<String>,
    #[serde(default)]
    courier: LineCourier,
    #[serde(default)]
    reason: LineReason,
}

#[derive(Default, Deserialize)]
struct LineCourier {
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct LineReason {
    code: Option<String>,
    text: Option<String>,
    comments: Option<String>,
}

/// The line of a published event's JSON, without its end: when, whose, which delivery, its status and the
/// provider's own word for it, who or why, and the beginning of the event's id.
///
/// Columns line up as long as their values are of usual length; a longer one is cut, a status never.
#[must_use]
pub fn human(event: &[u8]) -> String {
    let Ok(LineEvent { id, time, data }) = serde_json::from_slice(event) else {
        return format!("(an event of {} bytes that is not Milepost's)", event.len());
    };
    let account = column(&format!("{}/{}", data.provider, data.account), 20);
    let delivery = column(&data.delivery_id, 20);
    let status = printable(&format!("{} ({})", data.status, data.raw_status));
    let note = column(&data.note(), 32);
    let id: String = printable(&id).chars().take(ID_PREFIX).collect();
    format!("{}  {account}  {delivery}  {status:<42}  {note}  {id}", seconds(&time))
}

impl LineData {
    /// Whether it came out of order, who carries it and why it did not go as planned, as far as is known.
    fn note(&self) -> String {
        let courier = self.courier.name.as_ref().map(|name| format!("courier {name}"));
        let LineReason { text, code, comments } = &self.reason;
        let reason = text.as_ref().or(code.as_ref()).or(comments.as_ref());
        let reason = reason.map(|reason| format!("reason {reason}"));
        let order = self.order.clone().filter(|order| order != "in_order");
        order.into_iter().chain(courier).chain(reason).collect::<Vec<_>>().join(", ")
    }
}

/// A time to the second, always of one width.
fn seconds(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => column(time, 20),
    }
}

/// `text` in exactly `width` characters.
fn column(text: &str, width: usize) -> String {
    format!("{:<width$}", shortened(text, width))
}
