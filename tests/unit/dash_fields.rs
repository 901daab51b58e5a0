//! Where each of Dash's fields goes, and what becomes of one that cannot be read.

use milepost::providers::DASH;
use serde_json::{Value, json};

use crate::dash::{bare, failed};
use crate::support::{personal, published, update};

#[test]
fn wrong_types_are_kept_and_counted() {
    let body = json!({
        "deliveryID": 7, "status": "FAILED", "providerOrderID": {"id": 1}, "failedCount": 1.5,
        "courier": "Agus", "trackingURL": false, "weight": "heavy", "sender": [], "recipient": 5,
        "origin": {"address": {"street": "Cipete"}, "coordinates": [106.8, -6.27]},
        "destination": {"address": 12, "coordinates": {"latitude": "south", "longitude": 106.8}},
        "packages": {"name": "Helm"}, "media": "none", "quote": {"amount": "1e"},
        "failedReason": ["a"], "failedAt": "yesterday", "createdAt": {}, "updatedAt": true,
    });
    let expected = json!({
        "delivery_id": "7",
        "status": "failed",
        "phase": "closed",
        "raw_status": "FAILED", "terminal": false, "service": "logistic",
        "destination": {"address": "12"},
        "extra": {
            "providerOrderID": {"id": 1}, "failedCount": 1.5, "courier": "Agus", "trackingURL": false,
            "weight": "heavy", "sender": [], "recipient": 5, "origin.address": {"street": "Cipete"},
            "origin.coordinates": [106.8, -6.27], "destination.coordinates.latitude": "south",
            "destination.coordinates.longitude": 106.8, "packages": {"name": "Helm"}, "media": "none",
            "quote.amount": "1e", "failedReason": ["a"], "failedAt": "yesterday", "createdAt": {},
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
        "raw_status": "FAILED", "terminal": false, "service": "logistic",
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
    assert_eq!(update["packages"], json!([{"price": "12345678901234567890.10", "height": "100"}]));
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
        (None, json!({"origin.coordinates.latitude": -6.2, "origin.coordinates.longitude": null}), 1)
    );
    assert_eq!(origin(json!({"latitude": null})), (None, json!({"origin.coordinates.latitude": null}), 0));
    assert_eq!(origin(Value::Null), (None, json!({"origin.coordinates": null}), 0));
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
            "recipient.note": null, "recipient.actualRecipientName": null, "origin.zone": "south", "packages.0.colour": "red",
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
        "raw_status": "FAILED", "terminal": false, "service": "logistic",
        "packages": [{}, {}, {}, {"name": "Helm"}],
        "proof": [{}, {"url": "u", "kind": "t"}],
        "extra": {"packages.1": "a box", "media.0": [1], "media.1.createdAt": "soon"},
    });
    assert_eq!(published(&DASH, &body), (expected, 3));
}

#[test]
fn null_fields_are_kept_in_extra_and_empty_fields_are_left_out() {
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
    let expected = json!({"delivery_id": "DE-1", "status": "failed", "phase": "closed", "raw_status": "FAILED", "terminal": false, "service": "logistic"});
    let mut body = bare("FAILED");
    for name in names {
        body[name] = Value::Null;
    }
    let mut nulls = expected.clone();
    nulls["extra"] = names.into_iter().map(|name| (name.to_owned(), Value::Null)).collect();
    assert_eq!(published(&DASH, &body), (nulls, 0));
    for name in names {
        body[name] = json!("");
    }
    for name in ["courier", "sender", "recipient", "origin", "destination", "quote"] {
        body[name] = json!({});
    }
    for name in ["packages", "media"] {
        body[name] = json!([]);
    }
    for name in ["failedCount", "weight"] {
        body.as_object_mut().expect("an object").remove(name);
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
        ("UNDOCUMENTED", None),
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
    assert_eq!(reason("FAILED", json!("F"), json!(null)), (json!("F"), json!({"cancelledReason": null}), 0));
    assert_eq!(reason("FAILED", json!("F"), json!("C")), (json!("F"), json!({"cancelledReason": "C"}), 0));
    assert_eq!(reason("FAILED", json!(null), json!("C")), (json!("C"), json!({"failedReason": null}), 0));
    assert_eq!(reason("CANCELLED", json!("F"), json!("C")), (json!("C"), json!({"failedReason": "F"}), 0));
    assert_eq!(reason("CANCELLED", json!(null), json!("C")), (json!("C"), json!({"failedReason": null}), 0));
    assert_eq!(
        reason("CANCELLED", json!("F"), json!(null)),
        (json!("F"), json!({"cancelledReason": null}), 0)
    );
    assert_eq!(reason("FAILED", json!("F"), json!([1])), (json!("F"), json!({"cancelledReason": [1]}), 0));
}

#[test]
fn a_personal_sample_is_a_delivery_of_its_own() {
    let begun = "2025-03-01T00:00:00.5Z";
    let body = personal(&DASH, "express_cancelled", 3, begun);
    assert_eq!((&body["deliveryID"], &body["providerOrderID"]), (&json!("DE-ab12-7"), &json!("AWB-ab12-7")));
    assert_eq!(body["createdAt"], json!("2025-03-01T00:00:00.500Z"));
    assert_eq!(body["cancelledAt"], json!("2025-03-01T00:09:00.500Z"));
    assert_eq!(body.get("pickupAt"), Some(&Value::Null));
    assert_eq!(body.get("updatedAt"), None);
    // Every step after the pickup tells of the same one.
    let pending = personal(&DASH, "express_pending_delivery", 4, begun);
    let under_way = personal(&DASH, "express_in_delivery", 5, begun);
    let body = personal(&DASH, "express_completed", 6, begun);
    let pickups =
        [&pending["pickupAt"], &under_way["pickupAt"], &body["pickupAt"], &body["media"][0]["createdAt"]];
    for picked_up in pickups {
        assert_eq!(*picked_up, json!("2025-03-01T00:12:00.500Z"));
    }
    for delivered in [&body["completedAt"], &body["media"][1]["createdAt"]] {
        assert_eq!(*delivered, json!("2025-03-01T00:18:00.500Z"));
    }
}
