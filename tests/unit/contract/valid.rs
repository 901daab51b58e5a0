//! Every published event fits the schemas.

use milepost::providers::SAMPLE_SOURCES;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{EVENT_SCHEMA, assert_valid, event, events, json as read_json, validator};
use crate::support::any_json;

#[test]
fn every_event_fits_its_schema() {
    let whole = validator(&read_json(EVENT_SCHEMA));
    let data_schema = read_json("docs/contract/v1/delivery-update.schema.json");
    let data = validator(&data_schema);
    for (name, event) in events() {
        assert_valid(&whole, &event, &name);
        assert_valid(&data, &event["data"], &name);
        assert_eq!(event["dataschema"], data_schema["$id"], "{name}");
    }
}

#[test]
fn the_topics_have_the_same_event() {
    let document = read_json("docs/contract/v1/asyncapi.json");
    assert_eq!(document["channels"]["updates"]["address"], "{provider}.{account}.{phase}.{status}");
    assert_eq!(document["channels"]["updates"]["bindings"]["amqp"]["exchange"]["name"], "milepost.updates");
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": document["components"]["messages"]["update"]["payload"]["$ref"],
        "components": document["components"],
    });
    let options = jsonschema::draft7::options().should_validate_formats(true);
    let validator = options.build(&schema).expect("a schema");
    for (name, mut event) in events() {
        assert_valid(&validator, &event, &name);
        event["data"]["phase"] = "elsewhere".into();
        assert!(!validator.is_valid(&event), "{name}");
    }
}

/// A documented webhook with one value, anywhere in it, become another.
fn any_webhook() -> impl Strategy<Value = (usize, String)> {
    let samples = SAMPLE_SOURCES
        .iter()
        .enumerate()
        .flat_map(|(at, provider)| provider.samples().iter().map(move |sample| (at, sample.body)));
    let samples: Vec<_> = samples.collect();
    (prop::sample::select(samples), any::<prop::sample::Index>(), any_json()).prop_map(
        |(sample, at, value)| {
            let mut body = serde_json::from_str(sample.1).expect("JSON");
            let mut pointers = Vec::new();
            collect_pointers(&body, "", &mut pointers);
            let pointer = at.get(&pointers);
            *body.pointer_mut(pointer).expect("it is there") = value;
            (sample.0, body.to_string())
        },
    )
}

fn collect_pointers(value: &Value, prefix: &str, pointers: &mut Vec<String>) {
    let mut visit = |name: String, value: &Value| {
        let pointer = format!("{prefix}/{name}");
        collect_pointers(value, &pointer, pointers);
        pointers.push(pointer);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| visit(name.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| visit(at.to_string(), value)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_published_event_fits_the_schema((at, body) in any_webhook()) {
        thread_local! {
            static EVENT: jsonschema::Validator = validator(&read_json(EVENT_SCHEMA));
        }
        if let Some(event) = event(SAMPLE_SOURCES[at], &body) {
            EVENT.with(|validator| assert_valid(validator, &event, &body));
        }
    }
}
