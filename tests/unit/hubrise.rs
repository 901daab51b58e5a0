use milepost::domain::journey::Personal;
use milepost::domain::provider::{Decoded, Provider};
use milepost::domain::samples::SampleSource;
use milepost::domain::verdict::ParkReason;
use milepost::providers::HUBRISE;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{any_json, any_object_with, assert_parked, leaves, personal, published, sample, update};

const RESOURCE: &str = include_str!("../fixtures/hubrise/documented_delivery.json");
const DISAGREE: &str = "`new_state` and the ids beside it disagree";

/// The sample that holds the document's own resource, changed by `change`.
fn callback(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&HUBRISE, "pickup_waiting");
    change(&mut body);
    body
}

fn remove(object: &mut Value, name: &str) {
    object.as_object_mut().expect("an object").remove(name);
}

/// "Retrieve a Delivery", as the document prints it.
#[test]
fn the_documented_resource_alone_is_an_update() {
    let decoded = update(&HUBRISE, RESOURCE);
    let time = |utc: &str, original: &str| json!({"utc": utc, "original": original});
    let expected = json!({
        "delivery_id": "ez351",
        "references": {"order": "5dpm9", "location": "3r4s3-1"},
        "status": "pickup_arrived",
        "phase": "pickup",
        "raw_status": "pickup_waiting", "terminal": false,
        "times": {"assigned_at": time("2023-01-01T11:11:03Z", "2023-01-01T12:11:03+01:00")},
        "eta": {
            "pickup_at": time("2023-01-01T11:17:00Z", "2023-01-01T12:17:00+01:00"),
            "dropoff_at": time("2023-01-01T11:29:00Z", "2023-01-01T12:29:00+01:00"),
        },
        "courier": {"name": "John", "phone": "+33612345678", "phone_access_code": "1234"},
        "carrier": {"name": "UPS", "code": "ups", "reference": "1Z12345E0291980793"},
        "position": {"latitude": "48.856702", "longitude": "2.35222"},
        "fee": {"amount": "4.50", "currency": "EUR"},
        "tracking_url": "https://www.ups.com/track?tracknum=1Z12345E0291980793",
        "extra": {"pickup_at": null, "delivered_at": null, "cancelled_at": null},
    });
    assert_eq!(serde_json::to_value(&decoded.update).expect("JSON"), expected);
    assert_eq!(decoded.unreadable_fields, 0);
    assert_eq!(decoded.identity.provider_event_id, None);

    let mut with_more: Value = serde_json::from_str(RESOURCE).expect("JSON");
    with_more["driver_pickup_url"] = json!("https://driver.example/1");
    with_more["fee"] = json!("free");
    let (update, unreadable) = published(&HUBRISE, &with_more);
    let times = json!({"pickup_at": null, "delivered_at": null, "cancelled_at": null});
    let mut kept = json!({"driver_pickup_url": "https://driver.example/1", "fee": "free"});
    kept.as_object_mut().expect("an object").extend(times.as_object().expect("an object").clone());
    assert_eq!(update["extra"], kept);
    assert_eq!((update.get("fee"), unreadable), (None, 1));
}

#[test]
fn other_callbacks_are_ignored() {
    let is_ignored = |body: Value| {
        let body = body.to_string();
        assert!(matches!(HUBRISE.decode(body.as_bytes()), Ok(Decoded::Ignored)), "{body}");
    };
    for resource in ["order", "customer", "location", "catalog", "inventory", "Delivery", "deliveries"] {
        is_ignored(callback(|body| body["resource_type"] = json!(resource)));
    }
    is_ignored(callback(|body| body["resource_type"] = json!(7)));
    for event in [json!("delete"), json!("patch"), json!("Update"), json!("delivery.update"), json!(7)] {
        is_ignored(callback(|body| body["event_type"] = event));
    }
    is_ignored(json!({"id": "x7k3d", "resource_type": "catalog", "event_type": "update", "catalog_id": "a"}));
    // An order's state has an id and a status too.
    is_ignored(json!({"resource_type": "order", "new_state": {"id": "5dpm9", "status": "new"}}));
    is_ignored(json!({"resource_type": "order", "id": "5dpm9", "status": "new"}));
}

#[test]
fn without_a_resource_type_a_callback_is_parked() {
    for nothing in [Value::Null, json!(""), json!({}), json!([1]), json!(true)] {
        let body = callback(|body| body["resource_type"] = nothing).to_string();
        assert_parked(&HUBRISE, body.as_bytes(), ParkReason::MissingField, "resource_type");
    }
    let body = callback(|body| remove(body, "resource_type")).to_string();
    assert_parked(&HUBRISE, body.as_bytes(), ParkReason::MissingField, "resource_type");
}

#[test]
fn without_a_readable_event_type_the_state_decides() {
    for event in [Value::Null, json!(""), json!({"name": "update"})] {
        let (update, _) = published(&HUBRISE, &callback(|body| body["event_type"] = event));
        assert_eq!(update["status"], json!("pickup_arrived"));
    }
}

#[test]
fn an_update_without_id_status_or_state_is_parked() {
    let park = |body: &Value, detail| {
        assert_parked(&HUBRISE, body.to_string().as_bytes(), ParkReason::MissingField, detail);
    };
    for nothing in [Value::Null, json!(""), json!({}), json!([1]), json!(true)] {
        park(&callback(|body| body["new_state"]["status"] = nothing.clone()), "status");
        let without_id = |body: &mut Value| {
            body["new_state"]["id"] = nothing.clone();
            body["delivery_id"] = nothing.clone();
        };
        park(&callback(without_id), "the delivery's id");
        park(&json!({"id": nothing.clone(), "status": "pending"}), "the delivery's id");
        park(&json!({"id": "ez351", "status": nothing}), "status");
    }
    for nothing in [Value::Null, json!(""), json!([]), json!("state"), json!(1)] {
        park(&callback(|body| body["new_state"] = nothing), "new_state");
    }
    park(&callback(|body| remove(body, "new_state")), "new_state");
    park(&callback(|body| remove(&mut body["new_state"], "status")), "status");
    park(&json!({"resource_type": "delivery", "event_type": "update", "new_state": {}}), "the delivery's id");
    park(&json!({}), "the delivery's id");
}

#[test]
fn a_state_without_its_id_has_the_envelopes() {
    let without = |change: fn(&mut Value)| {
        published(
            &HUBRISE,
            &callback(|body| {
                remove(&mut body["new_state"], "id");
                change(body);
            }),
        )
    };
    let (update, unreadable) = without(|_| {});
    assert_eq!((&update["delivery_id"], unreadable), (&json!("ez351"), 0));
    assert_eq!(update["extra"].get("delivery_id"), None);
    let (update, unreadable) = without(|body| {
        remove(body, "delivery_id");
        body["resource_id"] = json!("ez352");
    });
    assert_eq!((&update["delivery_id"], unreadable), (&json!("ez352"), 0));
    let (update, unreadable) = without(|body| body["new_state"]["id"] = json!(["ez351"]));
    assert_eq!((&update["delivery_id"], unreadable), (&json!("ez351"), 1));
    assert_eq!(update["extra"]["new_state.id"], json!(["ez351"]));
}

#[test]
fn a_state_without_its_references_has_the_envelopes() {
    let (update, unreadable) = published(
        &HUBRISE,
        &callback(|body| {
            body["new_state"]["order_id"] = Value::Null;
            remove(&mut body["new_state"], "location_id");
        }),
    );
    assert_eq!(update["references"], json!({"order": "5dpm9", "location": "3r4s3-1"}));
    assert_eq!((update["extra"].get("order_id"), update["extra"].get("location_id")), (None, None));
    assert_eq!(unreadable, 0);
}

#[test]
fn contradictions_are_parked() {
    let park = |body: &str, detail| {
        assert_parked(&HUBRISE, body.as_bytes(), ParkReason::Contradiction, detail);
    };
    park(&callback(|body| body["delivery_id"] = json!("ez352")).to_string(), DISAGREE);
    park(&callback(|body| body["delivery_id"] = json!(351)).to_string(), DISAGREE);
    park(&callback(|body| body["resource_id"] = json!("ez352")).to_string(), DISAGREE);
    park(&callback(|body| body["new_state"]["id"] = json!("EZ351")).to_string(), DISAGREE);
    let beside = |body: &mut Value| {
        remove(&mut body["new_state"], "id");
        body["resource_id"] = json!("ez352");
    };
    park(&callback(beside).to_string(), DISAGREE);
    let twice = "one name with two values";
    park(r#"{"id":"ez351","status":"pending","status":"delivered"}"#, twice);
    park(r#"{"resource_type":"delivery","new_state":{"id":"1","status":"pending","status":"x"}}"#, twice);
    park(r#"{"resource_type":"delivery","resource_type":"order","new_state":{}}"#, twice);
    park(r#"{"resource_type":"delivery","new_state":{},"new_state":null}"#, twice);
}

#[test]
fn one_name_twice_with_one_value_is_one() {
    let body = r#"{"id":"ez351","status":"pending","id":"ez351"}"#;
    assert_eq!(update(&HUBRISE, body).update.delivery_id, "ez351");
}

#[test]
fn a_personal_sample_is_a_delivery_of_its_own() {
    let body = personal(&HUBRISE, "delivered", 8, "2025-03-01T00:00:00.5Z");
    assert_eq!(body["id"].as_str().map(str::len), Some(16));
    assert_eq!((&body["delivery_id"], &body["order_id"]), (&json!("dlab12-7"), &json!("orab12-7")));
    // As long after the beginning as in the samples.
    let delivered_at = json!("2025-03-01T01:38:52+01:00");
    assert_eq!(body["created_at"], delivered_at);
    for (state, delivered_at) in [("new_state", delivered_at), ("previous_state", Value::Null)] {
        let state = &body[state];
        assert_eq!((&state["id"], &state["order_id"]), (&json!("dlab12-7"), &json!("orab12-7")));
        assert_eq!(state["assigned_at"], json!("2025-03-01T01:22:23+01:00"));
        assert_eq!(state["estimated_dropoff_at"], json!("2025-03-01T01:40:20+01:00"));
        assert_eq!((&state["delivered_at"], &state["cancelled_at"]), (&delivered_at, &Value::Null));
    }
}

#[test]
fn each_step_of_a_journey_begins_in_the_state_that_the_last_one_ended_in() {
    for journey in HUBRISE.journeys() {
        let mut state = None;
        for (step, name) in (0..).zip(journey.steps) {
            let mut callback = personal(&HUBRISE, name, step, "2025-03-01T00:00:00Z");
            assert_eq!(callback.get("previous_state"), state.as_ref(), "{} {name}", journey.name);
            state = Some(callback["new_state"].take());
        }
    }
}

const NAMES: &[&str] = &[
    "id",
    "status",
    "resource_type",
    "event_type",
    "created_at",
    "new_state",
    "previous_state",
    "delivery_id",
    "order_id",
    "carrier",
    "fee",
    "estimated_pickup_at",
    "driver_name",
    "driver_latitude",
    "driver_longitude",
    "assigned_at",
];

proptest! {
    #[test]
    fn personalizing_takes_any_json(top in any_object_with(NAMES), state in any_object_with(NAMES)) {
        let mut body = top;
        body["new_state"] = state;
        let begun = jiff::Timestamp::MAX;
        HUBRISE.personalize(&mut body, &Personal { tag: "tag", number: 1, steps: &[], step: u32::MAX, begun });
    }

    /// A delivery with any other fields is an update, and every value of it is in the update.
    #[test]
    fn optional_fields_never_cost_an_update(state in any_object_with(NAMES), more in any_json()) {
        let mut state = state;
        state["id"] = json!("ez351");
        state["status"] = json!("pending");
        let body = json!({"resource_type": "delivery", "event_type": "create", "more": more, "new_state": state});
        let (update, _) = published(&HUBRISE, &body);
        let (sent, kept) = (leaves(&body), leaves(&update));
        for (value, count) in sent.iter().filter(|(value, _)| !value.is_empty()) {
            prop_assert!(kept.get(value) >= Some(count), "{value:?} of {body} is not in {update}");
        }
    }
}
