//! Personal data is where the schema and the docs say, and nowhere else.

use serde_json::Value;

use super::{EVENT_SCHEMA, full, json, read};

/// A line more here is a decision about the contract; one less breaks subscribers who strip by this list.
const PERSONAL: [&str; 13] = [
    "courier",
    "destination",
    "extra",
    "extra_as_text",
    "origin",
    "position",
    "proof",
    "reason.comments",
    "reason.text",
    "recipient",
    "recipient_name",
    "sender",
    "tracking_url",
];

#[test]
fn the_docs_list_what_the_schema_marks() {
    let listed = PERSONAL.map(|path| format!("`{path}`")).join(", ");
    assert!(read("docs/events.md").lines().any(|line| line == listed), "docs/events.md lacks {listed}");
}

/// As a subscriber does it: by the marks in the schema.
#[test]
fn stripping_by_the_schema_leaves_no_person() {
    let schema = json(EVENT_SCHEMA);
    let mut event = full::event();
    let mut stripped = Vec::new();
    strip(&mut event["data"], &schema["$defs"]["DeliveryUpdate"], &schema, "", &mut stripped);
    assert_eq!(stripped, PERSONAL);
    let left = event.to_string();
    for person in ["PERSONAL", "88.8", "-99.9"] {
        assert!(!left.contains(person), "{person} in {left}");
    }
    // What is not about a person is still there.
    for kept in ["delivery_id", "merchant_order", "packages", "currency", "several_couriers"] {
        assert!(left.contains(kept), "no {kept} in {left}");
    }
}

fn strip(value: &mut Value, schema: &Value, root: &Value, prefix: &str, stripped: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, property) in properties {
        if property["x-personal"] == true {
            stripped.push(format!("{prefix}{name}"));
            value.as_object_mut().expect("an object").remove(name).expect("the event has every field");
        } else if let Some(definition) = property["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
            let definition = root.pointer(definition).expect("it is defined");
            strip(&mut value[name], definition, root, &format!("{prefix}{name}."), stripped);
        }
    }
}
