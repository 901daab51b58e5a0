//! What subscribers are promised, as files: the schema of the event, AsyncAPI of the topics, an event of each provider
//! and status, and pages for people. All of it is made from the types, the providers' data and their samples;
//! `docs/` has it committed, and a test fails when that is not what is made here.

mod asyncapi;
mod diagrams;
mod examples;
mod fields;
mod schema;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::providers;

/// Every file, by its path in `docs/`.
#[must_use]
pub fn files() -> BTreeMap<String, String> {
    let event = schema::event();
    let mut files = BTreeMap::from([
        ("contract/v1/asyncapi.json".to_owned(), pretty(&asyncapi::document())),
        ("contract/v1/delivery-update.schema.json".to_owned(), pretty(schema::delivery_update().as_value())),
        ("contract/v1/event.schema.json".to_owned(), pretty(event.as_value())),
        ("events.md".to_owned(), fields::page(event.as_value())),
        ("transitions.md".to_owned(), diagrams::page(providers::ALL)),
    ]);
    for &provider in providers::SAMPLE_SOURCES {
        for (status, event) in examples::of(provider) {
            let name = format!("contract/v1/examples/{}/{}.json", provider.id(), status.as_str());
            files.insert(name, pretty(&event));
        }
    }
    files
}

fn pretty(json: &Value) -> String {
    format!("{json:#}\n")
}
