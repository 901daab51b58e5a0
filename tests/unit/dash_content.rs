//! What makes two of Dash's webhooks one event, where there is no event id to tell.

use std::collections::BTreeSet;

use milepost::domain::identity::{DeliveryKey, EventId, ReceiptId};
use milepost::domain::provider::Provider;
use milepost::domain::samples::SampleSource;
use milepost::providers::DASH;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::dash::failed;
use crate::hostile::respelled;
use crate::support::{any_json, sample, update};

fn fingerprint_of(body: &str) -> String {
    let identity = update(&DASH, body).identity;
    assert_eq!(identity.provider_event_id, None);
    format!("{:?}", identity.fingerprint)
}

fn fingerprint(body: &Value) -> String {
    fingerprint_of(&body.to_string())
}

/// The field that `path` names, and the object it is in.
fn parent<'a>(body: &'a mut Value, path: &str) -> (&'a mut serde_json::Map<String, Value>, String) {
    let (object, name) = path.rsplit_once('/').expect("a path");
    let object = body.pointer_mut(object).and_then(Value::as_object_mut).expect("an object");
    (object, name.to_owned())
}

/// Computed apart, with Python's hashlib.
#[test]
fn documented_examples_keep_their_identity() {
    for (name, fingerprint, event_id) in [
        (
            "express_completed",
            "cb2424b0c687737126e1bcc493e6da4ac84baa41f5aa436226f217ceea7cd49d",
            "45cdc5102b062e96546122dd5ba6caed",
        ),
        (
            "logistic_preparing",
            "a9ec6ee7dec41c9b2e3e5ea94b2437fa1ee94bc041db2a256f60cb9f5a96ea6a",
            "55bec9e33f27186ffa1aba13ceace2ec",
        ),
    ] {
        let decoded = update(&DASH, &sample(&DASH, name).to_string());
        assert_eq!(format!("{:?}", decoded.identity.fingerprint), fingerprint);
        let delivery = DeliveryKey {
            provider: DASH.id(),
            account: "default".parse().expect("an account"),
            delivery_id: decoded.update.delivery_id,
        };
        let anchor: ReceiptId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a receipt");
        assert_eq!(EventId::new(&delivery, &decoded.identity, anchor).as_str(), event_id);
    }
}

#[test]
fn every_documented_payload_is_an_event_of_its_own() {
    let distinct: BTreeSet<_> = DASH.samples().iter().map(|sample| fingerprint_of(sample.body)).collect();
    assert_eq!(distinct.len(), 16);
}

/// Absent, null and empty differ, too.
#[test]
fn any_difference_makes_another_event() {
    let mut different = vec![failed(|_| {})];
    for path in [
        "/failedCount",
        "/courier/name",
        "/courier/phone",
        "/updatedAt",
        "/pickupAt",
        "/completedAt",
        "/failedAt",
        "/cancelledAt",
        "/failedReason",
        "/cancelledReason",
        "/trackingURL",
        "/recipient/actualRecipientName",
        "/media",
        "/courier",
        "/recipient",
    ] {
        let documented = failed(|_| {}).pointer(path).cloned();
        for value in [json!("other"), json!(""), json!(7), json!({}), json!([]), Value::Null] {
            // A recipient without anything is one without its one field that counts.
            if documented.as_ref() == Some(&value) || (path == "/recipient" && value == json!({})) {
                continue;
            }
            different.push(failed(|body| {
                let (object, name) = parent(body, path);
                object.insert(name, value);
            }));
        }
        if documented.is_some() {
            different.push(failed(|body| {
                let (object, name) = parent(body, path);
                object.remove(&name);
            }));
        }
    }
    let mut names: BTreeSet<_> = different.iter().map(fingerprint).collect();
    assert_eq!(names.len(), different.len());

    let required = [("deliveryID", "DE-1735308506307"), ("status", "COMPLETED"), ("status", "failed")];
    for (name, value) in required {
        assert!(names.insert(fingerprint(&failed(|body| body[name] = json!(value)))), "{name}");
    }
    for time in ["pickupAt", "failedAt", "updatedAt"] {
        let later = failed(|body| body[time] = json!("2024-12-27T14:18:58.751Z"));
        assert!(names.insert(fingerprint(&later)), "{time}");
    }
}

/// Dash's own suggestion, delivery, status and `updatedAt`, would merge these.
#[test]
fn a_courier_swapped_on_the_way_is_an_event() {
    let mut body = sample(&DASH, "express_in_delivery");
    let before = fingerprint(&body);
    body["courier"]["phone"] = json!("081");
    assert_ne!(fingerprint(&body), before);
    let again = failed(|body| body["failedCount"] = json!(2));
    assert_ne!(fingerprint(&again), fingerprint(&failed(|_| {})));
}

#[test]
fn media_count_whole_and_in_no_order() {
    let with = |media: Value| fingerprint(&failed(|body| body["media"] = media));
    let (a, b) = (json!({"url": "a", "type": "X"}), json!({"url": "b", "type": "Y", "createdAt": null}));
    assert_eq!(with(json!([a, b])), with(json!([b, a])));
    assert_eq!(with(json!([a, a, b])), with(json!([b, a, a])));
    let distinct = [
        json!([]),
        json!([a]),
        json!([b]),
        json!([a, b]),
        json!([a, a]),
        json!([a, a, b]),
        json!([[a], b]),
        json!([null]),
        json!([{}]),
        json!([{"url": "a", "type": "Y"}, {"url": "b", "type": "X", "createdAt": null}]),
        json!([a, {"url": "b", "type": "Y", "createdAt": ""}]),
        json!([a, {"url": "b", "type": "Y"}]),
        json!({"url": "a", "type": "X"}),
        json!("a"),
        Value::Null,
    ];
    let fingerprints: BTreeSet<_> = distinct.iter().cloned().map(with).collect();
    assert_eq!(fingerprints.len(), distinct.len());
}

#[test]
fn what_says_the_same_is_the_same_event() {
    let documented = fingerprint(&failed(|_| {}));
    let same = [
        failed(|body| body["failedAt"] = json!("2024-12-27T21:18:58.750+07:00")),
        failed(|body| body["failedAt"] = json!(1_735_309_138_750_u64)),
        failed(|body| body["failedCount"] = json!(1.0)),
        failed(|body| body["createdAt"] = Value::Null),
        failed(|body| body["providerOrderID"] = json!("AWB-TEST-2")),
        failed(|body| body["weight"] = json!(81)),
        failed(|body| body["sender"] = Value::Null),
        failed(|body| body["recipient"]["phone"] = json!("1")),
        failed(|body| body["packages"] = json!([])),
        failed(|body| body["surprise"] = json!(1)),
    ];
    for body in &same {
        assert_eq!(fingerprint(body), documented, "{body}");
    }
    // Key order, white space, escapes: Dash's own spelling, a sorted one, a pretty one.
    let name = "src/providers/samples/dash/express_failed.json";
    let spelt = std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).expect(name);
    let pretty = serde_json::to_string_pretty(&failed(|_| {})).expect("JSON");
    let escaped = spelt.replace("Agus", "\\u0041gus").replace('\n', "\r\n\t");
    for spelling in [spelt, pretty, escaped] {
        assert_eq!(fingerprint_of(&spelling), documented);
    }
}

proptest! {
    #[test]
    fn order_and_white_space_never_matter(courier in any_json(), media in prop::collection::vec(any_json(), 0..4), other in any_json()) {
        let body = failed(|body| {
            body["courier"] = courier;
            body["media"] = json!(media);
            body["failedReason"] = other;
        });
        let mut turned = body.clone();
        turned["media"].as_array_mut().expect("a list").reverse();
        prop_assert_eq!(fingerprint(&body), fingerprint_of(&respelled(turned.to_string().as_bytes(), "\n").expect("JSON")));
    }

    /// Two courier names are one event only if they are one value.
    #[test]
    fn values_differ_as_their_fingerprints_do(a in any_json(), b in any_json()) {
        for path in ["/courier/name", "/failedReason", "/recipient/actualRecipientName"] {
            let with = |value: &Value| fingerprint(&failed(|body| {
                let (object, name) = parent(body, path);
                object.insert(name, value.clone());
            }));
            prop_assert_eq!(with(&a) == with(&b), a == b);
        }
    }
}
