//! HubRise's answers. What its documents leave open is read with care: only what is certainly HubRise's own answer
//! counts as one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::field::Field;
use super::request::Request;

/// What is shown of one of HubRise's messages.
const LONGEST_MESSAGE: usize = 120;
/// How many of its errors are shown.
const MOST_ERRORS: usize = 5;
/// HubRise asks to wait for a day's end at most.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// An answer as HTTP has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    pub code: u16,
    /// `Retry-After`, verbatim.
    pub retry_after: Option<String>,
    /// The body; nothing if it was larger than we read.
    pub body: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiAnswer {
    Done,
    Order(OrderSeen),
    Delivery(DeliverySeen),
    /// The location of that id.
    Location(Option<String>),
    /// There is no such thing: no order, or no delivery.
    NotFound,
    /// HubRise has no such path: the base URL is wrong, or HubRise changed.
    NoSuchPath,
    /// HubRise will not take it, and will not take it later.
    Rejected(ApiRejection),
    /// The token does not allow it.
    Denied {
        /// 401 or 403.
        code: u16,
        /// HubRise's words.
        message: String,
    },
    Limited {
        /// How long to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// No answer, or none that is HubRise's. A write may have had its effect.
    Away(&'static str),
}

/// An order, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderSeen {
    /// How it is served: `delivery`, `collection`, `eat_in`.
    pub service_type: Option<String>,
    pub status: Option<String>,
    pub delivery: DeliveryOfOrder,
}

/// What an order says of its delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DeliveryOfOrder {
    /// It does not say whether there is one.
    #[default]
    Unsaid,
    None,
    Some(DeliverySeen),
}

/// The fields of a delivery that HubRise shows; what is `null` is left out.
pub type DeliverySeen = BTreeMap<Field, String>;

/// Why HubRise will not take something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiRejection {
    pub fields: Vec<Field>,
    pub text: String,
}

#[must_use]
pub fn read(request: &Request, raw: &RawAnswer) -> ApiAnswer {
    let body = raw.body.as_deref().map(AnswerBody::read);
    let Some(body) = body else {
        return ApiAnswer::Away("its answer is too large");
    };
    match raw.code {
        200..=299 => success(request, &body),
        429 => ApiAnswer::Limited { retry_after: raw.retry_after.as_deref().and_then(wait) },
        401 | 403 => match body {
            AnswerBody::Object(_) | AnswerBody::Empty => {
                ApiAnswer::Denied { code: raw.code, message: body.message() }
            }
            AnswerBody::Other => ApiAnswer::Away("a refusal that is not HubRise's"),
        },
        404 => match body.error_type() {
            Some("routing_error") => ApiAnswer::NoSuchPath,
            // A proxy's page is no word on the order.
            _ if matches!(body, AnswerBody::Other) => ApiAnswer::Away("a 404 that is not HubRise's"),
            _ => ApiAnswer::NotFound,
        },
        // The official client's own tests show the body of a failed validation under 400.
        400 | 415 | 422 if matches!(body, AnswerBody::Object(_)) => {
            ApiAnswer::Rejected(body.rejection(request))
        }
        300..=399 => ApiAnswer::Away("a redirect, which is not followed"),
        500..=599 => ApiAnswer::Away("a server's error"),
        _ => ApiAnswer::Away("a code that HubRise does not document"),
    }
}

fn success(request: &Request, body: &AnswerBody) -> ApiAnswer {
    match (request, body) {
        (_, AnswerBody::Other) => ApiAnswer::Away("an answer that is not HubRise's"),
        (Request::Post(_) | Request::Patch(_) | Request::PatchOrder(_), _) => ApiAnswer::Done,
        (_, AnswerBody::Empty) => ApiAnswer::Away("an answer without a body"),
        (Request::GetOrder, AnswerBody::Object(order)) => ApiAnswer::Order(order_seen(order)),
        (Request::GetDelivery, AnswerBody::Object(delivery)) => ApiAnswer::Delivery(delivery_seen(delivery)),
        (Request::GetLocation | Request::GetThatLocation, AnswerBody::Object(location)) => {
            ApiAnswer::Location(location.get("id").and_then(plain))
        }
    }
}

fn order_seen(order: &Map<String, Value>) -> OrderSeen {
    let text = |name: &str| order.get(name).and_then(Value::as_str).map(str::to_owned);
    let delivery = match order.get("delivery") {
        Some(Value::Object(delivery)) => DeliveryOfOrder::Some(delivery_seen(delivery)),
        Some(Value::Null) => DeliveryOfOrder::None,
        Some(_) | None => DeliveryOfOrder::Unsaid,
    };
    OrderSeen { service_type: text("service_type"), status: text("status"), delivery }
}

fn delivery_seen(delivery: &Map<String, Value>) -> DeliverySeen {
    let known = |field: Field| Some((field, plain(delivery.get(field.as_str())?)?));
    Field::ALL.into_iter().filter_map(known).collect()
}

/// Text, or a number where HubRise documents text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Seconds, as HubRise's own client reads it.
fn wait(text: &str) -> Option<Duration> {
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// A body: HubRise's are JSON objects, or empty.
enum AnswerBody {
    Empty,
    Object(Map<String, Value>),
    Other,
}

impl AnswerBody {
    fn read(bytes: &[u8]) -> Self {
        if bytes.trim_ascii().is_empty() {
            return Self::Empty;
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Self::Object(object),
            _ => Self::Other,
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(object) => object.get(name),
            _ => None,
        }
    }

    fn error_type(&self) -> Option<&str> {
        self.get("error_type")?.as_str()
    }

    fn message(&self) -> String {
        self.get("message").and_then(Value::as_str).map(shortened).unwrap_or_default()
    }

    fn rejection(&self, request: &Request) -> ApiRejection {
        let errors = self.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let part = |error: &Value, name: &str| error.get(name).and_then(Value::as_str).map(shortened);
        let fields = errors.iter().filter_map(|error| Field::named(&part(error, "field")?)).collect();
        let line = |error: &Value| {
            let field = part(error, "field").unwrap_or_else(|| "?".to_owned());
            format!("{field}: {}", part(error, "message").unwrap_or_default())
        };
        let mut lines: Vec<_> = errors.iter().take(MOST_ERRORS).map(line).collect();
        if lines.is_empty() {
            let message = self.message();
            lines.push(if message.is_empty() { "no reason given".to_owned() } else { message });
        }
        ApiRejection { fields, text: masked(&lines.join("; "), request) }
    }
}

/// Without control characters, and not too long.
fn shortened(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(LONGEST_MESSAGE).collect()
}

/// HubRise may quote what it was sent, which is about people: that must not reach a log or a header.
fn masked(text: &str, request: &Request) -> String {
    let (Request::Post(fields) | Request::Patch(fields)) = request else { return text.to_owned() };
    let mut values: Vec<_> = fields.values().filter(|value| value.len() > 1).collect();
    // A longer value may have a shorter one in it.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.into_iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), "…"))
}
