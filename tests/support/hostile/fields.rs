//! Fields that are missing, `null`, of another type, unknown, or more than there should be.

use milepost::domain::verdict::ParkReason;
use serde_json::{Value, json};

use super::{Case, Expected, Shape, path, put, with};

pub fn cases(shape: &Shape) -> Vec<Case> {
    let mut cases = required(shape);
    cases.extend(words(shape));
    cases.extend(optional(shape));
    cases.extend(own(shape));
    cases
}

fn case(shape: &Shape, name: impl Into<String>, body: &Value, expected: Expected) -> Case {
    Case::new(name, shape, body.to_string(), expected)
}

/// Without the delivery's id or its status there is no update.
fn required(shape: &Shape) -> Vec<Case> {
    let parked = |detail| Expected::Parked(ParkReason::MissingField, detail);
    let mut cases = vec![case(shape, "no fields", &json!({}), parked(shape.id.1))];
    for (pointer, detail) in [shape.id, (shape.status, "status")] {
        // 247Express writes it with a capital.
        let detail = if pointer == "/Status" { "Status" } else { detail };
        let mut without: Value = serde_json::from_str(shape.least).expect("JSON");
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        without.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(name);
        cases.push(case(shape, format!("no {name}"), &without, parked(detail)));
        for nothing in [Value::Null, json!(""), json!({}), json!([1]), json!(true), json!(false)] {
            let body = with(shape.least, pointer, nothing.clone());
            cases.push(case(shape, format!("{name} {nothing}"), &body, parked(detail)));
        }
    }
    cases
}

/// A number for a text and back, where it is required; and undocumented statuses.
fn words(shape: &Shape) -> Vec<Case> {
    let as_number = {
        let mut update = (shape.update)();
        update["delivery_id"] = json!("9007199254740993");
        let body = with(shape.least, shape.id.0, json!(9_007_199_254_740_993_u64));
        case(shape, "a number for the id", &body, Expected::Published(update, 0))
    };
    let unknown =
        [json!("TELEPORTED"), json!(7), json!(-1), json!(u64::MAX), json!(" "), json!("30.0"), json!("Ẵ")];
    let unknown = unknown.into_iter().map(|raw| {
        let mut update = (shape.update)();
        update["status"] = json!("unknown");
        update["phase"] = json!("unknown");
        update["terminal"] = json!(false);
        // Dash's services are recognised by their statuses.
        update.as_object_mut().expect("an object").remove("service");
        update["raw_status"] = raw.as_str().map_or_else(|| raw.to_string(), str::to_owned).into();
        let body = with(shape.least, shape.status, raw.clone());
        case(shape, format!("unknown status {raw}"), &body, Expected::Published(update, 0))
    });
    std::iter::once(as_number).chain(unknown).collect()
}

/// An optional field never costs the update.
fn optional(shape: &Shape) -> Vec<Case> {
    let mut cases = Vec::new();
    let (text, place) = shape.text;
    for (sent, said) in [(json!("Ẵ \u{1f6f5}"), "Ẵ \u{1f6f5}"), (json!(12), "12"), (json!(1.5), "1.5")] {
        let mut update = (shape.update)();
        put(&mut update, place, json!(said));
        let body = with(shape.least, text, sent.clone());
        cases.push(case(shape, format!("{text} {sent}"), &body, Expected::Published(update, 0)));
    }
    let mut all: Value = serde_json::from_str(shape.least).expect("JSON");
    let (mut update, mut count) = ((shape.update)(), 0);
    for (pointer, value) in (shape.unreadable)() {
        put(&mut all, pointer, value.clone());
        update["extra"][path(pointer)] = value.clone();
        count += 1;
        let mut alone = (shape.update)();
        alone["extra"][path(pointer)] = value.clone();
        let body = with(shape.least, pointer, value.clone());
        cases.push(case(shape, format!("{pointer} {value}"), &body, Expected::Published(alone, 1)));
    }
    cases.push(case(shape, "all of a wrong type", &all, Expected::Published(update, count)));

    // A `null` says that there is none, and is kept.
    let (mut nulls, mut without) = (serde_json::from_str(shape.least).expect("JSON"), (shape.update)());
    for pointer in shape.optional {
        put(&mut nulls, pointer, Value::Null);
        without["extra"][path(pointer)] = Value::Null;
        let mut alone = (shape.update)();
        alone["extra"][path(pointer)] = Value::Null;
        let body = with(shape.least, pointer, Value::Null);
        cases.push(case(shape, format!("{pointer} null"), &body, Expected::Published(alone, 0)));
    }
    cases.push(case(shape, "nulls", &nulls, Expected::Published(without, 0)));

    let more = json!({"a": [1, {"b": null}], "é": "x", "n": 12.50});
    let mut update = (shape.update)();
    update["extra"]["surprise"] = more.clone();
    let body = with(shape.least, "/surprise", more);
    cases.push(case(shape, "an undocumented field", &body, Expected::Published(update, 0)));
    cases
}

/// What only one provider has: kinds of event, and two places for one thing.
fn own(shape: &Shape) -> Vec<Case> {
    let sent = |name: &str, pointer, value: Value, expected| {
        case(shape, name, &with(shape.least, pointer, value), expected)
    };
    let contradiction = |detail| Expected::Parked(ParkReason::Contradiction, detail);
    match shape.provider.id().as_str() {
        "telyport" => vec![
            sent("an unknown event", "/event", json!("ORDER.PAID"), Expected::Ignored),
            sent("an event in another case", "/event", json!("order.created"), Expected::Ignored),
            sent("an event that is a number", "/event", json!(7), Expected::Ignored),
            sent(
                "another id beside `data`",
                "/orderID",
                json!("IN1"),
                contradiction("`data` and the fields beside it disagree"),
            ),
            sent(
                "another status beside `data`",
                "/status",
                json!("NEW"),
                contradiction("`data` and the fields beside it disagree"),
            ),
            sent(
                "a text for `data`",
                "/data",
                json!("{}"),
                Expected::Parked(ParkReason::MissingField, "orderID"),
            ),
        ],
        "hubrise" => vec![
            sent("another resource", "/resource_type", json!("order"), Expected::Ignored),
            sent("an unknown event", "/event_type", json!("delete"), Expected::Ignored),
            case(
                shape,
                "the resource alone",
                &json!({"id": "@", "status": "pending"}),
                Expected::Published(
                    json!({"delivery_id": "@", "status": "created", "phase": "planned", "raw_status": "pending", "terminal": false}),
                    0,
                ),
            ),
            sent(
                "no resource",
                "/resource_type",
                Value::Null,
                Expected::Parked(ParkReason::MissingField, "resource_type"),
            ),
            sent(
                "another id beside the state",
                "/delivery_id",
                json!("other"),
                contradiction("`new_state` and the ids beside it disagree"),
            ),
            sent(
                "a text for the state",
                "/new_state",
                json!("delivered"),
                Expected::Parked(ParkReason::MissingField, "new_state"),
            ),
        ],
        // The others have no kinds of event: a field of that name is undocumented.
        _ => {
            let mut update = (shape.update)();
            update["extra"]["event"] = json!("ORDER.PAID");
            vec![sent("an unknown event", "/event", json!("ORDER.PAID"), Expected::Published(update, 0))]
        }
    }
}
