use milepost::domain::identity::{DeliveryKey, EventId, ReceiptId};
use milepost::domain::provider::Provider;
use milepost::domain::verdict::ParkReason;
use milepost::providers::EXPRESS_247;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{any_object_with, assert_parked, leaves, personal, published, sample, update};

/// The documented example, changed by `change`.
fn delivering(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&EXPRESS_247, "delivering");
    change(&mut body);
    body
}

fn without(name: &str) -> Value {
    delivering(|body| drop(body.as_object_mut().expect("an object").remove(name)))
}

fn fingerprint(body: &Value) -> String {
    format!("{:?}", update(&EXPRESS_247, &body.to_string()).identity.fingerprint)
}

#[test]
fn an_undocumented_status_is_published_as_unknown() {
    for raw in ["17", "025", "25 ", "DANGDIPHAT", "-25"] {
        let (update, _) = published(&EXPRESS_247, &delivering(|body| body["Status"] = raw.into()));
        assert_eq!(
            (&update["status"], &update["phase"], &update["raw_status"]),
            (&json!("unknown"), &json!("unknown"), &json!(raw))
        );
    }
}

/// The digests were computed apart, with Python's hashlib.
#[test]
fn the_documented_example_keeps_its_identity() {
    let decoded = update(&EXPRESS_247, &sample(&EXPRESS_247, "delivering").to_string());
    let transaction = "e07147ce-ebdb-47c6-ac96-959222494dbe";
    assert_eq!(decoded.identity.provider_event_id.as_deref(), Some(transaction));
    assert_eq!(
        format!("{:?}", decoded.identity.fingerprint),
        "8c785dc2efa2a64f71fed81a0501b6149d2bdbc229f70df0dae5e7091af9e569"
    );
    let delivery = DeliveryKey {
        provider: EXPRESS_247.id(),
        account: "default".parse().expect("an account"),
        delivery_id: decoded.update.delivery_id,
    };
    let anchor: ReceiptId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a receipt");
    let id = EventId::new(&delivery, &decoded.identity, anchor);
    assert_eq!(id.as_str(), "9af91aac9d61c5745f63587b22be0a65");
}

#[test]
fn the_fingerprint_is_over_what_happened() {
    let same = [
        delivering(|_| {}),
        delivering(|body| body["TransactionId"] = json!("another")),
        delivering(|body| body["StatusName"] = json!("DELIVERING")),
        delivering(|body| body["Description"] = Value::Null),
        delivering(|body| body["ApiKey"] = json!("")),
        delivering(|body| body["ExternalCode"] = json!("HD000004")),
        delivering(|body| body["Time"] = json!("2019-08-07T04:24:12.4946223Z")),
        delivering(|body| body["Time"] = json!("2019-08-07 11:24:12.4946223")),
        delivering(|body| body["RequestFeedbackCount"] = json!(-0.0)),
    ];
    for body in &same {
        assert_eq!(fingerprint(body), fingerprint(&same[0]), "{body}");
    }
    let mut different = vec![delivering(|_| {}), delivering(|body| body["OrderCode"] = json!("HD000004"))];
    different.push(delivering(|body| body["Status"] = json!("24")));
    different.push(delivering(|body| body["DeliveryDate"] = json!("2019-08-07 11:24:12")));
    different.push(delivering(|body| body["DeliveryDate"] = json!("2019-08-07 11:24:13")));
    different.push(delivering(|body| body["Time"] = json!("2019-08-07T11:24:12.4946224+07:00")));
    let rest = ["Time", "DelayCode", "DelayNotes", "DeliveryNotes", "RequestFeedbackCount", "Mailman"];
    for name in rest.into_iter().chain(["DeliveryDate", "ReceiverName"]) {
        different.push(without(name));
        different.push(delivering(|body| body[name] = json!("")));
        different.push(delivering(|body| body[name] = json!("other")));
    }
    for name in ["Time", "RequestFeedbackCount", "ReceiverName"] {
        different.push(delivering(|body| body[name] = Value::Null));
    }
    let fingerprints: std::collections::BTreeSet<_> = different.iter().map(fingerprint).collect();
    assert_eq!(fingerprints.len(), different.len());
}

#[test]
fn the_documents_own_example_is_no_json() {
    let example = include_bytes!("../fixtures/247express/documented_update_status.json");
    assert_parked(&EXPRESS_247, example, ParkReason::Malformed, "not one JSON object");
}

#[test]
fn only_order_and_status_are_required() {
    let expected = json!({
        "delivery_id": "HD000003", "status": "in_transit", "phase": "transit", "raw_status": "24", "terminal": false,
    });
    assert_eq!(published(&EXPRESS_247, &json!({"OrderCode": "HD000003", "Status": 24})), (expected, 0));
}

#[test]
fn an_unreadable_optional_field_is_kept_and_counted() {
    let body = json!({
        "OrderCode": "HD000003", "Status": "25", "Time": "noon", "DeliveryDate": 0, "Mailman": ["A"],
        "TransactionId": "x".repeat(257), "DelayCode": 7, "DelayNotes": "", "ReceiverName": true,
        "RequestFeedbackCount": "2", "Surprise": {"a": [1, null]}, "ApiKey": "",
    });
    let expected = json!({
        "delivery_id": "HD000003",
        "status": "dropoff_en_route",
        "phase": "dropoff",
        "raw_status": "25", "terminal": false,
        "reason": {"code": "7"},
        "extra": {
            "Time": "noon", "DeliveryDate": 0, "Mailman": ["A"], "TransactionId": "x".repeat(257),
            "ReceiverName": true, "RequestFeedbackCount": "2", "Surprise": {"a": [1, null]},
        },
    });
    assert_eq!(published(&EXPRESS_247, &body), (expected, 5));
}

#[test]
fn times_without_an_offset_are_vietnams() {
    let times = |time: Value, date: Value| {
        let (update, _) = published(
            &EXPRESS_247,
            &delivering(|body| {
                body["Time"] = time;
                body["DeliveryDate"] = date;
            }),
        );
        (update["event_time"]["utc"].clone(), update["times"]["DeliveryDate"]["utc"].clone())
    };
    let cases = [
        (json!("2019-08-07T11:24:12.4946223+07:00"), json!("2019-08-07T04:24:12.4946223Z")),
        (json!("2019-08-07T11:24:12.4946223"), json!("2019-08-07T04:24:12.4946223Z")),
        (json!("2019-08-07 11:24:12"), json!("2019-08-07T04:24:12Z")),
        (json!("2019-08-07T04:24:12Z"), json!("2019-08-07T04:24:12Z")),
        (json!(1_565_151_852), json!("2019-08-07T04:24:12Z")),
        (json!("1565151852000"), json!("2019-08-07T04:24:12Z")),
        (json!("2019-08-07"), Value::Null),
        (Value::Null, Value::Null),
    ];
    for (sent, utc) in cases {
        assert_eq!(times(sent.clone(), sent.clone()), (utc.clone(), utc), "{sent}");
    }
}

#[test]
fn a_personal_sample_is_a_delivery_of_its_own() {
    let begun = "2025-02-28T20:00:00.5Z";
    let body = personal(&EXPRESS_247, "delivered", 2, begun);
    assert_eq!(body["Time"], json!("2025-03-01T03:06:00.5000000+07:00"));
    assert_eq!(body["DeliveryDate"], json!("2025-03-01 03:06:00"));
    let code = body["OrderCode"].as_str().expect("text");
    assert!(
        (5..=20).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{code}"
    );
    assert_eq!((&body["ExternalCode"], &body["ReferenceCode"]), (&json!(code), &json!(code)));
    let transaction: uuid::Uuid = body["TransactionId"].as_str().expect("text").parse().expect("a uuid");
    assert_eq!(transaction.get_version_num(), 4);
    let body = personal(&EXPRESS_247, "delivering", 1, begun);
    assert_eq!((&body["DeliveryDate"], &body["OrderCode"]), (&Value::Null, &json!(code)));
    let again = personal(&EXPRESS_247, "delivering", 3, begun);
    assert_ne!(again["TransactionId"], body["TransactionId"]);
}

const NAMES: &[&str] = &[
    "OrderCode",
    "Status",
    "Time",
    "DeliveryDate",
    "TransactionId",
    "ApiKey",
    "ExternalCode",
    "ReferenceCode",
    "Mailman",
    "DelayCode",
    "DelayNotes",
    "DeliveryNotes",
    "ReceiverName",
    "StatusName",
    "Description",
    "RequestFeedbackCount",
];

proptest! {
    /// An order with any other fields is an update, and every value of it is in the update.
    #[test]
    fn optional_fields_never_cost_an_update(body in any_object_with(NAMES)) {
        let mut body = body;
        body["OrderCode"] = json!("HD000003");
        body["Status"] = json!(25);
        body["ApiKey"] = Value::Null;
        let (update, _) = published(&EXPRESS_247, &body);
        let (sent, kept) = (leaves(&body), leaves(&update));
        for (value, count) in sent.iter().filter(|(value, _)| !value.is_empty()) {
            prop_assert!(kept.get(value) >= Some(count), "{value:?} of {body} is not in {update}");
        }
    }
}
