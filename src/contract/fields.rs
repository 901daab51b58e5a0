//! The page about every field of an event, from its schema.

use std::fmt::Write;

use serde_json::{Map, Value};

const INTRODUCTION: &str = include_str!("text/events.md");
/// The introduction's placeholder for the list of fields that hold personal data.
const PERSONAL: &str = "{personal}";
/// The definition of `data`.
const DATA: &str = "DeliveryUpdate";

/// The page `docs/events.md`.
pub(super) fn page(event: &Value) -> String {
    let data = &event["$defs"][DATA];
    let introduction = INTRODUCTION.replace(PERSONAL, &personal(data, event, "").join(", "));
    let parts = event["$defs"].as_object().into_iter().flatten().filter(|(name, _)| *name != DATA);
    let parts: String = parts.map(|(name, definition)| section(name, definition)).collect();
    introduction + &section("CloudEvent", event) + &section(DATA, data) + &parts
}

/// The paths in `data` of what holds personal data. What is beneath one of them is not named again.
fn personal(schema: &Value, event: &Value, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, property) in properties(schema) {
        if property["x-personal"] == true {
            found.push(format!("`{prefix}{name}`"));
        } else if let Some(definition) = refers_to(property) {
            found.extend(personal(&event["$defs"][definition], event, &format!("{prefix}{name}.")));
        } else if let Some(definition) = refers_to(&property["items"]) {
            found.extend(personal(&event["$defs"][definition], event, &format!("{prefix}{name}[].")));
        }
    }
    found
}

fn section(name: &str, schema: &Value) -> String {
    let mut text = format!("\n### {name}\n\n{}\n", description(schema));
    // Writing to a string cannot fail.
    if let Some(pattern) = schema["pattern"].as_str() {
        let _ = write!(text, "\nPattern: `{pattern}`\n");
    }
    let words = ["oneOf", "anyOf"].iter().filter_map(|key| schema[key].as_array()).flatten();
    let words: String = words.map(word).collect();
    if !words.is_empty() {
        let _ = write!(text, "\n| word | meaning |\n|---|---|\n{words}");
    }
    let fields = fields(schema);
    if !fields.is_empty() {
        let _ = write!(text, "\n| field | type | | meaning |\n|---|---|---|---|\n{fields}");
    }
    text
}

fn word(word: &Value) -> String {
    let name = word["const"].as_str().map_or("any other".to_owned(), |word| format!("`{word}`"));
    format!("| {name} | {} |\n", description(word))
}

/// The rows of the table; what is always there comes first.
fn fields(schema: &Value) -> String {
    let is_required = |name: &String| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
    };
    let mut fields: Vec<_> = properties(schema).collect();
    fields.sort_by_key(|(name, _)| !is_required(name));
    let row = |(name, property): (&String, &Value)| {
        let always = is_required(name).then_some("always");
        let personal = (property["x-personal"] == true).then_some("**personal**");
        let notes = always.into_iter().chain(personal).collect::<Vec<_>>().join(", ");
        format!("| `{name}` | {} | {notes} | {} |\n", kind(property), description(property))
    };
    fields.into_iter().map(row).collect()
}

fn kind(schema: &Value) -> String {
    if let Some(name) = refers_to(schema) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(word) = schema["const"].as_str() {
        return format!("`\"{word}\"`");
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => "RFC 3339 time, UTC".to_owned(),
        (Some("array"), _) => format!("list of {}", kind(&schema["items"])),
        (Some("object"), _) => format!("object of {}", kind(&schema["additionalProperties"])),
        (Some(name), _) => name.to_owned(),
        (None, _) => "anything".to_owned(),
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flat_map(Map::iter)
}

/// The definition that a schema refers to.
fn refers_to(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn description(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}
