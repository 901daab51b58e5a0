//! What the model has no place for: published as it was sent, as far as every JSON reader takes it.
//!
//! Some readers refuse a number of 5,000 digits, one beyond a double, a lone surrogate, or one name twice; and who
//! refuses that refuses the update around it. Such a value is published as a string of its JSON, and named in
//! `extra_as_text`. Nothing is lost, and nothing in `extra` costs a subscriber an update.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::document::Name;
use super::outside_strings::outside_strings;

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
    if !has_space_between(json) {
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

/// Whether there is white space outside strings. Only an object or an array has parts.
fn has_space_between(json: &str) -> bool {
    json.starts_with(['{', '['])
        && outside_strings(json.as_bytes()).any(|part| part.iter().any(u8::is_ascii_whitespace))
}

/// Whether every JSON reader takes the value, and takes it alike.
fn is_plain(json: &str) -> bool {
    match json.as_bytes().first() {
        Some(b'"') => !json.contains('\\') || is_read(json),
        Some(b'{' | b'[') => {
            is_read(json)
                && outside_strings(json.as_bytes()).all(|part| {
                    part.split(|byte| !is_of_number(*byte)).all(|run| run.len() <= LONGEST_NUMBER)
                })
        }
        Some(b'-' | b'0'..=b'9') => json.len() <= LONGEST_NUMBER && is_read(json),
        _ => true,
    }
}

const fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn is_read(json: &str) -> bool {
    serde_json::from_str::<Plain>(json).is_ok()
}

/// Any value whose strings are text, whose numbers a double holds, and whose objects have each name once.
struct Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlainVisitor;
        impl<'de> Visitor<'de> for PlainVisitor {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON that every reader takes")
            }

            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_str<E>(self, _: &str) -> Result<Plain, E> {
                Ok(Plain)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Plain, A::Error> {
                while let Some(Plain) = items.next_element()? {}
                Ok(Plain)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Plain, A::Error> {
                let mut names = Vec::with_capacity(8);
                while let Some((Name(name), Plain)) = fields.next_entry()? {
                    names.push(name);
                }
                names.sort_unstable();
                if names.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(de::Error::custom("one name twice"));
                }
                Ok(Plain)
            }
        }
        deserializer.deserialize_any(PlainVisitor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{is_plain, one_line};

    fn line(json: &str) -> String {
        one_line(serde_json::from_str::<&RawValue>(json).expect("JSON")).get().to_owned()
    }

    #[test]
    fn white_space_between_the_parts_alone_goes() {
        assert_eq!(line(r#"{ "a b" : [ 1 , "c  \" d" ] }"#), r#"{"a b":[1,"c  \" d"]}"#);
        assert_eq!(line(r#"{"a b":"c\\", "d":1}"#), r#"{"a b":"c\\","d":1}"#);
        for as_sent in [r#""a b""#, r#"{"a b":["\\","]"]}"#, "-1.50e3", "null"] {
            assert_eq!(line(as_sent), as_sent);
        }
    }

    #[test]
    fn what_some_reader_refuses_is_not_plain() {
        let long = format!("[{}]", "1".repeat(65));
        let odd = [
            "1e999",
            r#""\ud800""#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[[{"b":{"a":1,"a":1}}]]"#,
            "[-1e400]",
            r#"{"\udc00":1}"#,
            r#"["a",["\ud800x"]]"#,
            &long,
        ];
        for json in odd {
            assert!(!is_plain(json), "{json}");
        }
    }

    #[test]
    fn what_every_reader_takes_is_plain() {
        let digits = format!(r#"["{0}",{1}]"#, "1".repeat(65), "1".repeat(64));
        let usual = [
            r#"{"a":1,"b":[true,null,-0.0,1e308],"c":{"a":"\ud83d\ude00 \" x"}}"#,
            r#""\n""#,
            "12",
            "[]",
            "{}",
            "false",
            r#"{"a":{"x":1},"b":{"x":1}}"#,
            &digits,
        ];
        for json in usual {
            assert!(is_plain(json), "{json}");
        }
    }
}
