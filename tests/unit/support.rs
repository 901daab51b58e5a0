//! What several modules here need: headers, arbitrary JSON, and a look at every value of a document.

use std::collections::BTreeMap;

use bytes::Bytes;
use milepost::domain::answer::Rejection;
use milepost::domain::authentication::{AuthScheme, Authentication, Credentials, Headers};
use milepost::domain::journey::Personal;
use milepost::domain::provider::{Decoded, DecodedUpdate, Provider, check_body};
use milepost::domain::samples::{SampleSource, Signing};
use milepost::domain::secret::Secret;
use milepost::domain::verdict::{ParkReason, Poison};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Headers as pairs of a lower-case name and a value.
pub struct Pairs<'a, N>(pub &'a [(N, String)]);

impl<N: AsRef<str>> Headers for Pairs<'_, N> {
    fn values<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        let values: Vec<_> = self.0.iter().filter(|(header, _)| header.as_ref() == name).collect();
        Box::new(values.into_iter().map(|(_, value)| value.as_bytes()))
    }
}

/// What is stored of a webhook of `provider`, whose account has these secrets.
pub fn open(
    provider: &dyn Provider,
    scheme: AuthScheme,
    headers: &dyn Headers,
    body: Bytes,
    secrets: &[&str],
) -> Result<Bytes, Rejection> {
    let credentials = credentials(documented(provider, scheme), secrets);
    let proof = credentials.check_headers(headers)?;
    check_body(provider, &credentials, &proof, body)
}

/// How `provider` documents the scheme.
pub fn documented(provider: &dyn Provider, scheme: AuthScheme) -> Authentication {
    provider.authentication().iter().find(|one| one.scheme() == scheme).expect("a documented scheme").clone()
}

pub fn credentials(authentication: Authentication, secrets: &[&str]) -> Credentials {
    let secrets = secrets.iter().map(|secret| Secret::new(secret.as_bytes()).expect("not empty")).collect();
    Credentials { authentication, secrets }
}

/// What `milepost send` signs with when no header was chosen.
pub const fn signing(scheme: AuthScheme, secret: &Secret) -> Signing<'_> {
    Signing { scheme, header: None, secret }
}

/// The update that `body` is.
pub fn update(provider: &dyn Provider, body: &str) -> DecodedUpdate {
    match provider.decode(body.as_bytes()) {
        Ok(Decoded::Update(update)) => *update,
        other => panic!("no update but {other:?}"),
    }
}

/// The update's JSON, and how many of its fields were unreadable.
pub fn published(provider: &dyn Provider, body: &Value) -> (Value, u32) {
    let decoded = update(provider, &body.to_string());
    (serde_json::to_value(&decoded.update).expect("an update is JSON"), decoded.unreadable_fields)
}

pub fn poison(provider: &dyn Provider, body: &[u8]) -> Poison {
    match provider.decode(body) {
        Err(poison) => poison,
        other => panic!("no poison but {other:?}"),
    }
}

/// The sample `name`, made the webhook of `step` of the delivery 7 of the run `ab12`, which began at `begun`.
pub fn personal(provider: &dyn SampleSource, name: &str, step: u32, begun: &str) -> Value {
    let mut body = sample(provider, name);
    let begun = begun.parse().expect("a time");
    let told = provider.journeys().iter().find(|journey| journey.steps.get(step as usize) == Some(&name));
    let steps = told.map_or(&[][..], |journey| journey.steps);
    provider.personalize(&mut body, &Personal { tag: "ab12", number: 7, steps, step, begun });
    body
}

/// Asserts that `body` is parked for `reason`, with our own fixed `detail`.
#[track_caller]
pub fn assert_parked(provider: &dyn Provider, body: &[u8], reason: ParkReason, detail: &str) {
    let poison = poison(provider, body);
    assert_eq!((poison.reason, poison.detail), (reason, detail), "{}", String::from_utf8_lossy(body));
}

pub fn sample(provider: &dyn SampleSource, name: &str) -> Value {
    let sample = provider.samples().iter().find(|sample| sample.name == name).expect("a known sample");
    serde_json::from_str(sample.body).expect("samples are JSON")
}

/// How often each value that is not `null` occurs in a document, numbers by their digits.
pub fn leaves(value: &Value) -> BTreeMap<String, usize> {
    fn walk(value: &Value, found: &mut BTreeMap<String, usize>) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| walk(field, found)),
            Value::String(text) => *found.entry(text.clone()).or_default() += 1,
            Value::Bool(_) | Value::Number(_) => *found.entry(value.to_string()).or_default() += 1,
        }
    }
    let mut found = BTreeMap::new();
    walk(value, &mut found);
    found
}

/// Arbitrary JSON without floats, so that every number has an exact spelling.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5).prop_map(|fields| json!(fields)),
        ]
    })
}

/// An object with arbitrary values under some of `names`, and under other names.
pub fn any_object_with(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let name = prop_oneof![4 => prop::sample::select(names).prop_map(str::to_owned), 1 => ".{0,6}"];
    prop::collection::btree_map(name, any_json(), 0..12).prop_map(|fields| json!(fields))
}

/// Bytes that a test sends as a body.
pub fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
