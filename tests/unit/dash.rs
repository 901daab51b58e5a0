use milepost::domain::provider::Provider;
use milepost::domain::verdict::ParkReason;
use milepost::providers::DASH;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{any_json, any_object_with, assert_parked, leaves, published, sample, update};

/// A documented payload, changed by `change`.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&DASH, name);
    change(&mut body);
    body
}

fn failed(change: impl FnOnce(&mut Value)) -> Value {
    changed("express_failed", change)
}

/// What remains required.
fn bare(status: &str) -> Value {
    json!({"deliveryID": "DE-1", "status": status})
}

/// Design section 3, the table's Dash column. `PENDING_DELIVERY` is the one word with two meanings.
#[test]
fn documented_statuses_map_one_to_one() {
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
        let expected = json!({"delivery_id": "DE-1", "status": status, "phase": phase, "raw_status": raw});
        assert_eq!(published(&DASH, &bare(raw)), (expected, 0));
        // What makes a PENDING_DELIVERY another status makes no other.
        let (express, _) = published(
            &DASH,
            &json!({"deliveryID": "DE-1", "status": raw, "trackingURL": "https://t.example/1"}),
        );
        let expected = if raw == "PENDING_DELIVERY" { "picked_up" } else { status };
        assert_eq!((&express["status"], &express["raw_status"]), (&json!(expected), &json!(raw)));
    }
    let statuses: std::collections::BTreeSet<_> = table.iter().map(|row| row.2).collect();
    assert_eq!(statuses.len(), table.len());
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
fn a_status_nobody_documented_is_published_as_unknown() {
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
fn an_update_without_delivery_or_status_is_parked() {
    let park = |body: &Value, detail| {
        assert_parked(&DASH, body.to_string().as_bytes(), ParkReason::MissingField, detail);
    };
    for name in ["deliveryID", "status"] {
        park(&failed(|body| drop(body.as_object_mut().expect("an object").remove(name))), name);
        for nothing in [Value::Null, json!(""), json!({}), json!(["DE-1"]), json!(false)] {
            park(&failed(|body| body[name] = nothing), name);
        }
    }
    park(&failed(|body| body["deliveryID"] = json!("x".repeat(257))), "deliveryID");
    park(&json!({}), "deliveryID");
    assert_parked(
        &DASH,
        br#"{"deliveryID":"\ud800","status":"FAILED"}"#,
        ParkReason::MissingField,
        "deliveryID",
    );
}

#[test]
fn what_is_not_one_shallow_object_is_parked() {
    let malformed = |body: &[u8], detail| assert_parked(&DASH, body, ParkReason::Malformed, detail);
    let whole = sample(&DASH, "express_failed").to_string();
    for cut in 0..whole.len() {
        malformed(&whole.as_bytes()[..cut], "not one JSON object");
    }
    malformed(format!("\u{feff}{whole}").as_bytes(), "not one JSON object");
    malformed(format!("[{whole}]").as_bytes(), "not one JSON object");
    malformed(format!("{whole}{whole}").as_bytes(), "not one JSON object");
    malformed(whole.replace('}', ",}").as_bytes(), "not one JSON object");
    malformed(b"{\"deliveryID\":\"DE-\xff\",\"status\":\"FAILED\"}", "not one JSON object");
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(40), close.repeat(40));
        malformed(format!("{{\"packages\":{deep}}}").as_bytes(), "nested too deeply");
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
    assert_eq!(decoded.update.extra["courier"].get(), r#"{"name":"A","name":"B"}"#);
    assert_eq!(decoded.update.extra["packages.0"].get(), r#"{"name":"C","name":"D"}"#);
    let packages = serde_json::to_value(&decoded.update.packages).expect("JSON");
    assert_eq!(packages, json!([{}, {"name": "E"}]));
}

#[test]
fn wrong_types_are_kept_and_counted() {
    let body = json!({
        "deliveryID": 7, "status": "FAILED", "providerOrderID": {"id": 1}, "failedCount": 1.5,
        "courier": "Agus", "trackingURL": false, "weight": "heavy", "sender": [], "recipient": 5,
        "origin": {"address": {"street": "Cipete"}, "coordinates": [106.8, -6.27]},
        "destination": {"address": 12, "coordinates": {"latitude": "south", "longitude": 106.8}},
        "packages": {"name": "Helm"}, "media": "none", "quote": {"amount": "1e3"},
        "failedReason": ["a"], "failedAt": "yesterday", "createdAt": {}, "updatedAt": true,
    });
    let expected = json!({
        "delivery_id": "7",
        "status": "failed",
        "phase": "closed",
        "raw_status": "FAILED",
        "destination": {"address": "12"},
        "extra": {
            "providerOrderID": {"id": 1}, "failedCount": 1.5, "courier": "Agus", "trackingURL": false,
            "weight": "heavy", "sender": [], "recipient": 5, "origin.address": {"street": "Cipete"},
            "origin.coordinates": [106.8, -6.27], "destination.coordinates.latitude": "south",
            "destination.coordinates.longitude": 106.8, "packages": {"name": "Helm"}, "media": "none",
            "quote.amount": "1e3", "failedReason": ["a"], "failedAt": "yesterday", "createdAt": {},
            "updatedAt": true,
        },
    });
    assert_eq!(published(&DASH, &body), (expected, 18));
}

#[test]
fn numbers_in_text_and_texts_as_numbers_are_taken() {
    let body = json!({
        "deliveryID": "DE-1", "status": "FAILED", "providerOrderID": 12, "failedCount": "2",
        "courier": {"name": 5, "phone": 628_777}, "weight": "24.80",
        "origin": {"coordinates": {"latitude": "-6.2770", "longitude": "106.80"}},
        "packages": [{"name": 1, "quantity": "2", "price": "23000", "weight": "0.50"}],
        "quote": {"amount": "21000"}, "failedAt": 1_735_309_138_750_u64,
    });
    let expected = json!({
        "delivery_id": "DE-1",
        "references": {"merchant_order": "12"},
        "status": "failed",
        "phase": "closed",
        "raw_status": "FAILED",
        "event_time": {"utc": "2024-12-27T14:18:58.75Z", "original": "1735309138750"},
        "failed_count": 2,
        "courier": {"name": "5", "phone": "628777"},
        "origin": {"position": {"latitude": "-6.2770", "longitude": "106.80"}},
        "packages": [{"name": "1", "quantity": "2", "price": "23000", "weight_kg": "0.50"}],
        "weight_kg": "24.80",
        "fee": {"amount": "21000", "currency": "IDR"},
    });
    assert_eq!(published(&DASH, &body), (expected, 0));
}

#[test]
fn numbers_stay_exact() {
    let body = r#"{"deliveryID":"DE-1","status":"FAILED","weight":24.80000000000000000001,
        "origin":{"coordinates":{"latitude":-6.42879250000000000001,"longitude":106.10}},
        "packages":[{"price":12345678901234567890.10,"height":1e2}]}"#;
    let update = update(&DASH, body).update;
    let update = serde_json::to_value(&update).expect("JSON");
    assert_eq!(update["weight_kg"], json!("24.80000000000000000001"));
    assert_eq!(
        update["origin"]["position"],
        json!({"latitude": "-6.42879250000000000001", "longitude": "106.10"})
    );
    assert_eq!(update["packages"], json!([{"price": "12345678901234567890.10"}]));
}

#[test]
fn what_is_no_place_on_earth_is_no_position() {
    let origin = |coordinates: Value| {
        let mut body = bare("FAILED");
        body["origin"] = json!({"address": "Cipete", "coordinates": coordinates});
        let (update, unreadable) = published(&DASH, &body);
        (update["origin"].get("position").cloned(), update["extra"].clone(), unreadable)
    };
    // Swapped: a latitude of 106 is none.
    assert_eq!(
        origin(json!({"latitude": 106.8, "longitude": -6.2})),
        (None, json!({"origin.coordinates.latitude": 106.8, "origin.coordinates.longitude": -6.2}), 2)
    );
    assert_eq!(
        origin(json!({"latitude": -6.2, "longitude": 180.000_001})),
        (None, json!({"origin.coordinates.latitude": -6.2, "origin.coordinates.longitude": 180.000_001}), 2)
    );
    assert_eq!(
        origin(json!({"latitude": -6.2, "longitude": null})),
        (None, json!({"origin.coordinates.latitude": -6.2}), 1)
    );
    assert_eq!(origin(json!({"latitude": null})), (None, Value::Null, 0));
    assert_eq!(origin(Value::Null), (None, Value::Null, 0));
    assert_eq!(
        origin(json!({"latitude": -90, "longitude": 180, "accuracy": 5})),
        (Some(json!({"latitude": "-90", "longitude": "180"})), json!({"origin.coordinates.accuracy": 5}), 0)
    );
}

#[test]
fn unknown_fields_are_kept_by_their_path() {
    let (update, unreadable) = published(
        &DASH,
        &failed(|body| {
            body["surprise"] = json!({"a": [1, null]});
            body["courier"]["vehicle"] = json!("bike");
            body["courier.vehicle"] = json!("car");
            body["sender"]["email"] = json!("budi@ss.com");
            body["sender"]["floor"] = json!(2);
            body["recipient"]["note"] = Value::Null;
            body["origin"]["zone"] = json!("south");
            body["packages"][0]["colour"] = json!("red");
            body["packages"].as_array_mut().expect("a list").push(json!({"colour": "blue"}));
            body["media"][1]["by"] = json!("Agus");
            body["quote"]["tip"] = json!(1000);
        }),
    );
    assert_eq!(update["sender"]["email"], json!("budi@ss.com"));
    assert_eq!(update["packages"][1], json!({}));
    assert_eq!(
        update["extra"],
        json!({
            "surprise": {"a": [1, null]}, "courier.vehicle": "bike", "courier.vehicle_": "car", "sender.floor": 2,
            "recipient.note": null, "origin.zone": "south", "packages.0.colour": "red",
            "packages.1.colour": "blue", "media.1.by": "Agus", "quote.tip": 1000,
        })
    );
    assert_eq!(unreadable, 0);
}

#[test]
fn items_keep_their_places() {
    let mut body = bare("FAILED");
    body["packages"] = json!([null, "a box", {}, {"name": "Helm"}]);
    body["media"] = json!([[1], {"url": "u", "type": "t", "createdAt": "soon"}]);
    let expected = json!({
        "delivery_id": "DE-1",
        "status": "failed",
        "phase": "closed",
        "raw_status": "FAILED",
        "packages": [{}, {}, {}, {"name": "Helm"}],
        "proof": [{}, {"url": "u", "kind": "t"}],
        "extra": {"packages.1": "a box", "media.0": [1], "media.1.createdAt": "soon"},
    });
    assert_eq!(published(&DASH, &body), (expected, 3));
}

#[test]
fn null_and_empty_say_nothing() {
    let names = [
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
    let expected =
        json!({"delivery_id": "DE-1", "status": "failed", "phase": "closed", "raw_status": "FAILED"});
    let mut body = bare("FAILED");
    for name in names {
        body[name] = Value::Null;
    }
    assert_eq!(published(&DASH, &body), (expected.clone(), 0));
    for name in ["courier", "sender", "recipient", "origin", "destination", "quote"] {
        body[name] = json!({});
    }
    for name in ["packages", "media"] {
        body[name] = json!([]);
    }
    for name in ["trackingURL", "failedReason", "failedAt", "providerOrderID"] {
        body[name] = json!("");
    }
    assert_eq!(published(&DASH, &body), (expected, 0));
}

#[test]
fn the_event_time_is_updated_at_or_else_the_status_own() {
    let own = [
        ("PENDING_DELIVERY", Some("pickupAt")),
        ("IN_DELIVERY", Some("pickupAt")),
        ("COMPLETED", Some("completedAt")),
        ("FAILED", Some("failedAt")),
        ("CANCELLED", Some("cancelledAt")),
        ("PENDING_PICKUP", None),
        ("QUEUEING", None),
        ("NOBODY_KNOWS", None),
    ];
    let names = ["pickupAt", "completedAt", "failedAt", "cancelledAt", "createdAt"];
    for (status, own) in own {
        let mut body = bare(status);
        for (hour, name) in names.into_iter().enumerate() {
            body[name] = json!(format!("2025-01-01T0{hour}:00:00+07:00"));
        }
        let (update, _) = published(&DASH, &body);
        let original = own.map(|name| body[name].clone());
        assert_eq!(update.get("event_time").map(|time| time["original"].clone()), original, "{status}");
        let rest: Vec<_> = names.into_iter().filter(|name| Some(*name) != own).collect();
        let mut kept: Vec<_> = update["times"].as_object().expect("times").keys().cloned().collect();
        kept.sort_by_key(|name| names.iter().position(|known| known == name));
        assert_eq!(kept, rest, "{status}");

        body["updatedAt"] = json!("2025-01-01T09:00:00.5Z");
        let (update, _) = published(&DASH, &body);
        let at = json!({"utc": "2025-01-01T09:00:00.5Z", "original": "2025-01-01T09:00:00.5Z"});
        assert_eq!(update["event_time"], at);
        assert_eq!(update["times"].as_object().map(serde_json::Map::len), Some(5), "{status}");
    }
}

#[test]
fn the_reason_is_of_the_status_and_another_one_is_kept() {
    let reason = |status: &str, failed: Value, cancelled: Value| {
        let mut body = bare(status);
        body["failedReason"] = failed;
        body["cancelledReason"] = cancelled;
        let (update, unreadable) = published(&DASH, &body);
        (update["reason"]["text"].clone(), update["extra"].clone(), unreadable)
    };
    let none = Value::Null;
    assert_eq!(reason("FAILED", json!("F"), json!(null)), (json!("F"), none.clone(), 0));
    assert_eq!(reason("FAILED", json!("F"), json!("C")), (json!("F"), json!({"cancelledReason": "C"}), 0));
    assert_eq!(reason("FAILED", json!(null), json!("C")), (json!("C"), none.clone(), 0));
    assert_eq!(reason("CANCELLED", json!("F"), json!("C")), (json!("C"), json!({"failedReason": "F"}), 0));
    assert_eq!(reason("CANCELLED", json!(null), json!("C")), (json!("C"), none.clone(), 0));
    assert_eq!(reason("CANCELLED", json!("F"), json!(null)), (json!("F"), none, 0));
    assert_eq!(reason("FAILED", json!("F"), json!([1])), (json!("F"), json!({"cancelledReason": [1]}), 0));
}

#[test]
fn a_personal_sample_is_a_delivery_of_its_own() {
    let time = "2025-03-01T00:00:00.5Z".parse().expect("a time");
    let mut body = sample(&DASH, "express_cancelled");
    DASH.personalize(&mut body, "ab12", 7, time);
    assert_eq!((&body["deliveryID"], &body["providerOrderID"]), (&json!("DE-ab12-7"), &json!("AWB-ab12-7")));
    assert_eq!(body["cancelledAt"], json!("2025-03-01T00:00:00.500Z"));
    assert_eq!(body["createdAt"], json!("2025-03-01T00:00:00.500Z"));
    assert_eq!(body.get("pickupAt"), Some(&Value::Null));
    assert_eq!(body.get("updatedAt"), None);
    let mut body = sample(&DASH, "express_completed");
    DASH.personalize(&mut body, "ab12", 7, time);
    assert_eq!(body["media"][1]["createdAt"], json!("2025-03-01T00:00:00.500Z"));
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
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = DASH.decode(&bytes);
    }

    #[test]
    fn no_json_panics(body in any_json(), fields in any_object_with(NAMES)) {
        let _ = DASH.decode(body.to_string().as_bytes());
        let _ = DASH.decode(fields.to_string().as_bytes());
    }

    /// Whatever else a delivery has, it is an update, and every value of it is in the update.
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
