//! Deliverect's courier updates: what each field becomes, and what makes two of them one event.

use std::collections::BTreeSet;
use std::time::Duration;

use milepost::domain::identity::{DeliveryKey, EventId, ReceiptId};
use milepost::domain::provider::Provider;
use milepost::domain::verdict::ParkReason;
use milepost::providers::DELIVERECT;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{any_object_with, assert_parked, leaves, personal, published, sample, update};

/// The sample with every field but `multipleDrivers`, changed by `change`.
fn en_route(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&DELIVERECT, "en_route_to_pickup");
    change(&mut body);
    body
}

fn with(name: &str, value: Value) -> Value {
    en_route(|body| body[name] = value)
}

fn without(name: &str) -> Value {
    en_route(|body| drop(body.as_object_mut().expect("an object").remove(name)))
}

fn fingerprint(body: &str) -> String {
    format!("{:?}", update(&DELIVERECT, body).identity.fingerprint)
}

/// The least that is an update, with one more field.
fn least_with(name: &str, value: Value) -> Value {
    let mut body = json!({"orderId": "651142e93c54c5405b1f26a3", "status": 80});
    body[name] = value;
    body
}

#[test]
fn a_resend_is_one_within_a_minute() {
    assert_eq!(DELIVERECT.resend_horizon(), Duration::from_secs(60));
}

#[test]
fn an_undocumented_status_is_published_as_unknown() {
    let rows = [
        (json!(82), "82"),
        (json!(-80), "-80"),
        (json!("080"), "080"),
        (json!("80 "), "80 "),
        (json!("DELIVERED"), "DELIVERED"),
        (json!(u64::MAX), "18446744073709551615"),
    ];
    for (raw, digits) in rows {
        let (update, unreadable) = published(&DELIVERECT, &with("status", raw));
        assert_eq!(
            (&update["status"], &update["phase"], &update["raw_status"], unreadable),
            (&json!("unknown"), &json!("unknown"), &json!(digits), 0)
        );
    }
}

/// The digests were computed apart, with Python's hashlib.
#[test]
fn a_sample_keeps_its_identity() {
    let decoded = update(&DELIVERECT, &sample(&DELIVERECT, "en_route_to_pickup").to_string());
    assert_eq!(decoded.identity.provider_event_id, None);
    assert_eq!(
        format!("{:?}", decoded.identity.fingerprint),
        "27d9381f027626c6e13736701be8b5a765017cbf9304252622a54d04d496b730"
    );
    let delivery = DeliveryKey {
        provider: DELIVERECT.id(),
        account: "default".parse().expect("an account"),
        delivery_id: decoded.update.delivery_id,
    };
    let anchor: ReceiptId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a receipt");
    let id = EventId::new(&delivery, &decoded.identity, anchor);
    assert_eq!(id.as_str(), "3cf91a313f4294c6c16225fed01cc25f");
}

#[test]
fn the_fingerprint_is_over_content_however_it_is_written() {
    let original = fingerprint(&en_route(|_| {}).to_string());
    let same = [
        with("somethingNew", json!({"a": 1})),
        with("updatedAt", json!("2023-09-25T08:00:00Z")),
        with("pickupTime", json!("2023-09-25T08:22:30.25Z")),
        with("pickupTime", json!("2023-09-25T10:22:30.250+02:00")),
        with("deliveryTime", json!("2023-09-25T08:38:10.125")),
    ];
    for body in &same {
        assert_eq!(fingerprint(&body.to_string()), original, "{body}");
    }
    let reordered = r#" {
        "trackingURL" : "https:\/\/track.example.com\/d\/9f3k2",
        "status": 8.3e1, "dispatchPartner":"Stuart",
        "coordinates": {"coordinates":[-4.2942590, 5578.8739E-2]},
        "courierId":"64f0c2a1b7","courierName":"\u0041ilsa Reid",
        "deliveryTime":"2023-09-25T08:38:10.125000Z","pickupTime":"2023-09-25T08:22:30.250000Z",
        "channelOrderId":"T8451128","orderId":"651142e93c54c5405b1f26a3"
    }"#;
    assert_eq!(fingerprint(reordered), original);
}

const LISTED: [&str; 11] = [
    "orderId",
    "channelOrderId",
    "status",
    "pickupTime",
    "deliveryTime",
    "courierId",
    "courierName",
    "coordinates",
    "dispatchPartner",
    "multipleDrivers",
    "trackingURL",
];

#[test]
fn the_fingerprint_differs_with_every_listed_field() {
    let mut different = vec![en_route(|_| {})];
    for name in LISTED {
        different.push(with(name, json!("7")));
        if !["orderId", "status"].contains(&name) {
            different.push(with(name, json!("")));
            different.push(with(name, Value::Null));
        }
        if !["orderId", "status", "multipleDrivers"].contains(&name) {
            different.push(without(name));
        }
    }
    different.push(with("status", json!(7)));
    different.push(with("multipleDrivers", json!(true)));
    different.push(with("multipleDrivers", json!(false)));
    different.push(with("pickupTime", json!("2023-09-25T08:22:30.250001Z")));
    different.push(with("deliveryTime", json!("2023-09-25T08:38:10.125001Z")));
    different.push(with("coordinates", json!({"coordinates": [55.788_739, -4.294_259]})));
    different.push(with("coordinates", json!({"coordinates": [-4.294_259, 55.788_738]})));
    different.push(en_route(|body| {
        body["courierId"] = json!("Ailsa Reid");
        body["courierName"] = json!("64f0c2a1b7");
    }));
    let fingerprints: BTreeSet<_> = different.iter().map(|body| fingerprint(&body.to_string())).collect();
    assert_eq!(fingerprints.len(), different.len());
}

#[test]
fn one_name_with_two_values_is_parked_and_with_one_is_read() {
    let twice = br#"{"orderId":"1","status":80,"status":90}"#;
    assert_parked(&DELIVERECT, twice, ParkReason::Contradiction, "one name with two values");
    let same = r#"{"orderId":"1","status":80,"status":80}"#;
    assert_eq!(update(&DELIVERECT, same).update.raw_status, "80");
}

#[test]
fn only_order_and_status_are_required() {
    let expected = json!({
        "delivery_id": "651142e93c54c5405b1f26a3", "status": "assigned", "phase": "pickup", "raw_status": "80", "terminal": false,
    });
    assert_eq!(published(&DELIVERECT, &least_with("status", json!(80))), (expected.clone(), 0));
    for name in LISTED.into_iter().filter(|name| !["orderId", "status", "multipleDrivers"].contains(name)) {
        let mut nothing = expected.clone();
        nothing["extra"] = json!({name: null});
        assert_eq!(published(&DELIVERECT, &least_with(name, Value::Null)), (nothing, 0), "{name}");
    }
    for name in ["channelOrderId", "pickupTime", "deliveryTime", "courierId", "courierName"] {
        assert_eq!(published(&DELIVERECT, &least_with(name, json!(""))), (expected.clone(), 0), "{name}");
    }
}

#[test]
fn numbers_are_taken_where_text_is_documented() {
    let body = json!({
        "orderId": 1_234_567_890_123_456_789_u64, "channelOrderId": 42, "status": "87", "courierId": 7,
        "courierName": 8, "dispatchPartner": 9, "trackingURL": 10, "deliveryTime": 1_695_630_000,
    });
    let expected = json!({
        "delivery_id": "1234567890123456789",
        "references": {"merchant_order": "42"},
        "status": "dropoff_en_route",
        "phase": "dropoff",
        "raw_status": "87", "terminal": false,
        "eta": {"dropoff_at": {"utc": "2023-09-25T08:20:00Z", "original": "1695630000"}},
        "courier": {"id": "7", "name": "8"},
        "carrier": {"name": "9"},
        "tracking_url": "10",
    });
    assert_eq!(published(&DELIVERECT, &body), (expected, 0));
}

#[test]
fn an_unreadable_optional_field_is_kept_and_counted() {
    let body = json!({
        "orderId": "651142e93c54c5405b1f26a3", "status": 115, "channelOrderId": ["T1"], "pickupTime": "soon",
        "deliveryTime": false, "courierId": {}, "courierName": true, "coordinates": "55.7,-4.2",
        "dispatchPartner": [], "trackingURL": {"href": "x"}, "multipleDrivers": "yes",
        "pickupTimeETA": 0, "coordinates.type": "mine",
    });
    let expected = json!({
        "delivery_id": "651142e93c54c5405b1f26a3",
        "status": "cancelled",
        "phase": "closed",
        "raw_status": "115", "terminal": false,
        "extra": {
            "channelOrderId": ["T1"], "pickupTime": "soon", "deliveryTime": false, "courierId": {},
            "courierName": true, "coordinates": "55.7,-4.2", "dispatchPartner": [],
            "trackingURL": {"href": "x"}, "multipleDrivers": "yes", "pickupTimeETA": 0,
            "coordinates.type": "mine",
        },
    });
    assert_eq!(published(&DELIVERECT, &body), (expected, 9));
}

#[test]
fn times_are_read_with_fractions_and_offsets_and_else_as_utc() {
    let rows = [
        ("2023-09-25T08:36:46Z", "2023-09-25T08:36:46Z"),
        ("2023-09-25T08:36:46.118204Z", "2023-09-25T08:36:46.118204Z"),
        ("2023-09-25T08:36:46.118204+0000", "2023-09-25T08:36:46.118204Z"),
        ("2023-09-25T10:36:46.5+02:00", "2023-09-25T08:36:46.5Z"),
        ("2023-09-25T03:06:46-05:30", "2023-09-25T08:36:46Z"),
        ("2023-09-25T08:36:46", "2023-09-25T08:36:46Z"),
        ("2023-09-25 08:36:46.118204", "2023-09-25T08:36:46.118204Z"),
        ("1695631006118", "2023-09-25T08:36:46.118Z"),
    ];
    for (sent, utc) in rows {
        for (name, end) in [("pickupTime", "pickup_at"), ("deliveryTime", "dropoff_at")] {
            let (update, unreadable) = published(&DELIVERECT, &least_with(name, json!(sent)));
            assert_eq!((&update["eta"], unreadable), (&json!({end: {"utc": utc, "original": sent}}), 0));
        }
    }
    for sent in ["2023-09-25", "08:36:46", "YYYY-MM-DDT08:36:46.SSSSSSZ", "2023-02-30T08:36:46Z", "0"] {
        let (update, unreadable) = published(&DELIVERECT, &least_with("deliveryTime", json!(sent)));
        assert_eq!((&update["extra"], unreadable), (&json!({"deliveryTime": sent}), 1));
    }
}

/// London by each of the ways to write it, and what else is written with it.
#[test]
fn a_position_is_read_longitude_first_or_by_name() {
    let rows = [
        (json!([-0.1276, 51.5072]), json!({})),
        (json!({"coordinates": [-0.1276, 51.5072]}), json!({})),
        (json!({"coordinates": ["-0.1276", "51.5072"]}), json!({})),
        (json!({"coordinates": {"coordinates": [-0.1276, 51.5072]}}), json!({})),
        (json!({"latitude": 51.5072, "longitude": -0.1276}), json!({})),
        (json!({"longitude": "-0.1276", "latitude": "51.5072"}), json!({})),
        (json!({"lat": 51.5072, "lng": -0.1276}), json!({})),
        (json!({"lat": "51.5072", "longitude": -0.1276, "lng": null}), json!({"coordinates.lng": null})),
        (
            json!({"coordinates": null, "lat": "51.5072", "lng": "-0.1276"}),
            json!({"coordinates.coordinates": null}),
        ),
        (
            json!({"type": "Point", "coordinates": [-0.1276, 51.5072], "accuracy": 5}),
            json!({"coordinates.type": "Point", "coordinates.accuracy": 5}),
        ),
        (
            json!({"coordinates": {"type": "Point", "coordinates": [-0.1276, 51.5072]}, "heading": [1]}),
            json!({"coordinates.coordinates.type": "Point", "coordinates.heading": [1]}),
        ),
        (
            json!({"coordinates": [-0.1276, 51.5072], "latitude": "1", "lng": 2}),
            json!({"coordinates.latitude": "1", "coordinates.lng": 2}),
        ),
        (json!({"latitude": 51.5072, "lat": 51.5, "longitude": -0.1276}), json!({"coordinates.lat": 51.5})),
    ];
    for (sent, beside) in rows {
        let mut expected = json!({
            "delivery_id": "651142e93c54c5405b1f26a3", "status": "assigned", "phase": "pickup",
            "raw_status": "80", "terminal": false, "position": {"latitude": "51.5072", "longitude": "-0.1276"},
        });
        if beside != json!({}) {
            expected["extra"] = beside;
        }
        assert_eq!(published(&DELIVERECT, &least_with("coordinates", sent.clone())), (expected, 0), "{sent}");
    }
}

#[test]
fn a_position_keeps_every_digit() {
    for digits in ["-4.294259666220875", "179.99999999999999999999", "-0.0", "180", "1.50"] {
        let body =
            format!(r#"{{"orderId":"1","status":80,"coordinates":{{"coordinates":[{digits},-90.000]}}}}"#);
        let position = serde_json::to_value(update(&DELIVERECT, &body).update.position).expect("JSON");
        assert_eq!(position, json!({"latitude": "-90.000", "longitude": digits}));
    }
}

#[test]
fn what_is_no_position_on_earth_is_kept_and_counted() {
    let rows = [
        json!([]),
        json!([1]),
        json!([1, 2, 3]),
        json!([null, 51.5]),
        json!([[-0.1, 51.5]]),
        json!(["west", "north"]),
        json!(["", ""]),
        json!([180.0001, 51.5]),
        json!([-0.1, 90.0001]),
        // Manila, latitude first.
        json!([14.5995, 120.9842]),
        json!({}),
        json!({"coordinates": {}}),
        json!({"coordinates": null}),
        json!({"coordinates": "51.5,-0.1"}),
        json!({"coordinates": [14.5995, 120.9842], "type": "Point"}),
        json!({"coordinates": [], "latitude": 51.5, "longitude": -0.1}),
        json!({"latitude": 51.5}),
        json!({"longitude": -0.1, "latitude": null}),
        json!({"latitude": 91, "longitude": 0}),
        json!({"latitude": 0, "longitude": -180.5}),
        json!({"latitude": "51.5", "longitude": "-0,1"}),
        json!({"latitude": "x", "lat": 51.5, "longitude": 0}),
        json!(1),
        json!(true),
        json!("here"),
    ];
    for sent in rows {
        let expected = json!({
            "delivery_id": "651142e93c54c5405b1f26a3", "status": "assigned", "phase": "pickup",
            "raw_status": "80", "terminal": false, "extra": {"coordinates": sent},
        });
        assert_eq!(published(&DELIVERECT, &least_with("coordinates", sent.clone())), (expected, 1), "{sent}");
    }
    let odd = [r#"{"lat":1,"lat":2,"lng":3}"#, r#"{"\ud800":1,"lat":2,"lng":3}"#, "[1e999,2]"];
    for sent in odd {
        let decoded = update(&DELIVERECT, &format!(r#"{{"orderId":"1","status":80,"coordinates":{sent}}}"#));
        let extra = serde_json::to_value(&decoded.update.extra).expect("JSON");
        assert_eq!(extra, json!({"extra": {"coordinates": sent}, "extra_as_text": ["coordinates"]}));
        assert_eq!(decoded.unreadable_fields, 1);
    }
}

/// A field of the body may have the name that something inside `coordinates` gets: both are kept.
#[test]
fn what_is_beside_a_position_overwrites_nothing() {
    let mut body = least_with("coordinates", json!({"coordinates": [1, 2], "type": "Point"}));
    body["coordinates.type"] = json!("mine");
    let (update, _) = published(&DELIVERECT, &body);
    assert_eq!(update["extra"], json!({"coordinates.type": "Point", "coordinates.type_": "mine"}));
}

#[test]
fn a_personal_sample_is_a_delivery_of_its_own() {
    let begun = "2025-02-28T20:00:00.5Z";
    let body = personal(&DELIVERECT, "delivery_created", 0, begun);
    // As long after the beginning as in the samples.
    assert_eq!(body["pickupTime"], json!("2025-02-28T20:11:00.500000Z"));
    assert_eq!(body["deliveryTime"], json!("2025-02-28T20:26:46.500000Z"));
    assert_eq!(body["channelOrderId"], json!("ab12-7"));
    let order = body["orderId"].as_str().expect("text");
    assert!(order.len() == 24 && order.bytes().all(|byte| byte.is_ascii_hexdigit()), "{order}");
    let body = personal(&DELIVERECT, "delivery_canceled", 3, begun);
    assert_eq!((body.get("pickupTime"), body.get("deliveryTime")), (None, None));
    assert_eq!(body["orderId"], json!(order));
}

proptest! {
    /// An order with any other fields is an update, and every value of it is in the update.
    #[test]
    fn optional_fields_never_cost_an_update(
        body in any_object_with(&LISTED),
        place in any_object_with(&["coordinates", "latitude", "longitude", "lat", "lng"]),
    ) {
        let mut body = body;
        body["orderId"] = json!("651142e93c54c5405b1f26a3");
        body["status"] = json!(83);
        body["coordinates"] = place;
        let (update, _) = published(&DELIVERECT, &body);
        let (sent, kept) = (leaves(&body), leaves(&update));
        for (value, count) in sent.iter().filter(|(value, _)| !value.is_empty()) {
            prop_assert!(kept.get(value) >= Some(count), "{value:?} of {body} is not in {update}");
        }
    }

    /// Coordinates written either way are one position, and far from it none.
    #[test]
    fn either_way_to_write_a_position_says_the_same(
        longitude in -200_i32..=200, latitude in -100_i32..=100, thousandths in 0_u32..1000,
    ) {
        let [longitude, latitude] = [longitude, latitude].map(|whole| format!("{whole}.{thousandths:03}"));
        let by_order = least_with("coordinates", json!({"coordinates": [longitude, latitude]}));
        let by_name = least_with("coordinates", json!({"lng": longitude, "lat": latitude}));
        let (by_order, by_name) = (published(&DELIVERECT, &by_order).0, published(&DELIVERECT, &by_name).0);
        prop_assert_eq!(&by_order["position"], &by_name["position"]);
        let on_earth = |text: &str, limit: f64| text.parse::<f64>().is_ok_and(|value| value.abs() <= limit);
        let expected = if on_earth(&longitude, 180.0) && on_earth(&latitude, 90.0) {
            json!({"latitude": latitude, "longitude": longitude})
        } else {
            Value::Null
        };
        prop_assert_eq!(&by_order["position"], &expected);
    }
}

/// providers.md: with several drivers each has a course of its own, and none of them ends the delivery.
#[test]
fn several_drivers_are_kept_apart() {
    let decoded = |more: Value| {
        let mut body = json!({"orderId": "O1", "status": 90});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let decoded = update(&DELIVERECT, &body.to_string());
        (decoded.leg, decoded.update.terminal, decoded.update.several_couriers)
    };
    let leg = |name: &str| Some(name.to_owned());
    assert_eq!(decoded(json!({"courierId": "7", "courierName": "Ann"})), (None, true, None));
    assert_eq!(decoded(json!({"courierId": "7", "multipleDrivers": false})), (None, true, Some(false)));
    let several = json!({"courierId": "7", "courierName": "Ann", "multipleDrivers": true});
    assert_eq!(decoded(several), (leg("7"), false, Some(true)));
    assert_eq!(
        decoded(json!({"courierName": "Ann", "multipleDrivers": true})),
        (leg("Ann"), false, Some(true))
    );
    assert_eq!(decoded(json!({"multipleDrivers": true})), (None, false, Some(true)));
}
