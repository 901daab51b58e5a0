//! An event that has every field: a field that is added to the model must be added here, or this does not compile.

use milepost::domain::decimal::Decimal;
use milepost::domain::extra::Extra;
use milepost::domain::identity::Identity;
use milepost::domain::instant::ProviderTime;
use milepost::domain::state::{Change, Course, Order};
use milepost::domain::status::{Phase, Status};
use milepost::domain::update::{
    Carrier, Contact, Courier, DeliveryUpdate, Eta, Money, Package, Place, Position, Proof, Reason,
    References,
};
use milepost::providers::DASH;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{encoded, origin};

/// Every value of the event that is personal data begins with this.
pub fn personal(what: &str) -> Option<String> {
    Some(format!("PERSONAL {what}"))
}

pub fn event() -> Value {
    let fingerprint = milepost::domain::fingerprint::Fingerprinter::new().finish();
    let identity = Identity { provider_event_id: None, fingerprint };
    let changes = vec![
        Change::Status,
        Change::Courier,
        Change::Position,
        Change::Eta,
        Change::Proof,
        Change::Reason,
        Change::Reference,
        Change::None,
    ];
    let course =
        Course { sequence: 1, order: Order::Unexpected, changes, previous_status: Some(Status::Unknown) };
    encoded(&DASH, &identity, &update(), &course, &origin())
}

fn update() -> DeliveryUpdate {
    DeliveryUpdate {
        delivery_id: "d".to_owned(),
        references: Some(References {
            merchant_order: text(),
            merchant_reference: text(),
            order: text(),
            temporary: text(),
            location: text(),
        }),
        status: Status::ReturnInitiated,
        phase: Phase::Exception,
        raw_status: "27".to_owned(),
        terminal: false,
        service: Some("express"),
        event_time: time(),
        times: time().map(|time| ("updatedAt", time)).into_iter().collect(),
        eta: Some(Eta { pickup_at: time(), dropoff_at: time() }),
        failed_count: Some(1),
        courier: Some(Courier {
            id: personal("id"),
            name: personal("name"),
            phone: personal("phone"),
            phone_access_code: personal("code"),
        }),
        several_couriers: Some(true),
        carrier: Some(Carrier { name: text(), code: text(), reference: text() }),
        position: Some(position()),
        reason: Some(Reason { code: text(), text: personal("text"), comments: personal("comments") }),
        recipient_name: personal("recipient"),
        sender: Some(contact()),
        recipient: Some(contact()),
        origin: Some(place()),
        destination: Some(place()),
        packages: vec![Package {
            name: text(),
            description: text(),
            quantity: decimal("1"),
            price: decimal("12.50"),
            weight_kg: decimal("0.5"),
            width: decimal("1"),
            length: decimal("1"),
            height: decimal("1"),
        }],
        weight_kg: decimal("0.50"),
        fee: Some(Money { amount: decimal("-4.50").expect("a decimal"), currency: "EUR".to_owned() }),
        proof: vec![Proof { url: personal("picture"), kind: text(), created_at: time() }],
        tracking_url: personal("page"),
        provider_event_id: text(),
        extra: extra(),
    }
}

fn text() -> Option<String> {
    Some("x".to_owned())
}

fn decimal(text: &str) -> Option<Decimal> {
    text.parse().ok()
}

fn time() -> Option<ProviderTime> {
    let utc = "2025-02-12T13:07:19.201Z".parse().expect("a time");
    Some(ProviderTime { utc, original: "1739365639201".to_owned() })
}

/// In no test is another value as this one.
fn position() -> Position {
    let [latitude, longitude] = ["88.8", "-99.9"].map(|degrees| degrees.parse().expect("a decimal"));
    Position::new(latitude, longitude).expect("on Earth")
}

fn contact() -> Contact {
    Contact {
        first_name: personal("first"),
        last_name: personal("last"),
        company: personal("company"),
        email: personal("email"),
        phone: personal("phone"),
    }
}

fn place() -> Place {
    Place { address: personal("address"), position: Some(position()) }
}

/// The last of them is one that some JSON readers refuse.
fn extra() -> Extra {
    let mut extra = Extra::new();
    for (name, json) in [("note", "\"PERSONAL note\""), ("gone", "null"), ("PERSONAL odd", "1e999")] {
        extra.insert(name.to_owned(), &raw(json));
    }
    extra
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}
