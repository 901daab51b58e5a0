//! A subscriber that validates by the schema of an older version takes the events of this one
//! (docs/events.md, "What may change").

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{EVENT_SCHEMA, assert_valid, events, files_under, full, json as read_json, validator};

fn released() -> Vec<(String, Value)> {
    let paths = files_under("docs/contract/v1/released");
    assert!(!paths.is_empty(), "the schemas of released versions are kept");
    paths.into_iter().map(|path| (path.clone(), read_json(path))).collect()
}

#[test]
fn every_released_schema_takes_the_events_of_today() {
    for (path, schema) in released() {
        let validator = validator(&schema);
        for (name, event) in events() {
            assert_valid(&validator, &event, &format!("{name} by {path}"));
        }
    }
}

#[test]
fn the_schema_of_today_keeps_what_was_released() {
    let today = read_json(EVENT_SCHEMA);
    for (path, schema) in released() {
        assert_eq!(broken(&schema, &today), Vec::<String>::new(), "{path}");
    }
}

/// What a field is, as far as it may not change.
struct Promise {
    always: bool,
    kind: Value,
    /// The words of a closed set, which stays as it is.
    closed: BTreeSet<String>,
    /// The words of an open set, which may grow.
    open: BTreeSet<String>,
}

/// The fields of `before` that are gone or other in `after`.
fn broken(before: &Value, after: &Value) -> Vec<String> {
    let after = promises(after);
    let is_kept = |path: &String, before: &Promise| {
        after.get(path).is_some_and(|after| {
            (after.always || !before.always)
                && after.kind == before.kind
                && after.closed == before.closed
                && after.open.is_superset(&before.open)
        })
    };
    let before = promises(before);
    before.into_iter().filter(|(path, promise)| !is_kept(path, promise)).map(|(path, _)| path).collect()
}

fn promises(schema: &Value) -> BTreeMap<String, Promise> {
    let mut found = BTreeMap::new();
    collect(schema, schema, "", true, &mut found);
    found
}

fn collect(schema: &Value, root: &Value, path: &str, always: bool, found: &mut BTreeMap<String, Promise>) {
    if let Some(definition) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        return collect(root.pointer(definition).expect("it is defined"), root, path, always, found);
    }
    let words = |set: &str| {
        let words = schema[set].as_array().into_iter().flatten();
        words.filter_map(|word| word["const"].as_str()).map(str::to_owned).collect()
    };
    let (closed, open) = (words("oneOf"), words("anyOf"));
    let kind = json!([schema["type"], schema["format"], schema["pattern"], schema["const"]]);
    found.insert(path.to_owned(), Promise { always, kind, closed, open });
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let always = schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
        collect(property, root, &format!("{path}/{name}"), always, found);
    }
    for items in ["items", "additionalProperties"] {
        if schema[items].is_object() {
            collect(&schema[items], root, &format!("{path}/*"), false, found);
        }
    }
}

/// The rules that let something be added, on the schemas that must allow it.
#[test]
fn what_may_be_added_within_v1_is_taken() {
    for (path, schema) in released() {
        let validator = validator(&schema);
        for (pointer, addition) in [
            ("", json!("1")),
            ("/data", json!({ "new": [null] })),
            ("/data/courier", json!(4)),
            ("/data/packages/0", json!(true)),
            ("/data/event_time", json!(null)),
        ] {
            let mut event = full::event();
            event.pointer_mut(pointer).expect("it is there")["a_new_field"] = addition;
            assert_valid(&validator, &event, &format!("a field in {pointer:?} by {path}"));
        }
        for pointer in ["/data/status", "/data/previous_status", "/data/changes/0", "/data/provider"] {
            let mut event = full::event();
            *event.pointer_mut(pointer).expect("it is there") = json!("a_new_word");
            assert_valid(&validator, &event, &format!("a new {pointer} by {path}"));
        }
    }
}

/// The test of the tests above: what must not change within v1 is seen, at every field.
#[test]
fn what_may_not_change_within_v1_is_refused() {
    for (path, schema) in released() {
        let validator = validator(&schema);
        let refuses = |change: &dyn Fn(&mut Value), what: &str| {
            let mut event = full::event();
            change(&mut event);
            assert!(!validator.is_valid(&event), "{path} takes {what}");
        };
        for (field, promise) in promises(&schema) {
            let pointer = field.replace("packages/*", "packages/0").replace("proof/*", "proof/0");
            let pointer = pointer.replace("changes/*", "changes/0").replace("times/*", "times/updatedAt");
            for other in [json!(null), json!([["another type"]])] {
                let change = |event: &mut Value| {
                    *event.pointer_mut(&pointer).unwrap_or_else(|| panic!("{pointer} is there")) =
                        other.clone();
                };
                refuses(&change, &format!("{other} as {pointer}"));
            }
            let Some((parent, name)) = pointer.rsplit_once('/').filter(|_| promise.always) else { continue };
            let remove = |event: &mut Value| {
                let parent = event.pointer_mut(parent).and_then(Value::as_object_mut);
                parent.expect("an object").remove(name).expect("it is there");
            };
            refuses(&remove, &format!("an event without {pointer}"));
        }
        for (pointer, word) in [
            ("/data/phase", "a_new_phase"),
            ("/data/order", "sometime"),
            ("/data/weight_kg", "1e3"),
            ("/time", "yesterday"),
            ("/data/event_time/utc", "1739365639201"),
            ("/type", "com.milepost.delivery.updated.v2"),
            ("/dataschema", "urn:milepost:schema:delivery-update:v2"),
        ] {
            let change = |event: &mut Value| *event.pointer_mut(pointer).expect("it is there") = json!(word);
            refuses(&change, &format!("{word} as {pointer}"));
        }
    }
}

/// And in the schema itself: a field that no event happens to have may not go, nor become optional, nor be another.
#[test]
fn a_schema_that_breaks_a_promise_is_seen() {
    let before = read_json(EVENT_SCHEMA);
    let change = |change: &dyn Fn(&mut Value)| {
        let mut after = before.clone();
        change(&mut after["$defs"]);
        broken(&before, &after)
    };
    let gone =
        change(&|parts| drop(parts["Courier"]["properties"].as_object_mut().expect("parts").remove("phone")));
    assert_eq!(gone, ["/data/courier/phone"]);
    let optional = change(&|parts| parts["Money"]["required"] = json!(["amount"]));
    assert_eq!(optional, ["/data/fee/currency"]);
    let other =
        change(&|parts| parts["DeliveryUpdate"]["properties"]["failed_count"]["type"] = json!("string"));
    assert_eq!(other, ["/data/failed_count"]);
    let word = change(&|parts| parts["Order"]["oneOf"][0]["const"] = json!("fine"));
    assert_eq!(word, ["/data/order"]);
    let renamed = change(&|parts| parts["Status"]["anyOf"][0]["const"] = json!("planned"));
    assert_eq!(renamed, ["/data/previous_status", "/data/status"]);
    let another = json!({ "const": "melted", "type": "string" });
    let more = change(&|parts| parts["Status"]["anyOf"].as_array_mut().expect("words").push(another.clone()));
    assert_eq!(more, Vec::<String>::new());
    let added = change(&|parts| parts["Money"]["properties"]["tax"] = json!({ "type": "string" }));
    assert_eq!(added, Vec::<String>::new());
}
