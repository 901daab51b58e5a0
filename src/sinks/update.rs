//! An update as a sink reads it from `milepost.updates`: leniently.
//!
//! The contract lets a later Milepost add fields and words (`docs/events.md`), and a sink may run beside newer workers.
//! So only what names the delivery and orders its updates is required. Every other field that is missing, or of another
//! shape than expected, is not said.

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::decimal::Decimal;
use crate::domain::event::EVENT_TYPE;
use crate::domain::status::Phase;

/// One update of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub event_id: String,
    pub delivery: UpdatedDelivery,
    /// Higher than that of any update of the delivery before.
    pub sequence: u64,
    /// When it happened, as the provider says, else when it was received.
    pub at: Timestamp,
    /// When it was received, in milliseconds.
    pub received_ms: i64,
    /// What happened, in Milepost's words; possibly a word that this version does not know.
    pub status: String,
    /// The stage of `status`.
    pub phase: Phase,
    /// The status before, of which nothing is known for the first update.
    pub previous_status: Option<String>,
    /// How it fits what was published before.
    pub fit: Fit,
    /// Other names of the order.
    pub references: References,
    pub courier: Option<UpdateCourier>,
    pub position: Option<UpdatePosition>,
    /// When the courier is expected at the pickup.
    pub pickup_eta: Option<Timestamp>,
    /// When the courier is expected at the recipient's.
    pub dropoff_eta: Option<Timestamp>,
    /// A page where the recipient can follow the delivery.
    pub tracking_url: Option<String>,
    pub fee: Option<Fee>,
}

/// One delivery of one account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpdatedDelivery {
    pub provider: String,
    pub account: String,
    /// The provider's id of the delivery.
    pub id: String,
}

/// How an update fits what was published of its delivery before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// As the provider's own rules have it.
    InOrder,
    /// Older than what was published.
    Late,
    /// The provider's rules have no way from the status before to this one.
    Unexpected,
    /// It does not say, as events of the first versions do not.
    Unsaid,
}

/// The names by which an order may be recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// The merchant's own order number.
    pub merchant_order: Option<String>,
    /// A further reference of the merchant's.
    pub merchant_reference: Option<String>,
    /// The provider's id of the order.
    pub order: Option<String>,
}

/// Who carries the delivery: what one update says of them, taken as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateCourier {
    pub name: Option<String>,
    pub phone: Option<String>,
    /// What to key in when calling that number.
    pub phone_access_code: Option<String>,
}

/// Where the courier is, in degrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatePosition {
    /// From -90 to 90.
    pub latitude: Decimal,
    /// From -180 to 180.
    pub longitude: Decimal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fee {
    /// How much, in the currency's main unit.
    pub amount: Decimal,
    /// ISO 4217.
    pub currency: String,
}

/// What a message on a sink's queue turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    Update(Box<Update>),
    /// An event of another contract.
    OtherType,
    /// No event, or one that does not name its delivery: what is missing.
    Malformed(&'static str),
}

/// Reads the body of a message.
#[must_use]
pub fn read(body: &[u8]) -> Read {
    let Ok(event) = serde_json::from_slice::<Value>(body) else {
        return Read::Malformed("not JSON");
    };
    match event.get("type").and_then(Value::as_str) {
        None => return Read::Malformed("no event type"),
        Some(EVENT_TYPE) => {}
        Some(_) => return Read::OtherType,
    }
    match update(&event) {
        Ok(update) => Read::Update(Box::new(update)),
        Err(missing) => Read::Malformed(missing),
    }
}

/// What an event says of itself: for handling its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    pub event: Option<String>,
    /// The receipt of its webhook.
    pub receipt: Option<String>,
    pub account: Option<String>,
    /// The provider's id of the delivery.
    pub delivery: Option<String>,
    /// The status, in the provider's words.
    pub raw_status: Option<String>,
}

/// Looks at the body of a message; nothing if it is no JSON.
#[must_use]
pub fn about(body: &[u8]) -> Option<About> {
    let event: Value = serde_json::from_slice(body).ok()?;
    let data = |name| text(event.get("data")?, name);
    Some(About {
        event: text(&event, "id"),
        receipt: data("receipt_id"),
        account: data("account"),
        delivery: data("delivery_id"),
        raw_status: data("raw_status"),
    })
}

fn update(event: &Value) -> Result<Update, &'static str> {
    let data = event.get("data").filter(|data| data.is_object()).ok_or("no data")?;
    let delivery = UpdatedDelivery {
        provider: text(data, "provider").ok_or("no provider")?,
        account: text(data, "account").ok_or("no account")?,
        id: text(data, "delivery_id").ok_or("no delivery id")?,
    };
    let received_at = time(data.get("received_at"));
    let at = time(event.get("time")).or(received_at).ok_or("no time")?;
    let received_ms = received_at.unwrap_or(at).as_millisecond();
    // Sequences start at the time in milliseconds, so that of an event without one is the time of its receipt.
    let sequence = data.get("sequence").and_then(Value::as_u64);
    let sequence = sequence.or_else(|| u64::try_from(received_ms).ok()).ok_or("no sequence")?;
    let eta = |end: &str| time(data.get("eta")?.get(end)?.get("utc"));
    Ok(Update {
        event_id: text(event, "id").ok_or("no event id")?,
        delivery,
        sequence,
        at,
        received_ms,
        status: text(data, "status").ok_or("no status")?,
        phase: phase(data),
        previous_status: text(data, "previous_status"),
        fit: fit(data),
        references: references(data),
        courier: courier(data),
        position: position(data),
        pickup_eta: eta("pickup_at"),
        dropoff_eta: eta("dropoff_at"),
        tracking_url: text(data, "tracking_url"),
        fee: fee(data),
    })
}

fn text(of: &Value, name: &str) -> Option<String> {
    of.get(name)?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn time(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.parse().ok()
}

fn decimal(of: &Value, name: &str) -> Option<Decimal> {
    of.get(name)?.as_str()?.parse().ok()
}

fn phase(data: &Value) -> Phase {
    let word = data.get("phase").and_then(Value::as_str);
    Phase::ALL.into_iter().find(|phase| Some(phase.as_str()) == word).unwrap_or(Phase::Unknown)
}

fn fit(data: &Value) -> Fit {
    match data.get("order").and_then(Value::as_str) {
        Some("in_order") => Fit::InOrder,
        Some("late") => Fit::Late,
        Some(_) => Fit::Unexpected,
        None => Fit::Unsaid,
    }
}

fn references(data: &Value) -> References {
    let said = |name| text(data.get("references")?, name);
    References {
        merchant_order: said("merchant_order"),
        merchant_reference: said("merchant_reference"),
        order: said("order"),
    }
}

fn courier(data: &Value) -> Option<UpdateCourier> {
    let said = |name| text(data.get("courier")?, name);
    let courier = UpdateCourier {
        name: said("name"),
        phone: said("phone"),
        phone_access_code: said("phone_access_code"),
    };
    (courier != UpdateCourier::default()).then_some(courier)
}

/// A position of 0,0 is what some senders write while they know none.
fn position(data: &Value) -> Option<UpdatePosition> {
    let position = data.get("position")?;
    let (latitude, longitude) = (decimal(position, "latitude")?, decimal(position, "longitude")?);
    let on_earth = latitude.within(90.0) && longitude.within(180.0);
    let nowhere = latitude.within(0.0) && longitude.within(0.0);
    (on_earth && !nowhere).then_some(UpdatePosition { latitude, longitude })
}

fn fee(data: &Value) -> Option<Fee> {
    let fee = data.get("fee")?;
    Some(Fee { amount: decimal(fee, "amount")?, currency: text(fee, "currency")? })
}
