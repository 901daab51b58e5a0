//! One JSON object, taken apart field by field, so that nothing in it is lost unnoticed.
//!
//! A decoder takes the fields it knows; what is left (unknown fields, and known ones whose value cannot be
//! read) is returned by [`Document::into_extra`]. Values stay slices of the body until they are taken: numbers never pass
//! through a float.

use std::borrow::Cow;
use std::fmt;

use jiff::tz::Offset;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::decimal::Decimal;
use super::extra::{Extra, one_line};
use super::instant::{self, ProviderTime};
use super::number::Number;
use super::outside_strings::outside_strings;
use super::verdict::Poison;

/// Deeper nesting than this is parked: it is no provider's, and it would be a subscriber's parser's problem.
const DEEPEST: usize = 32;

/// The longest id of a delivery or an event.
const LONGEST_ID: usize = 256;

/// A JSON object whose fields are taken one by one.
#[derive(Debug, Default)]
pub struct Document<'a> {
    /// Sorted by name, each name once; `None` once taken.
    fields: Vec<(Cow<'a, str>, Option<&'a RawValue>)>,
    unreadable: u32,
}

impl<'a> Document<'a> {
    /// Reads a body that must be exactly one JSON object, which a byte order mark may precede.
    ///
    /// # Errors
    /// [`Poison`] when it is not JSON, not an object, nested too deeply, or has one name with two values.
    pub fn parse(body: &'a [u8]) -> Result<Self, Poison> {
        let body = without_mark(body);
        if !shallow(body) {
            return Err(Poison::malformed("nested too deeply"));
        }
        let entries: ObjectFields<'a> =
            serde_json::from_slice(body).map_err(|_| Poison::malformed("not one JSON object"))?;
        Self::from_entries(entries)
    }

    fn from_entries(ObjectFields(mut fields): ObjectFields<'a>) -> Result<Self, Poison> {
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        for pair in fields.windows(2) {
            if pair[0].0 == pair[1].0 && one_line(pair[0].1).get() != one_line(pair[1].1).get() {
                return Err(Poison::contradiction("one name with two values"));
            }
        }
        fields.dedup_by(|a, b| a.0 == b.0);
        let fields = fields.into_iter().map(|(name, raw)| (name, Some(raw))).collect();
        Ok(Self { fields, unreadable: 0 })
    }

    /// Looks at a field without taking it.
    #[must_use]
    pub fn peek(&self, name: &str) -> Option<&'a RawValue> {
        let at = self.fields.binary_search_by(|(field, _)| field.as_ref().cmp(name)).ok()?;
        self.fields[at].1
    }

    /// Takes a field of any kind, even a `null`, so that it gets nowhere.
    pub fn take(&mut self, name: &str) {
        if let Ok(at) = self.fields.binary_search_by(|(field, _)| field.as_ref().cmp(name)) {
            self.fields[at].1 = None;
        }
    }

    /// Takes a field if `read` understands it. An absent field is `None`; so is a `null`, which stays for
    /// [`Self::into_extra`], so that "there is none" differs from "not said"; and so is one that `read`
    /// refuses, which stays too, and is counted.
    pub fn read<T>(&mut self, name: &str, read: impl FnOnce(&'a RawValue) -> Option<T>) -> Option<T> {
        let raw = self.peek(name)?;
        if raw.get() == "null" {
            return None;
        }
        let value = read(raw);
        if value.is_some() {
            self.take(name);
        } else {
            self.unreadable += 1;
        }
        value
    }

    /// Takes a text; an empty one says as little as `null`. A number is taken by its digits ([`text`]): providers
    /// disagree with their own documents there.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, text).filter(|text| !text.is_empty())
    }

    /// Takes an optional text that identifies something, if it is usable ([`is_usable`]).
    pub fn id(&mut self, name: &str) -> Option<String> {
        self.read(name, |raw| text(raw).filter(|id| id.is_empty() || is_usable(id)))
            .filter(|id| !id.is_empty())
    }

    /// Takes the delivery's id; there may be none here, or one that is neither a text nor a number.
    ///
    /// # Errors
    /// [`Poison`] when it is not usable: everything about the delivery would go under an id that no system downstream
    /// could name.
    pub fn delivery_id(&mut self, name: &str) -> Result<Option<String>, Poison> {
        let no_text = self.peek(name).is_some_and(|raw| raw.get().starts_with('"') && text(raw).is_none());
        match self.text(name) {
            id if no_text || id.as_deref().is_some_and(|id| !is_usable(id)) => {
                Err(Poison::malformed("a delivery's id that is not usable"))
            }
            id => Ok(id),
        }
    }

    /// Takes a decimal number, written as a number or as a string, exactly as it was sent.
    pub fn decimal(&mut self, name: &str) -> Option<Decimal> {
        self.read(name, decimal)
    }

    /// Takes a whole number, written as a number or as a string; `1.0` is one.
    pub fn integer(&mut self, name: &str) -> Option<i64> {
        self.read(name, |raw| Number::parse(&spelling(raw)?)?.whole()?.parse().ok())
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        self.read(name, |raw| raw.get().parse().ok())
    }

    /// Takes a time: an epoch number, which may be in a string, or text as [`instant::from_text`] reads it.
    pub fn time(&mut self, name: &str, default_offset: Option<Offset>) -> Option<ProviderTime> {
        let read = |raw| {
            let original = spelling(raw)?;
            if original.is_empty() {
                return Some(None);
            }
            let utc = match Number::parse(&original) {
                Some(number) => instant::from_epoch(&number),
                None => instant::from_text(&original, default_offset),
            }?;
            Some(Some(ProviderTime { utc, original: original.into_owned() }))
        };
        self.read(name, read).flatten()
    }

    /// Takes a nested object. Its own left-overs go into the same [`Extra`] behind a prefix.
    ///
    /// # Errors
    /// [`Poison`] when it has one name with two values, or a name that is no text. It then counts as unreadable and
    /// stays: the caller says whether the rest is worth anything without it.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, Poison> {
        let mut poison = None;
        let object = self.read(name, |raw| {
            if !raw.get().starts_with('{') {
                return None;
            }
            let entries = serde_json::from_str::<ObjectFields<'a>>(raw.get());
            entries
                .map_err(|_| Poison::malformed("a name that is no text"))
                .and_then(Self::from_entries)
                .map_err(|found| poison = Some(found))
                .ok()
        });
        poison.map_or(Ok(object), Err)
    }

    /// How many fields were there and could not be read.
    #[must_use]
    pub const fn unreadable(&self) -> u32 {
        self.unreadable
    }

    /// What was not taken, each name behind `prefix`.
    pub fn into_extra(self, prefix: &str, extra: &mut Extra) {
        for (name, raw) in self.fields {
            if let Some(raw) = raw {
                extra.insert(format!("{prefix}{name}"), raw);
            }
        }
    }
}

/// A JSON string, or a number by its digits, so that a whole one is the same text however it is spelt: `90.0` and `9e1`
/// are `90`. A number that is not whole, or that has too many digits, is as it was sent. `None` for anything else.
#[must_use]
pub fn text(raw: &RawValue) -> Option<String> {
    let said = spelling(raw)?;
    let is_whole_by_value = !raw.get().starts_with('"') && said.contains(['.', 'e', 'E']);
    let whole = is_whole_by_value.then(|| Number::parse(&said)?.whole()).flatten();
    Some(whole.unwrap_or_else(|| said.into_owned()))
}

/// A decimal number, written as a number or as a string.
#[must_use]
pub fn decimal(raw: &RawValue) -> Option<Decimal> {
    spelling(raw)?.parse().ok()
}

/// A JSON string, or a number as it was sent.
fn spelling(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    match json.as_bytes().first()? {
        b'"' => unquoted(json),
        b'-' | b'0'..=b'9' => Some(json.into()),
        _ => None,
    }
}

/// The text of a JSON string. `None` for one with a lone surrogate, which is no text.
pub(super) fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    match json.strip_prefix('"')?.strip_suffix('"')? {
        escaped if escaped.contains('\\') => serde_json::from_str(json).ok().map(Cow::Owned),
        text => Some(text.into()),
    }
}

/// The body without the UTF-8 byte order mark that .NET is fond of. It is no part of JSON, and means nothing.
#[must_use]
pub fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Whether a text can identify something downstream: it is not blank, no longer than [`LONGEST_ID`] bytes, and has
/// nothing that `CloudEvents` forbids in an attribute (control characters and noncharacters).
fn is_usable(id: &str) -> bool {
    let forbidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{fdd0}'..='\u{fdef}')
            || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff)
    };
    id.len() <= LONGEST_ID && !id.trim().is_empty() && !id.contains(forbidden)
}

/// Whether brackets outside strings nest no deeper than [`DEEPEST`]. Linear, and says nothing about validity.
fn shallow(body: &[u8]) -> bool {
    let mut depth = 0_usize;
    outside_strings(body).flatten().all(|byte| {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= DEEPEST
    })
}

/// The fields of an object in the order sent, duplicates included.
struct ObjectFields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A field's name.
#[derive(Deserialize)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for ObjectFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = ObjectFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::with_capacity(16);
                while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    entries.push((name, raw));
                }
                Ok(ObjectFields(entries))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The entries of a JSON object in the order sent, with every name as it was decoded: for callers that must see
/// duplicates and spelling (247Express's `ApiKey`). `Cow::Owned` means that the name was written with escapes.
#[must_use]
pub fn entries(body: &[u8]) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_slice::<ObjectFields<'_>>(without_mark(body)).ok().map(|entries| entries.0)
}
