//! The same JSON spelt otherwise, for properties that must not depend on its spelling.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An event nests deeper than the body it is of, by a few levels.
const DEEPEST: usize = 64;

/// `json` with the keys of every object from last to first, and `spaces` for its white space. Numbers and strings
/// keep their bytes.
///
/// `None` when it is no JSON, nests deeper than any body that is read, has one name twice (whose values may differ in
/// key order alone, and so be one in another spelling), or a string that is no text (a lone surrogate), whose spelling
/// is all there is to it.
pub fn respelled(json: &[u8], spaces: &str) -> Option<String> {
    let mut out = String::with_capacity(json.len() * 2);
    write(serde_json::from_slice(json).ok()?, spaces, DEEPEST, &mut out)?;
    Some(out)
}

fn write(raw: &RawValue, spaces: &str, levels: usize, out: &mut String) -> Option<()> {
    let levels = levels.checked_sub(1)?;
    let json = raw.get();
    out.push_str(spaces);
    match json.as_bytes().first()? {
        b'{' => {
            let mut fields = serde_json::from_str::<Fields<'_>>(json).ok()?.0;
            fields.sort_by(|a, b| b.0.cmp(&a.0));
            if fields.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return None;
            }
            write_all('{', &fields, '}', spaces, out, |(_, name, value), out| {
                out.push_str(name.get());
                out.push_str(spaces);
                out.push(':');
                write(value, spaces, levels, out)
            })?;
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            write_all('[', &items, ']', spaces, out, |item, out| write(item, spaces, levels, out))?;
        }
        b'"' => {
            serde_json::from_str::<String>(json).ok()?;
            out.push_str(json);
        }
        _ => out.push_str(json),
    }
    out.push_str(spaces);
    Some(())
}

fn write_all<T>(
    open: char,
    items: &[T],
    close: char,
    spaces: &str,
    out: &mut String,
    write: impl Fn(&T, &mut String) -> Option<()>,
) -> Option<()> {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        out.push_str(spaces);
        write(item, out)?;
    }
    out.push(close);
    Some(())
}

/// The fields of an object: the name, the name as it was spelt, and the value.
struct Fields<'a>(Vec<(String, &'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Every;
        impl<'de> Visitor<'de> for Every {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                    let text = serde_json::from_str(name.get()).map_err(serde::de::Error::custom)?;
                    fields.push((text, name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Every)
    }
}
