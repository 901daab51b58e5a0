//! HubRise's optional fields: what each becomes, and what becomes of one that cannot be read.

use milepost::providers::HUBRISE;
use serde_json::{Value, json};

use crate::support::{published, sample, update};

const RESOURCE: &str = include_str!("../fixtures/hubrise/documented_delivery.json");

/// The sample that holds the document's own resource, changed by `change`.
fn callback(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&HUBRISE, "pickup_waiting");
    change(&mut body);
    body
}

/// Asserts that changing `new_state.<name>` to `value` leaves it in `extra`, counted.
#[track_caller]
fn assert_unreadable(name: &str, value: &Value, place: &str) {
    let (update, unreadable) = published(&HUBRISE, &callback(|body| body["new_state"][name] = value.clone()));
    assert_eq!(&update["extra"][format!("new_state.{name}")], value);
    assert_eq!(update.pointer(place), None, "{value}");
    assert_eq!(unreadable, 1, "{value}");
}

#[test]
fn undocumented_fields_are_kept() {
    let (update, unreadable) = published(
        &HUBRISE,
        &callback(|body| {
            body["connection_id"] = json!("c1");
            body["state_change"] = json!([1.5]);
            body["new_state"]["driver_pickup_url"] = json!("https://driver.example/1");
            body["new_state"]["vehicle"] = json!({"kind": "bike", "wheels": 2});
            body["previous_state"] = json!({"status": "pickup_enroute"});
        }),
    );
    let expected = json!({
        "resource_type": "delivery",
        "event_type": "update",
        "account_id": "3r4s3",
        "location_id": "3r4s3-1",
        "order_id": "5dpm9",
        "delivery_id": "ez351",
        "previous_state": {"status": "pickup_enroute"},
        "connection_id": "c1",
        "state_change": [1.5],
        "new_state.driver_pickup_url": "https://driver.example/1",
        "new_state.vehicle": {"kind": "bike", "wheels": 2},
        "new_state.pickup_at": null,
        "new_state.delivered_at": null,
        "new_state.cancelled_at": null,
    });
    assert_eq!((&update["extra"], unreadable), (&expected, 0));
}

#[test]
fn only_an_id_and_a_status_are_needed() {
    let expected = json!({
        "delivery_id": "ez351", "status": "created", "phase": "planned", "raw_status": "pending", "terminal": false,
    });
    let (mut bare, mut nulls) = (json!({"id": "ez351", "status": "pending"}), Value::Null);
    assert_eq!(published(&HUBRISE, &bare), (expected.clone(), 0));
    for nothing in [Value::Null, json!("")] {
        nulls = serde_json::from_str(RESOURCE).expect("JSON");
        for (name, value) in nulls.as_object_mut().expect("an object") {
            *value = bare.get(name).cloned().unwrap_or_else(|| nothing.clone());
        }
        let mut expected = expected.clone();
        if nothing.is_null() {
            let sent = nulls.as_object().expect("an object").clone();
            expected["extra"] = sent.into_iter().filter(|(_, value)| value.is_null()).collect();
        }
        assert_eq!(published(&HUBRISE, &nulls), (expected, 0), "{nulls}");
    }
    bare = json!({"resource_type": "delivery", "event_type": "create", "new_state": nulls});
    let mut wrapped = expected;
    wrapped["extra"] = json!({"resource_type": "delivery", "event_type": "create"});
    assert_eq!(published(&HUBRISE, &bare), (wrapped, 0));
}

#[test]
fn numbers_for_texts_and_texts_for_numbers_are_taken() {
    let body = r#"{"id":351,"status":"pending","order_id":5,"ref":1,"driver_phone":33612345678,
        "driver_phone_access_code":1234,"driver_latitude":48.8566140,"driver_longitude":2}"#;
    let decoded = update(&HUBRISE, body);
    let expected = json!({
        "delivery_id": "351", "status": "created", "phase": "planned", "raw_status": "pending", "terminal": false,
        "references": {"order": "5"}, "carrier": {"reference": "1"},
        "courier": {"phone": "33612345678", "phone_access_code": "1234"},
        "position": {"latitude": "48.8566140", "longitude": "2"},
    });
    assert_eq!(serde_json::to_value(&decoded.update).expect("JSON"), expected);
    assert_eq!(decoded.unreadable_fields, 0);
}

#[test]
fn an_unreadable_optional_field_is_kept_and_counted() {
    let places = [
        ("order_id", "/no_such_place"),
        ("carrier", "/carrier/name"),
        ("carrier_ref", "/carrier/code"),
        ("ref", "/carrier/reference"),
        ("fee", "/fee"),
        ("estimated_pickup_at", "/eta/pickup_at"),
        ("estimated_dropoff_at", "/eta/dropoff_at"),
        ("tracking_url", "/tracking_url"),
        ("driver_name", "/courier/name"),
        ("driver_phone", "/courier/phone"),
        ("driver_phone_access_code", "/courier/phone_access_code"),
        ("assigned_at", "/times/assigned_at"),
        ("pickup_at", "/times/pickup_at"),
        ("delivered_at", "/times/delivered_at"),
        ("cancelled_at", "/times/cancelled_at"),
    ];
    for (name, place) in places {
        for value in [json!(true), json!({"value": "x"}), json!(["x"])] {
            assert_unreadable(name, &value, place);
        }
    }
    let (update, unreadable) = published(
        &HUBRISE,
        &callback(|body| {
            body["id"] = json!(["x7k3d"]);
            body["created_at"] = json!("now");
        }),
    );
    assert_eq!((update.get("provider_event_id"), update.get("event_time"), unreadable), (None, None, 2));
    assert_eq!((&update["extra"]["id"], &update["extra"]["created_at"]), (&json!(["x7k3d"]), &json!("now")));
}

#[test]
fn a_fee_is_an_exact_amount_and_a_currency() {
    let money = |fee: &str| published(&HUBRISE, &callback(|body| body["new_state"]["fee"] = fee.into()));
    for (fee, amount, currency) in [
        ("4.50 EUR", "4.50", "EUR"),
        ("0.00 GBP", "0.00", "GBP"),
        ("1200 JPY", "1200", "JPY"),
        ("-1.00 EUR", "-1.00", "EUR"),
        ("123456789012345678901234.05 KWD", "123456789012345678901234.05", "KWD"),
        ("1e3 JPY", "1000", "JPY"),
    ] {
        let (update, unreadable) = money(fee);
        assert_eq!((&update["fee"], unreadable), (&json!({"amount": amount, "currency": currency}), 0));
    }
    for fee in [
        "4.50",
        "EUR",
        "4.50EUR",
        "EUR 4.50",
        "4,50 EUR",
        "4.50 eur",
        "4.50 EURO",
        "4.50  EUR",
        " 4.50 EUR",
        "4.50 EUR ",
        "4.50 €",
        "1e99 EUR",
        ". EUR",
        " EUR",
        "NaN EUR",
        "4.50 EÜ",
    ] {
        assert_unreadable("fee", &json!(fee), "/fee");
    }
    assert_unreadable("fee", &json!(4.5), "/fee");
}

#[test]
fn a_position_keeps_every_digit() {
    let at = |latitude: Value, longitude: Value| {
        published(
            &HUBRISE,
            &callback(|body| {
                body["new_state"]["driver_latitude"] = latitude;
                body["new_state"]["driver_longitude"] = longitude;
            }),
        )
    };
    for (latitude, longitude) in [
        ("48.856614", "2.3522219"),
        ("48.8566140000", "2.352220"),
        ("-90", "180.0"),
        ("0", "-0.00"),
        ("48.12345678901234567890", "2.98765432109876543210"),
    ] {
        let (update, unreadable) = at(json!(latitude), json!(longitude));
        assert_eq!(update["position"], json!({"latitude": latitude, "longitude": longitude}));
        assert_eq!(unreadable, 0);
    }
    let (update, _) = at(json!("4.8e1"), json!("-3.8e-05"));
    assert_eq!(update["position"], json!({"latitude": "48", "longitude": "-0.000038"}));
    for (latitude, longitude, counted) in [
        (json!("90.1"), json!("2.35"), 2),
        (json!("2.35"), json!("180.0000001"), 2),
        // Swapped ends on Earth as often as not: only what cannot be true is refused.
        (json!("139.69"), json!("35.68"), 2),
        (json!("48.85"), Value::Null, 1),
        (json!(""), json!("2.35"), 1),
        (json!("48,85"), json!("2,35"), 2),
        (json!("9.1e1"), json!("2.35"), 2),
        (json!(true), json!("2.35"), 2),
        (json!({"value": "48.85"}), json!(["2.35"]), 2),
        (json!("1".repeat(41)), json!("2.35"), 2),
    ] {
        let (update, unreadable) = at(latitude.clone(), longitude.clone());
        assert_eq!((update.get("position"), unreadable), (None, counted), "{latitude} {longitude}");
        for (name, value) in [("driver_latitude", latitude), ("driver_longitude", longitude)] {
            let kept = Some(&value).filter(|value| **value != json!(""));
            assert_eq!(update["extra"].get(format!("new_state.{name}")), kept);
        }
    }
}

#[test]
fn times_keep_the_locations_offset() {
    for (original, utc) in [
        ("2023-01-01T12:16:45+01:00", "2023-01-01T11:16:45Z"),
        ("2023-07-01T00:30:00+02:00", "2023-06-30T22:30:00Z"),
        // The hour that an autumn night has twice.
        ("2023-10-29T02:30:00+02:00", "2023-10-29T00:30:00Z"),
        ("2023-10-29T02:30:00+01:00", "2023-10-29T01:30:00Z"),
        ("2023-01-01T12:16:45.123456+05:45", "2023-01-01T06:31:45.123456Z"),
        ("2023-01-01T12:16:45-03:30", "2023-01-01T15:46:45Z"),
        ("2023-01-01T12:16:45Z", "2023-01-01T12:16:45Z"),
    ] {
        let (update, unreadable) = published(
            &HUBRISE,
            &callback(|body| {
                body["created_at"] = json!(original);
                body["new_state"]["pickup_at"] = json!(original);
                body["new_state"]["estimated_dropoff_at"] = json!(original);
            }),
        );
        let expected = json!({"utc": utc, "original": original});
        assert_eq!(update["event_time"], expected);
        assert_eq!(update["times"]["pickup_at"], expected);
        assert_eq!(update["eta"]["dropoff_at"], expected);
        assert_eq!(unreadable, 0);
    }
    // A location's zone is not known here.
    assert_unreadable("pickup_at", &json!("2023-01-01T12:16:45"), "/times/pickup_at");
    assert_unreadable("pickup_at", &json!("2023-13-01T12:16:45+01:00"), "/times/pickup_at");
}
