//! The content fingerprint: a SHA-256 over the fields that make an event what it is.
//!
//! The encoding is canonical and type-tagged: key order, white space and the spelling of a number or of a
//! string's escapes do not matter; absent, `null` and `""` are three different things. Which fields count is each
//! provider's to say (`providers.md`).
//!
//! So `90`, `90.0` and `9e1` are the same content, exactly and without a float: a sender whose JSON library changes, or
//! a proxy that writes the body anew, repeats an event and makes no other. `90` and `"90"` differ: the type was changed
//! on purpose.

use std::fmt;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::document::{entries, unquoted};
use super::instant::ProviderTime;
use super::number::Number;

/// What the fields of most events fit in.
const USUAL_BYTES: usize = 512;

/// A digest of an event's content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Collects fields in a fixed order into a [`Fingerprint`].
#[derive(Default)]
pub struct Fingerprinter(Vec<u8>);

impl Fingerprinter {
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::with_capacity(USUAL_BYTES))
    }

    /// Adds a field as it was sent, or its absence.
    #[must_use]
    pub fn field(mut self, name: &str, raw: Option<&RawValue>) -> Self {
        self.bytes(b'k', name.as_bytes());
        match raw {
            Some(raw) => self.value(raw),
            None => self.tag(b'-'),
        }
        self
    }

    /// Adds a time by its instant when it could be read, else as it was sent.
    #[must_use]
    pub fn time(mut self, name: &str, time: Option<&ProviderTime>, raw: Option<&RawValue>) -> Self {
        let Some(time) = time else { return self.field(name, raw) };
        self.bytes(b'k', name.as_bytes());
        self.bytes(b'i', &time.utc.as_nanosecond().to_be_bytes());
        self
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(self) -> Fingerprint {
        Fingerprint(Sha256::digest(self.0).into())
    }

    fn tag(&mut self, tag: u8) {
        self.0.push(tag);
    }

    fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.tag(tag);
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
    }

    /// Adds a JSON value. Recursion is bounded: [`super::document::Document::parse`] refuses deep bodies.
    fn value(&mut self, raw: &RawValue) {
        let json = raw.get();
        match json.as_bytes().first() {
            Some(b'"') => match unquoted(json) {
                Some(text) => self.bytes(b's', text.as_bytes()),
                // A lone surrogate is JSON but no text: its spelling is all there is.
                None => self.bytes(b'r', json.as_bytes()),
            },
            Some(b'{') => self.object(json),
            Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(json) {
                Ok(items) => {
                    self.bytes(b'a', &(items.len() as u64).to_be_bytes());
                    for item in items {
                        self.value(item);
                    }
                }
                Err(_) => self.bytes(b'r', json.as_bytes()),
            },
            Some(b'-' | b'0'..=b'9') => match Number::parse(json) {
                Some(number) => self.bytes(b'n', number.canonical().as_bytes()),
                // An exponent beyond 32 bits: its spelling is all there is.
                None => self.bytes(b'n', json.as_bytes()),
            },
            _ => self.bytes(b'l', json.as_bytes()),
        }
    }

    fn object(&mut self, json: &str) {
        let Some(mut fields) = entries(json.as_bytes()) else {
            return self.bytes(b'r', json.as_bytes());
        };
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        self.bytes(b'o', &(fields.len() as u64).to_be_bytes());
        for (name, value) in fields {
            self.bytes(b'k', name.as_bytes());
            self.value(value);
        }
    }
}
