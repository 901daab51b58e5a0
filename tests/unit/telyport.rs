use milepost::domain::provider::{Decoded, Provider};
use milepost::domain::verdict::ParkReason;
use milepost::providers::TELYPORT;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{any_json, any_object_with, assert_parked, personal, poison, published, sample, update};

const BROKEN: &str = include_str!("../fixtures/telyport/documented_order_created.json");
const DISAGREE: &str = "`data` and the fields beside it disagree";

/// The documented example, changed by `change`.
fn started(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&TELYPORT, "started");
    change(&mut body);
    body
}

#[test]
fn the_documents_own_first_example_is_no_json() {
    let poison = poison(&TELYPORT, BROKEN.as_bytes());
    assert_eq!((poison.reason, poison.detail), (ParkReason::Malformed, "not one JSON object"));
}

#[test]
fn fields_beside_data_are_taken_as_the_schema_has_them() {
    let flat = json!({
        "event": "ORDER.STATUS_UPDATED", "orderID": "IN1", "status": "STARTED", "updatedAt": 1_739_365_639_201_u64,
        "businessOrderID": "#1", "temporaryOrderID": "T1", "additionalProperties": {"agentName": "John", "vehicle": "bike"},
    });
    let expected = json!({
        "delivery_id": "IN1",
        "references": {"merchant_order": "#1", "temporary": "T1"},
        "status": "assigned",
        "phase": "pickup",
        "raw_status": "STARTED", "terminal": false,
        "event_time": {"utc": "2025-02-12T13:07:19.201Z", "original": "1739365639201"},
        "courier": {"name": "John"},
        "extra": {"event": "ORDER.STATUS_UPDATED", "additionalProperties.vehicle": "bike"},
    });
    assert_eq!(published(&TELYPORT, &flat), (expected.clone(), 0));
    let mut with_null = flat.clone();
    with_null["data"] = Value::Null;
    let mut told = expected.clone();
    told["extra"]["data"] = Value::Null;
    assert_eq!(published(&TELYPORT, &with_null), (told, 0));
    let mut split = flat;
    split["data"] = json!({"orderID": null, "status": "STARTED", "updatedAt": null});
    let mut told = expected;
    told["extra"]["data.orderID"] = Value::Null;
    told["extra"]["data.updatedAt"] = Value::Null;
    assert_eq!(published(&TELYPORT, &split), (told, 0));
}

#[test]
fn data_wins_over_what_is_beside_it_and_nothing_is_lost() {
    let (update, unreadable) = published(
        &TELYPORT,
        &started(|body| {
            body["orderID"] = json!("IN250212151234");
            body["status"] = json!("STARTED");
            body["businessOrderID"] = json!("#2");
            body["updatedAt"] = json!(1_739_000_000);
            body["data"]["timestamp"] = json!(5);
        }),
    );
    assert_eq!(update["references"], json!({"merchant_order": "#547455"}));
    assert_eq!(update["event_time"]["original"], json!("1739365639201"));
    assert_eq!(
        update["extra"],
        json!({"event": "ORDER.STATUS_UPDATED", "businessOrderID": "#2", "updatedAt": 1_739_000_000, "data.timestamp": 5})
    );
    assert_eq!(unreadable, 0);
}

#[test]
fn contradictions_are_parked() {
    let park = |body: &str, detail| {
        assert_parked(&TELYPORT, body.as_bytes(), ParkReason::Contradiction, detail);
    };
    park(&started(|body| body["orderID"] = json!("IN1")).to_string(), DISAGREE);
    park(&started(|body| body["status"] = json!("NEW")).to_string(), DISAGREE);
    let twice = "one name with two values";
    park(r#"{"orderID":"IN1","status":"NEW","status":"STARTED"}"#, twice);
    park(r#"{"orderID":"IN1","status":"NEW","data":{"status":"NEW","status":"STARTED"}}"#, twice);
    park(r#"{"orderID":"IN1","status":"NEW","data":{},"data":null}"#, twice);
}

#[test]
fn an_update_without_order_or_status_is_parked() {
    let park = |body: &Value, detail| {
        assert_parked(&TELYPORT, body.to_string().as_bytes(), ParkReason::MissingField, detail);
    };
    for nothing in [Value::Null, json!(""), json!({}), json!([1]), json!(true)] {
        park(&started(|body| body["data"]["orderID"] = nothing.clone()), "orderID");
        park(&started(|body| body["data"]["status"] = nothing.clone()), "status");
        park(&started(|body| body["data"] = nothing), "orderID");
    }
    park(&json!({}), "orderID");
}

#[test]
fn other_events_are_ignored() {
    for event in [json!("ORDER.PAID"), json!("order.created"), json!("PING"), json!(7)] {
        let body = json!({"event": event, "data": {"orderID": "IN1", "status": "NEW"}}).to_string();
        assert!(matches!(TELYPORT.decode(body.as_bytes()), Ok(Decoded::Ignored)), "{body}");
    }
    let empty = json!({"event": "PING"}).to_string();
    assert!(matches!(TELYPORT.decode(empty.as_bytes()), Ok(Decoded::Ignored)));
}

#[test]
fn without_a_readable_event_the_fields_decide() {
    for event in [Value::Null, json!(""), json!({"name": "ORDER.CREATED"})] {
        let (update, _) = published(&TELYPORT, &started(|body| body["event"] = event));
        assert_eq!(update["status"], json!("assigned"));
    }
}

#[test]
fn an_unreadable_optional_field_is_kept_and_counted() {
    let (update, unreadable) = published(
        &TELYPORT,
        &started(|body| {
            body["timestamp"] = json!("yesterday");
            body["webhookEventID"] = json!(["29RZ"]);
            body["data"]["updatedAt"] = json!(true);
            body["data"]["businessOrderID"] = json!({"id": 1});
            body["data"]["additionalProperties"] =
                json!({"agentName": false, "agentPhone": 12_345_678_990_u64});
        }),
    );
    let expected = json!({
        "delivery_id": "IN250212151234",
        "status": "assigned",
        "phase": "pickup",
        "raw_status": "STARTED", "terminal": false,
        "courier": {"phone": "12345678990"},
        "extra": {
            "event": "ORDER.STATUS_UPDATED",
            "timestamp": "yesterday",
            "webhookEventID": ["29RZ"],
            "data.updatedAt": true,
            "data.businessOrderID": {"id": 1},
            "additionalProperties.agentName": false,
        },
    });
    assert_eq!((update, unreadable), (expected, 5));
    let (update, unreadable) =
        published(&TELYPORT, &started(|body| body["data"]["additionalProperties"] = json!("none")));
    assert_eq!((&update["extra"]["data.additionalProperties"], unreadable), (&json!("none"), 1));
}

#[test]
fn optional_properties_that_contradict_themselves_cost_nothing() {
    let body = r#"{"data":{"orderID":"IN1","status":"STARTED","additionalProperties":{"a":1,"a":2}}}"#;
    let decoded = update(&TELYPORT, body);
    assert_eq!(decoded.unreadable_fields, 1);
    let extra = serde_json::to_value(&decoded.update.extra).expect("JSON");
    assert_eq!(extra["extra"]["data.additionalProperties"], json!(r#"{"a":1,"a":2}"#));
    assert_eq!(extra["extra_as_text"], json!(["data.additionalProperties"]));
}

#[test]
fn an_empty_business_order_id_is_none() {
    let (update, unreadable) =
        published(&TELYPORT, &started(|body| body["data"]["businessOrderID"] = json!("")));
    assert_eq!((update.get("references"), unreadable), (None, 0));
    assert_eq!(update["extra"], json!({"event": "ORDER.STATUS_UPDATED"}));
}

#[test]
fn the_event_time_is_updated_at_or_else_the_timestamp() {
    let times = |change: fn(&mut Value)| {
        let (update, _) = published(&TELYPORT, &started(change));
        (update["event_time"].clone(), update["times"].clone())
    };
    let at = |utc: &str, original: &str| json!({"utc": utc, "original": original});
    assert_eq!(
        times(|body| {
            body["data"]["updatedAt"] = json!("2025-02-12T18:37:19.201+05:30");
            body["timestamp"] = json!(1_739_365_640);
        }),
        (
            at("2025-02-12T13:07:19.201Z", "2025-02-12T18:37:19.201+05:30"),
            json!({"timestamp": at("2025-02-12T13:07:20Z", "1739365640")})
        )
    );
    assert_eq!(
        times(|body| {
            body["data"]["updatedAt"] = Value::Null;
            body["timestamp"] = json!("1739365640000");
        }),
        (at("2025-02-12T13:07:20Z", "1739365640000"), Value::Null)
    );
    // Telyport documents no zone for text without one.
    assert_eq!(
        times(|body| {
            body["data"]["updatedAt"] = json!("2025-02-12T13:07:19");
            body["timestamp"] = json!(0);
        }),
        (Value::Null, Value::Null)
    );
}

#[test]
fn a_personal_sample_is_a_delivery_of_its_own() {
    let begun = "2025-03-01T00:00:00.5Z";
    let created = personal(&TELYPORT, "order_created", 0, begun);
    assert_eq!(created["data"]["orderID"], json!("INab12-7"));
    assert_eq!(created["data"]["temporaryOrderID"], json!("INab12-7"));
    assert_eq!(created["data"]["businessOrderID"], json!("#ab12-7"));
    assert_eq!(created["timestamp"], json!(1_740_787_200_500_u64));
    assert_eq!(created["data"].get("updatedAt"), None);
    let started = personal(&TELYPORT, "started", 1, begun);
    assert_eq!(started["data"]["orderID"], json!("INab12-7"));
    assert_eq!(started["data"]["updatedAt"], json!(1_740_787_380_500_u64));
    assert_eq!(started["webhookEventID"].as_str().map(str::len), Some(16));
    assert_ne!(started["webhookEventID"], created["webhookEventID"]);
}

const NAMES: &[&str] = &[
    "event",
    "data",
    "orderID",
    "status",
    "timestamp",
    "webhookEventID",
    "updatedAt",
    "businessOrderID",
    "temporaryOrderID",
    "additionalProperties",
    "agentName",
    "reason",
];

proptest! {
    /// An order with any other fields is an update, and every value of it is in the update.
    #[test]
    fn optional_fields_never_cost_an_update(data in any_object_with(NAMES), more in any_json()) {
        let mut data = data;
        data["orderID"] = json!("IN1");
        data["status"] = json!("NEW");
        data["additionalProperties"] = more;
        let body = json!({"event": "ORDER.CREATED", "data": data});
        let (update, _) = published(&TELYPORT, &body);
        let (sent, kept) = (crate::support::leaves(&body), crate::support::leaves(&update));
        for (value, count) in sent.iter().filter(|(value, _)| !value.is_empty()) {
            prop_assert!(kept.get(value) >= Some(count), "{value:?} of {body} is not in {update}");
        }
    }
}
