//! Events as a sink reads them.

use std::fs;
use std::path::Path;

use milepost::sinks::update::{Fit, Read, read};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{event, update};

#[test]
fn every_example_of_the_contract_is_read() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract/v1/examples");
    let mut count = 0;
    for provider in fs::read_dir(examples).expect("a directory") {
        for file in fs::read_dir(provider.expect("readable").path()).expect("a directory") {
            let path = file.expect("readable").path();
            let body = fs::read(&path).expect("readable");
            let example: Value = serde_json::from_slice(&body).expect("JSON");
            let Read::Update(update) = read(&body) else { panic!("{}", path.display()) };
            assert_eq!(json!(update.event_id), example["id"]);
            assert_eq!(json!(update.delivery.id), example["data"]["delivery_id"]);
            assert_eq!(json!(update.delivery.provider), example["data"]["provider"]);
            assert_eq!(json!(update.status), example["data"]["status"]);
            assert_eq!(json!(update.sequence), example["data"]["sequence"]);
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn what_an_event_says_is_read() {
    let update = update(
        7,
        "assigned",
        &json!({
            "phase": "pickup", "order": "unexpected", "previous_status": "created",
            "courier": { "id": "c1", "name": "Sample Rider", "phone": "+33100000000" },
            "eta": { "dropoff_at": { "utc": "2026-03-02T09:40:00Z", "original": "10:40" } },
            "position": { "latitude": "45.7640", "longitude": "4.8357" },
            "fee": { "amount": "4.5", "currency": "EUR" },
            "tracking_url": "https://t.example/1",
        }),
    );
    assert_eq!(update.fit, Fit::Unexpected);
    assert_eq!(update.previous_status.as_deref(), Some("created"));
    assert_eq!(update.at.to_string(), "2026-03-02T09:14:05Z");
    let courier = update.courier.expect("a courier");
    assert_eq!((courier.name.as_deref(), courier.phone_access_code), (Some("Sample Rider"), None));
    assert_eq!(update.dropoff_eta.map(|at| at.to_string()).as_deref(), Some("2026-03-02T09:40:00Z"));
    assert_eq!(update.pickup_eta, None);
    assert_eq!(update.position.expect("a position").latitude.to_string(), "45.7640");
    assert_eq!(update.references.merchant_order.as_deref(), Some("#7KQ2M"));
}

#[test]
fn what_is_of_another_shape_is_not_said() {
    let update = update(
        7,
        "a_word_of_tomorrow",
        &json!({
            "phase": "tomorrow", "order": "sideways", "courier": "Sample Rider", "eta": [], "references": 5,
            "position": { "latitude": 45.7, "longitude": "4.8" }, "fee": { "amount": "4.5" },
            "tracking_url": "  ", "new_field": { "deep": [1, 2, 3] },
        }),
    );
    assert_eq!(update.status, "a_word_of_tomorrow");
    assert_eq!(update.fit, Fit::Unexpected, "a word that is not known is no proof of order");
    assert_eq!((update.courier, update.position, update.fee), (None, None, None));
    assert_eq!((update.tracking_url, update.references.merchant_order), (None, None));
}

#[test]
fn a_position_of_zeros_is_none() {
    for (latitude, longitude, kept) in
        [("0", "0", false), ("0.000", "-0.0", false), ("0", "4.8", true), ("91", "4", false)]
    {
        let position = json!({ "position": { "latitude": latitude, "longitude": longitude } });
        assert_eq!(update(1, "assigned", &position).position.is_some(), kept, "{latitude},{longitude}");
    }
}

#[test]
fn an_event_without_a_sequence_is_ordered_by_its_receipt() {
    let mut old = event(1, "assigned", &json!({}));
    old["data"].as_object_mut().expect("an object").remove("sequence");
    old["data"].as_object_mut().expect("an object").remove("order");
    let Read::Update(update) = read(old.to_string().as_bytes()) else { panic!("no update") };
    // 2026-03-02T09:14:06Z.
    assert_eq!(update.sequence, 1_772_442_846_000);
    assert_eq!(update.fit, Fit::Unsaid);
}

#[test]
fn another_contract_is_not_ours() {
    let mut other = event(1, "assigned", &json!({}));
    other["type"] = json!("com.milepost.delivery.updated.v2");
    assert_eq!(read(other.to_string().as_bytes()), Read::OtherType);
}

#[test]
fn what_names_no_delivery_is_malformed() {
    assert_eq!(read(b"<html>"), Read::Malformed("not JSON"));
    assert_eq!(read(b"{}"), Read::Malformed("no event type"));
    for (name, said) in [
        ("provider", "no provider"),
        ("account", "no account"),
        ("delivery_id", "no delivery id"),
        ("status", "no status"),
    ] {
        let mut event = event(1, "assigned", &json!({}));
        event["data"].as_object_mut().expect("an object").remove(name);
        assert_eq!(read(event.to_string().as_bytes()), Read::Malformed(said));
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_much(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    #[test]
    fn no_data_is_too_much(data in crate::support::any_object_with(&[
        "sequence", "order", "phase", "courier", "eta", "position", "fee", "references", "status", "received_at",
    ])) {
        let _ = read(event(1, "assigned", &data).to_string().as_bytes());
    }
}
