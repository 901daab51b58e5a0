//! Which update, if any, Dash's bodies become.

use milepost::domain::verdict::ParkReason;
use milepost::providers::DASH;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{any_object_with, assert_parked, leaves, published, sample, update};

/// The documented example of a delivery that failed, changed by `change`.
pub fn failed(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&DASH, "express_failed");
    change(&mut body);
    body
}

/// What is required, alone.
pub fn bare(status: &str) -> Value {
    json!({"deliveryID": "DE-1", "status": status})
}

/// Which service it is, and whether more is to come; the statuses alone are in `hostile/statuses.rs`.
#[test]
fn a_status_tells_the_service_and_the_end() {
    let table = [
        ("QUEUEING", "planned", "scheduled"),
        ("PREPARING", "planned", "preparing"),
        ("VERIFIED", "planned", "verified"),
        ("ALLOCATING", "planned", "allocating"),
        ("PENDING_PICKUP", "pickup", "assigned"),
        ("PICKING_UP", "pickup", "pickup_en_route"),
        ("PENDING_DELIVERY", "transit", "staged_for_delivery"),
        ("IN_DELIVERY", "dropoff", "dropoff_en_route"),
        ("NOT_VERIFIED", "exception", "on_hold"),
        ("COMPLETED", "closed", "delivered"),
        ("FAILED", "closed", "failed"),
        ("CANCELLED", "closed", "cancelled"),
    ];
    for (raw, phase, status) in table {
        // Theirs alone, or, without what only EXPRESS has, a LOGISTIC one's; and that one may fail more than once.
        let express = ["QUEUEING", "ALLOCATING", "PENDING_PICKUP", "PICKING_UP", "CANCELLED"].contains(&raw);
        let expected = json!({
            "delivery_id": "DE-1", "status": status, "phase": phase, "raw_status": raw,
            "terminal": (raw == "COMPLETED" || raw == "CANCELLED"),
            "service": if express { "express" } else { "logistic" },
        });
        assert_eq!(published(&DASH, &bare(raw)), (expected, 0));
        // What makes a PENDING_DELIVERY another status makes no other.
        let (express, _) = published(
            &DASH,
            &json!({"deliveryID": "DE-1", "status": raw, "trackingURL": "https://t.example/1"}),
        );
        let service =
            if ["PREPARING", "VERIFIED", "NOT_VERIFIED"].contains(&raw) { "logistic" } else { "express" };
        let terminal = ["COMPLETED", "CANCELLED", "FAILED"].contains(&raw);
        assert_eq!((&express["service"], &express["terminal"]), (&json!(service), &json!(terminal)), "{raw}");
        let expected = if raw == "PENDING_DELIVERY" { "picked_up" } else { status };
        assert_eq!((&express["status"], &express["raw_status"]), (&json!(expected), &json!(raw)));
    }
}

/// The service is in the payload alone: LOGISTIC has no tracking page and no PICKUP_PROOF.
#[test]
fn pending_delivery_is_picked_up_by_express_and_staged_by_logistic() {
    let status = |more: Value| {
        let mut body = bare("PENDING_DELIVERY");
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        published(&DASH, &body).0["status"].clone()
    };
    for express in [
        json!({"trackingURL": "https://t.example/1"}),
        json!({"media": [{"type": "PICKUP_PROOF"}]}),
        json!({"media": [7, {"type": "FAILED_PROOF"}, {"type": "PICKUP_PROOF", "url": null}]}),
        json!({"trackingURL": null, "media": [{"type": "PICKUP_PROOF"}]}),
    ] {
        assert_eq!(status(express.clone()), json!("picked_up"), "{express}");
    }
    for logistic in [
        json!({}),
        json!({"trackingURL": null, "media": null}),
        json!({"trackingURL": "", "media": []}),
        json!({"media": [{"type": "DELIVERY_PROOF"}, {"type": "FAILED_PROOF"}]}),
        json!({"media": [{"type": "pickup_proof"}, "PICKUP_PROOF", {"url": "PICKUP_PROOF"}]}),
        json!({"media": {"type": "PICKUP_PROOF"}}),
    ] {
        assert_eq!(status(logistic.clone()), json!("staged_for_delivery"), "{logistic}");
    }
}

#[test]
fn an_undocumented_status_is_published_as_unknown() {
    for raw in ["RETURNING", "failed", "FAILED ", "7", "Đang giao"] {
        let (update, unreadable) = published(&DASH, &failed(|body| body["status"] = raw.into()));
        assert_eq!(
            (&update["status"], &update["phase"], &update["raw_status"], unreadable),
            (&json!("unknown"), &json!("unknown"), &json!(raw), 0)
        );
        // None of the times is known to be this status's.
        assert_eq!(update.get("event_time"), None);
        assert_eq!(update["times"]["failedAt"]["original"], json!("2024-12-27T14:18:58.750Z"));
    }
}

#[test]
fn one_name_with_two_values_is_a_contradiction_where_it_matters() {
    let twice = br#"{"deliveryID":"DE-1","status":"FAILED","status":"COMPLETED"}"#;
    assert_parked(&DASH, twice, ParkReason::Contradiction, "one name with two values");
    let same = r#"{"deliveryID":"DE-1","status":"FAILED","status":"FAILED"}"#;
    assert_eq!(update(&DASH, same).update.raw_status, "FAILED");
    // In an optional part it costs that part alone, which is kept whole.
    let optional = r#"{"deliveryID":"DE-1","status":"FAILED","courier":{"name":"A","name":"B"},
        "packages":[{"name":"C","name":"D"},{"name":"E"}]}"#;
    let decoded = update(&DASH, optional);
    assert_eq!(decoded.unreadable_fields, 2);
    let extra = serde_json::to_value(&decoded.update.extra).expect("JSON");
    assert_eq!(extra["extra"]["courier"], json!(r#"{"name":"A","name":"B"}"#));
    assert_eq!(extra["extra"]["packages.0"], json!(r#"{"name":"C","name":"D"}"#));
    assert_eq!(extra["extra_as_text"], json!(["courier", "packages.0"]));
    let packages = serde_json::to_value(&decoded.update.packages).expect("JSON");
    assert_eq!(packages, json!([{}, {"name": "E"}]));
}

const NAMES: &[&str] = &[
    "deliveryID",
    "status",
    "providerOrderID",
    "failedCount",
    "courier",
    "trackingURL",
    "weight",
    "sender",
    "recipient",
    "origin",
    "destination",
    "packages",
    "media",
    "quote",
    "createdAt",
    "updatedAt",
    "pickupAt",
    "completedAt",
    "failedAt",
    "failedReason",
    "cancelledAt",
    "cancelledReason",
];
const NESTED: &[&str] = &[
    "name",
    "phone",
    "firstName",
    "lastName",
    "companyName",
    "email",
    "actualRecipientName",
    "address",
    "coordinates",
    "latitude",
    "longitude",
    "amount",
    "url",
    "type",
    "createdAt",
    "description",
    "quantity",
    "price",
    "weight",
    "width",
    "length",
    "height",
];

proptest! {
    /// A delivery with any other fields is an update, and every value of it is in the update.
    #[test]
    fn optional_fields_never_cost_an_update(
        fields in any_object_with(NAMES),
        objects in prop::collection::btree_map(prop::sample::select(NAMES), any_object_with(NESTED), 0..6),
        packages in prop::collection::vec(any_object_with(NESTED), 0..3),
        coordinates in any_object_with(NESTED),
        nested in any::<bool>(),
    ) {
        let mut body = fields;
        for (name, object) in objects {
            body[name] = object;
        }
        if nested {
            body["packages"] = json!(packages);
            body["origin"] = json!({"coordinates": coordinates});
        }
        body["deliveryID"] = json!("DE-1");
        body["status"] = json!("IN_DELIVERY");
        let (update, _) = published(&DASH, &body);
        let (sent, kept) = (leaves(&body), leaves(&update));
        for (value, count) in sent.iter().filter(|(value, _)| !value.is_empty()) {
            prop_assert!(kept.get(value) >= Some(count), "{value:?} of {body} is not in {update}");
        }
    }
}
