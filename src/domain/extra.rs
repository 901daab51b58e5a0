//! What the model has no place for: published as it was sent, as far as every JSON reader takes it.
//!
//! Some readers refuse a number of 5,000 digits, one beyond a double, a lone surrogate, or one name twice; and who
//! refuses that refuses the update around it. Such a value is published as a string of its JSON, and named in
//! `extra_as_text`. Nothing is lost, and nothing in `extra` costs a subscriber an update.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::document::entries;

/// A longer number is text. Some readers bound them, and the longest spelling of a double that libraries use is shorter.
const LONGEST_NUMBER: usize = 64;

/// What the model has no place for.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Extra {
    /// What the provider sent that has no place above, by its own field name: verbatim, but for the names in
    /// `extra_as_text`.
    #[serde(rename = "extra", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-personal" = true))]
    values: BTreeMap<String, Box<RawValue>>,
    /// The names in `extra` whose value some JSON readers refuse: there it is a string that holds the JSON as it was
    /// sent.
    #[serde(rename = "extra_as_text", skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("x-personal" = true))]
    as_text: BTreeSet<String>,
}

impl Extra {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value at `path`. A path that is taken already (a top-level `data.x` beside the `x` of `data`) gets `_`
    /// behind it: nothing overwrites anything.
    pub fn insert(&mut self, mut path: String, raw: &RawValue) {
        while self.values.contains_key(&path) {
            path.push('_');
        }
        let mut value = one_line(raw);
        if !is_plain(value.get()) {
            // Unwrap safety: a string is JSON.
            value = serde_json::value::to_raw_value(value.get()).expect("a string is JSON");
            self.as_text.insert(path.clone());
        }
        self.values.insert(path, value);
    }

    /// The value at `path`, as it is published.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&RawValue> {
        self.values.get(path).map(AsRef::as_ref)
    }
}

/// A value as it was sent, but for the white space between its parts: an event is one line, even if a provider's
/// JSON looks like.
#[must_use]
pub fn one_line(raw: &RawValue) -> Box<RawValue> {
    let json = raw.get();
    // Most providers send none.
    if !json.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return raw.to_owned();
    }
    let (mut compact, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for character in json.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else {
            if character.is_ascii_whitespace() {
                continue;
            }
            in_string = character == '"';
        }
        compact.push(character);
    }
    // Without the white space it is the same JSON. Should that ever be wrong, it stays as it was.
    RawValue::from_string(compact).unwrap_or_else(|_| raw.to_owned())
}

/// Whether every JSON reader takes the value, and takes it alike. Recursion is bounded:
/// [`super::document::Document::parse`] refuses deep bodies.
fn is_plain(json: &str) -> bool {
    match json.as_bytes().first() {
        Some(b'"') => is_text(json),
        Some(b'{') => entries(json.as_bytes()).is_some_and(|fields| {
            let mut names: Vec<_> = fields.iter().map(|(name, _)| name.as_ref()).collect();
            names.sort_unstable();
            names.windows(2).all(|pair| pair[0] != pair[1])
                && fields.iter().all(|(_, value)| is_plain(value.get()))
        }),
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(json)
            .is_ok_and(|items| items.iter().all(|item| is_plain(item.get()))),
        Some(b'-' | b'0'..=b'9') => {
            json.len() <= LONGEST_NUMBER && json.parse::<f64>().is_ok_and(f64::is_finite)
        }
        _ => true,
    }
}

/// Whether a JSON string is text: a lone surrogate is none.
fn is_text(json: &str) -> bool {
    !json.contains('\\') || serde_json::from_str::<String>(json).is_ok()
}
