//! The fields of a delivery that the stand-in takes, and in which form: as HubRise documents them, and no other.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Map, Value};

use crate::domain::instant::from_text;

/// Every field that a client may send.
pub const NAMES: [&str; 17] = [
    "carrier",
    "carrier_ref",
    "ref",
    "status",
    "fee",
    "estimated_pickup_at",
    "estimated_dropoff_at",
    "tracking_url",
    "driver_name",
    "driver_phone",
    "driver_phone_access_code",
    "driver_latitude",
    "driver_longitude",
    "assigned_at",
    "pickup_at",
    "delivered_at",
    "cancelled_at",
];
const REQUIRED: [&str; 2] = ["carrier", "status"];
const FIXED: [&str; 3] = ["carrier", "carrier_ref", "fee"];
const STATUSES: [&str; 9] = [
    "pending",
    "pickup_enroute",
    "pickup_approaching",
    "pickup_waiting",
    "dropoff_enroute",
    "dropoff_approaching",
    "dropoff_waiting",
    "delivered",
    "cancelled",
];

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    pub field: String,
    pub message: String,
}

impl FieldProblem {
    /// Something wrong with `field`.
    #[must_use]
    pub fn new(field: &str, message: &str) -> Self {
        Self { field: field.to_owned(), message: message.to_owned() }
    }
}

/// What is wrong with these fields of a new delivery, or of an update.
#[must_use]
pub fn check(fields: &Map<String, Value>, new: bool) -> Vec<FieldProblem> {
    let missing = REQUIRED.into_iter().filter(|name| new && !fields.contains_key(*name));
    let mut problems: Vec<_> = missing.map(|name| FieldProblem::new(name, "is missing")).collect();
    for (name, value) in fields {
        let wrong = if !NAMES.contains(&name.as_str()) {
            Some("is not a valid key")
        } else if !new && FIXED.contains(&name.as_str()) {
            Some("cannot be updated")
        } else {
            malformed(name, value)
        };
        problems.extend(wrong.map(|message| FieldProblem::new(name, message)));
    }
    problems
}

fn malformed(name: &str, value: &Value) -> Option<&'static str> {
    let Some(text) = value.as_str() else { return Some("must be a string") };
    let decimal = |limit: f64| text.parse::<f64>().is_ok_and(|value| value.abs() <= limit);
    match name {
        "status" => (!STATUSES.contains(&text)).then_some("is not included in the list"),
        "fee" => (!is_money(text)).then_some("is not an amount of money"),
        "driver_latitude" => (!decimal(90.0)).then_some("is not a latitude"),
        "driver_longitude" => (!decimal(180.0)).then_some("is not a longitude"),
        name if is_time(name) => instant(text).is_none().then_some("is not a time with an offset"),
        _ => text.is_empty().then_some("is empty"),
    }
}

/// Two decimals, a space, and a currency.
fn is_money(text: &str) -> bool {
    let Some((amount, currency)) = text.split_once(' ') else { return false };
    let Some((whole, cents)) = amount.split_once('.') else { return false };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(cents) && cents.len() == 2 && code
}

/// Whether a field is a time.
#[must_use]
pub fn is_time(name: &str) -> bool {
    name.ends_with("_at")
}

/// The instant of a time with a numeric offset.
#[must_use]
pub fn instant(text: &str) -> Option<Timestamp> {
    let numeric = text.get(10..)?.contains(['+', '-']);
    from_text(text, None).filter(|_| numeric)
}

/// A time as the location gives it.
#[must_use]
pub fn local(at: Timestamp, offset: Offset) -> String {
    offset.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S").to_string() + &sign(offset)
}

fn sign(offset: Offset) -> String {
    let seconds = offset.seconds();
    let minutes = seconds.abs() / 60;
    format!("{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}
