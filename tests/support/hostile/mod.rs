//! Hostile webhooks of every provider, and what is documented to become of each.
//!
//! The unit tests ask the providers' code alone; `tests/it/hostile.rs` posts the same to a running fleet, and finds
//! each again by its receipt. Every expectation is written by hand.

mod bodies;
mod fields;
mod ids;
mod left_overs;
mod numbers;
mod places;
mod proofs;
mod shapes;
mod times;

use milepost::domain::authentication::AuthScheme;
use milepost::domain::samples::{SampleSource, SignedWebhook, Signing};
use milepost::domain::secret::Secret;
use milepost::domain::verdict::ParkReason;
use serde_json::{Value, json};

pub use shapes::{SHAPES, Shape};

/// The secret of every scheme; Basic needs its colon, and a wrong case needs its letters.
pub const SECRET: &str = "user:Secret-of-a-Test";

/// One webhook.
pub struct Case {
    pub name: String,
    pub scheme: AuthScheme,
    pub expected: Expected,
    /// `@` is replaced by the delivery's id, so that each use of the case has a delivery of its own.
    body: Vec<u8>,
    /// What a wrong sender does to a webhook that is signed right.
    tamper: fn(SignedWebhook) -> SignedWebhook,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Accepted, and published as this update, with so many fields unreadable. `@` as in the body.
    Published(Value, u32),
    /// Accepted, and no delivery update.
    Ignored,
    /// Accepted, and parked: why, and what in particular.
    Parked(ParkReason, &'static str),
    /// Not accepted.
    Refused(Refusal),
}

/// Why it is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NotAuthentic,
    NotAnObject,
    TooLarge,
    Encoded,
}

impl Case {
    fn new(name: impl Into<String>, shape: &Shape, body: impl Into<Vec<u8>>, expected: Expected) -> Self {
        let (name, scheme) = (name.into(), shape.provider.authentication()[0].scheme());
        Self { name, scheme, expected, body: body.into(), tamper: |webhook| webhook }
    }

    /// The webhook as it is sent about the delivery `id`.
    pub fn webhook(&self, provider: &dyn SampleSource, id: &str) -> SignedWebhook {
        let secret = Secret::new(SECRET.as_bytes()).expect("not empty");
        let signing = Signing { scheme: self.scheme, header: None, secret: &secret };
        (self.tamper)(provider.sign(named(&self.body, id).into(), &signing))
    }

    /// The update it is published as.
    pub fn update(&self, id: &str) -> Option<Value> {
        let Expected::Published(update, _) = &self.expected else { return None };
        let named = named(update.to_string().as_bytes(), id);
        Some(serde_json::from_slice(&named).expect("JSON"))
    }
}

/// `bytes` about the delivery `id`.
fn named(bytes: &[u8], id: &str) -> Vec<u8> {
    let parts: Vec<_> = bytes.split(|&byte| byte == b'@').collect();
    parts.join(id.as_bytes())
}

/// All cases of one provider.
pub fn cases(shape: &Shape) -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(bodies::cases(shape));
    cases.extend(fields::cases(shape));
    cases.extend(ids::cases(shape));
    cases.extend(left_overs::cases(shape));
    cases.extend(numbers::cases(shape));
    cases.extend(times::cases(shape));
    cases.extend(places::cases(shape));
    cases.extend(proofs::cases(shape));
    cases
}

/// What the sender gets: the code and the body (the table "What the receiver answers").
pub fn answer(provider: &str, scheme: AuthScheme, expected: &Expected) -> (u16, &'static str) {
    let refusal = match (expected, provider) {
        (Expected::Refused(refusal), _) => *refusal,
        (_, "247express") => return (200, r#"{"IsError":false,"ErrorMessage":""}"#),
        (_, "deliverect") => return (200, "OK"),
        _ => return (200, ""),
    };
    match (provider, refusal) {
        ("247express", Refusal::NotAuthentic) => {
            let code = if scheme == AuthScheme::Basic { 401 } else { 200 };
            (code, r#"{"IsError":true,"ErrorMessage":"not authentic"}"#)
        }
        ("247express", Refusal::NotAnObject) => {
            (200, r#"{"IsError":true,"ErrorMessage":"the body is not one JSON object"}"#)
        }
        ("247express", Refusal::TooLarge) => {
            (413, r#"{"IsError":true,"ErrorMessage":"the body is too large"}"#)
        }
        ("247express", Refusal::Encoded) => {
            (415, r#"{"IsError":true,"ErrorMessage":"send the body uncompressed"}"#)
        }
        (_, Refusal::NotAuthentic) => (401, "not authentic\n"),
        // HubRise deletes a callback that is answered below 500.
        ("hubrise", _) => (503, "cannot store it now, send it again\n"),
        (_, Refusal::NotAnObject) => (400, "the body is not one JSON object\n"),
        (_, Refusal::TooLarge) => (413, "the body is too large\n"),
        (_, Refusal::Encoded) => (415, "send the body uncompressed\n"),
    }
}

/// `least` with `value` at `pointer`, whose objects are made where they are missing.
fn with(least: &str, pointer: &str, value: Value) -> Value {
    let mut body: Value = serde_json::from_str(least).expect("JSON");
    put(&mut body, pointer, value);
    body
}

fn put(body: &mut Value, pointer: &str, value: Value) {
    let place = pointer.split('/').skip(1).fold(body, |object, name| {
        if !object.is_object() {
            *object = json!({});
        }
        &mut object[name]
    });
    *place = value;
}

/// `least` with JSON spelt as `sent` at `pointer`: most JSON libraries would spell it otherwise.
fn spelt(least: &str, pointer: &str, sent: &str) -> String {
    with(least, pointer, json!("spelt")).to_string().replacen("\"spelt\"", sent, 1)
}

/// The name that a field left in `extra` gets there.
fn path(pointer: &str) -> String {
    pointer[1..].replace('/', ".")
}
