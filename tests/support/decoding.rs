//! What holds for every body: shared by the property tests and the fuzz targets.

use std::collections::BTreeSet;
use std::fmt;

use milepost::domain::authentication::{Credentials, Headers};
use milepost::domain::event::UpdateEvent;
use milepost::domain::identity::{DeliveryKey, EventId, Origin, ReceiptId};
use milepost::domain::provider::{Decoded, DecodedUpdate, Provider, check_body};
use milepost::domain::samples::{SampleSource, Signing};
use milepost::domain::secret::Secret;
use milepost::domain::state::{Course, Order};
use milepost::domain::verdict::Poison;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

#[path = "respelled.rs"]
mod respelled;
pub use respelled::respelled;

/// Two receipts; nothing is special about either.
pub const RECEIPTS: [&str; 2] =
    ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"];

/// What a body is, in values that can be compared: its identity, its update's JSON, its unreadable fields.
pub type Meaning = Result<Option<(String, String, u32)>, Poison>;

/// What `body` is.
pub fn meaning(provider: &dyn Provider, body: &[u8]) -> Meaning {
    Ok(match provider.decode(body)? {
        Decoded::Update(decoded) => {
            let json = serde_json::to_string(&decoded.update).expect("an update is JSON");
            Some((format!("{:?}", decoded.identity), json, decoded.unreadable_fields))
        }
        Decoded::Ignored => None,
    })
}

/// The event that `decoded` is published as, first received as `receipt`.
pub fn event(provider: &dyn Provider, decoded: &DecodedUpdate, receipt: &str) -> UpdateEvent {
    let receipt: ReceiptId = receipt.parse().expect("a receipt");
    let delivery = DeliveryKey {
        provider: provider.id(),
        account: "default".parse().expect("an account"),
        delivery_id: decoded.update.delivery_id.clone(),
    };
    let id = EventId::new(&delivery, &decoded.identity, receipt);
    let origin = Origin { receipt, traceparent: None };
    let course = Course { sequence: 1, order: Order::InOrder, changes: Vec::new(), previous_status: None };
    UpdateEvent::new(&delivery, id, &origin, &decoded.update, &course)
}

/// Asserts all of it.
///
/// # Panics
/// When some of it does not hold.
pub fn check(provider: &dyn SampleSource, body: &[u8]) {
    let first = meaning(provider, body);
    assert_eq!(first, meaning(provider, body), "the same bytes are the same");
    check_stored(provider, body, &first);
    if let Ok(Decoded::Update(decoded)) = provider.decode(body) {
        check_event(provider, &decoded);
    }
    check_spelling(provider, body, first);
}

/// What the receiver stores of a webhook means what was sent, its credential aside.
fn check_stored(provider: &dyn SampleSource, body: &[u8], first: &Meaning) {
    let secret = Secret::new(b"user:the secret of a test").expect("not empty");
    for authentication in provider.authentication() {
        let signing = Signing { scheme: authentication.scheme(), header: None, secret: &secret };
        let webhook = provider.sign(body.to_vec().into(), &signing);
        let secrets = vec![secret.clone()];
        let credentials = Credentials { authentication: authentication.clone(), secrets };
        let Ok(proof) = credentials.check_headers(&Signed(&webhook.headers)) else { continue };
        // 247Express and Deliverect have bodies refused that are no JSON object.
        if let Ok(stored) = check_body(provider, &credentials, &proof, webhook.body) {
            assert_eq!(meaning(provider, &stored), *first, "what is stored is what was sent");
        }
    }
}

struct Signed<'a>(&'a [(String, String)]);

impl Headers for Signed<'_> {
    fn values<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        let value = self.0.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_bytes());
        Box::new(value.into_iter())
    }
}

/// An update is an event of one line of JSON that every reader takes, about a delivery whose id every system can name,
/// and its id is the identity's, or else the receipt's.
fn check_event(provider: &dyn Provider, decoded: &DecodedUpdate) {
    let [first, other] = RECEIPTS.map(|receipt| event(provider, decoded, receipt));
    assert!(is_strict(&first.body), "every reader takes an event: {}", first.body.escape_ascii());
    assert!(!first.body.contains(&b'\n'), "an event is one line");
    assert_eq!(first.routing_key.split('.').count(), 4, "{}", first.routing_key);
    let ids = [Some(&decoded.update.delivery_id), decoded.update.provider_event_id.as_ref()];
    for id in ids.into_iter().flatten() {
        assert!((1..=256).contains(&id.len()), "an id is bounded");
        assert!(id.chars().any(|c| !c.is_whitespace()), "an id is not blank");
        let control = |c: char| matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}');
        assert!(!id.contains(control), "CloudEvents forbids control characters: {id:?}");
    }
    assert_eq!(first.id == other.id, decoded.identity.provider_event_id.is_some());
}

/// Whether a strict reader takes `json`: every string is text, every number is a double, and no name is there twice.
pub fn is_strict(json: &[u8]) -> bool {
    serde_json::from_slice::<Strict>(json).is_ok()
}

struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Strict;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E: Error>(self) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Strict, E> {
                if number.is_finite() { Ok(Strict) } else { Err(E::custom("beyond a double")) }
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Strict, E> {
                Ok(Strict)
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Strict, S::Error> {
                while items.next_element::<Strict>()?.is_some() {}
                Ok(Strict)
            }

            fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Strict, M::Error> {
                let mut names = BTreeSet::new();
                while let Some((name, Strict)) = fields.next_entry::<String, Strict>()? {
                    if !names.insert(name) {
                        return Err(M::Error::custom("one name twice"));
                    }
                }
                Ok(Strict)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Key order and white space change nothing: neither identity and update, nor why there are none.
fn check_spelling(provider: &dyn Provider, body: &[u8], first: Meaning) {
    let Some(other) = respelled(body, "\n\t") else { return };
    // `extra` has values as they were sent, so keys may be in any order in there.
    let canonical = |meaning: Meaning| {
        meaning.map(|update| {
            update.map(|(identity, update, unreadable)| {
                (identity, respelled(texts_respelled(update).as_bytes(), ""), unreadable)
            })
        })
    };
    assert_eq!(canonical(meaning(provider, other.as_bytes())), canonical(first), "spelling says nothing");
}

/// The update with what `extra` has as text spelt anew too.
fn texts_respelled(mut update: String) -> String {
    let value: Value = serde_json::from_str(&update).expect("an update is JSON");
    for name in value["extra_as_text"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let text = &value["extra"][name];
        let other = text.as_str().and_then(|text| respelled(text.as_bytes(), ""));
        update = other.map_or(update.clone(), |other| {
            update.replace(&text.to_string(), &Value::from(other).to_string())
        });
    }
    update
}
