//! HubRise's signature, the answers to its sender, and what makes two of its webhooks one event.

use std::collections::BTreeSet;
use std::time::Duration;

use milepost::domain::answer::{Answer, Rejection, RejectionKind};
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::identity::{DeliveryKey, EventId, ReceiptId};
use milepost::domain::provider::Provider;
use milepost::domain::samples::SampleSource;
use milepost::domain::secret::Secret;
use milepost::providers::HUBRISE;
use serde_json::{Value, json};

use crate::support::{self, Pairs, body, sample, signing, update};

const RESOURCE: &str = include_str!("../fixtures/hubrise/documented_delivery.json");

/// The sample that holds the document's own resource, changed by `change`.
fn callback(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&HUBRISE, "pickup_waiting");
    change(&mut body);
    body
}

fn resource(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = serde_json::from_str(RESOURCE).expect("JSON");
    change(&mut body);
    body
}

fn remove(object: &mut Value, name: &str) {
    object.as_object_mut().expect("an object").remove(name);
}

fn fingerprint(body: &Value) -> String {
    format!("{:?}", update(&HUBRISE, &body.to_string()).identity.fingerprint)
}

#[test]
fn a_signature_by_any_live_secret_opens() {
    let text = sample(&HUBRISE, "pickup_waiting").to_string();
    let signed = |secret: &str| {
        let secret = Secret::new(secret.as_bytes()).expect("not empty");
        HUBRISE.sign(body(&text), &signing(AuthScheme::Hmac, &secret)).headers
    };
    let open = |headers: &[(String, String)], secrets: &[&str]| {
        support::open(&HUBRISE, AuthScheme::Hmac, &Pairs(headers), body(&text), secrets)
    };
    assert_eq!(open(&signed("one"), &["one"]), Ok(body(&text)));
    assert_eq!(open(&signed("one"), &["one", "two"]), Ok(body(&text)));
    assert_eq!(open(&signed("two"), &["one", "two"]), Ok(body(&text)));
    assert_eq!(open(&signed("three"), &["one", "two"]), Err(Rejection::WrongCredential));
    assert_eq!(open(&[], &["one"]), Err(Rejection::MissingCredential));
    assert_eq!(open(&signed("one"), &[]), Err(Rejection::NoSecret));
    assert_eq!(open(&[], &[]), Err(Rejection::NoSecret));
    let signature = signed("one")[0].1.clone();
    let with = |value: String| open(&[("x-hubrise-hmac-sha256".to_owned(), value)], &["one"]);
    assert_eq!(with(signature.to_uppercase()), Ok(body(&text)));
    let changed = signature.replacen(&signature[..1], if signature.starts_with('0') { "1" } else { "0" }, 1);
    for wrong in [
        String::new(),
        changed,
        signature[..62].to_owned(),
        format!("{signature}00"),
        format!("sha256={signature}"),
    ] {
        assert_eq!(with(wrong), Err(Rejection::WrongCredential));
    }
    assert_eq!(
        open(&[("x-telyport-signature".to_owned(), signature)], &["one"]),
        Err(Rejection::MissingCredential)
    );
}

/// Computed apart, with Python's hmac, over the file's bytes as HubRise's document shows it.
#[test]
fn a_callback_has_this_signature() {
    let text = include_str!("../../src/providers/samples/hubrise/pickup_waiting.json");
    let signature = "a24be3e213f776274f72b61836c2b0c172836b1e84b316672bc416137f2c271a";
    let secret = Secret::new(b"hubrise-client-secret").expect("not empty");
    let signed = HUBRISE.sign(body(text), &signing(AuthScheme::Hmac, &secret));
    assert_eq!(signed.headers, [("x-hubrise-hmac-sha256".to_owned(), signature.to_owned())]);
    assert_eq!(signed.body, text);

    let headers = [("x-hubrise-hmac-sha256", signature.to_owned())];
    let open = |text: &str| {
        let live = &["hubrise-client-secret"];
        support::open(&HUBRISE, AuthScheme::Hmac, &Pairs(&headers), body(text), live)
    };
    assert_eq!(open(text), Ok(body(text)));
    // The same JSON in other bytes was not signed.
    let value: Value = serde_json::from_str(text).expect("JSON");
    for other in [value.to_string(), text.trim_end().to_owned(), format!("\u{feff}{text}")] {
        assert_eq!(open(&other), Err(Rejection::WrongCredential));
    }
}

/// From 200 to 499 HubRise deletes the event.
#[test]
fn only_a_bad_signature_makes_hubrise_delete_what_was_not_stored() {
    let answers = [
        (Ok(()), 200, ""),
        (Err(RejectionKind::NotAuthentic), 401, "not authentic\n"),
        (Err(RejectionKind::NotDecodable), 503, "cannot store it now, send it again\n"),
        (Err(RejectionKind::TooLarge), 503, "cannot store it now, send it again\n"),
        (Err(RejectionKind::TooSlow), 503, "cannot store it now, send it again\n"),
        (Err(RejectionKind::BadRequest), 503, "cannot store it now, send it again\n"),
        (Err(RejectionKind::UnsupportedEncoding), 503, "cannot store it now, send it again\n"),
        (Err(RejectionKind::WrongMethod), 503, "cannot store it now, send it again\n"),
        (Err(RejectionKind::Unknown), 503, "cannot store it now, send it again\n"),
        (Err(RejectionKind::Unavailable), 503, "cannot store it now, send it again\n"),
    ];
    for (outcome, code, text) in answers {
        for scheme in [Some(AuthScheme::Hmac), None] {
            let answer = HUBRISE.answer(scheme, outcome);
            assert_eq!((answer.code, answer.body.as_ref()), (code, text), "{outcome:?}");
        }
    }
    assert_eq!(HUBRISE.answer(Some(AuthScheme::Hmac), Ok(())), Answer::empty(200));
    for rejection in Rejection::ALL {
        let code = HUBRISE.answer(Some(AuthScheme::Hmac), Err(rejection.kind())).code;
        let forged = matches!(
            rejection,
            Rejection::MissingCredential | Rejection::WrongCredential | Rejection::AmbiguousCredential
        );
        assert_eq!(code, if forged { 401 } else { 503 }, "{rejection:?}");
    }
}

#[test]
fn it_is_sent_again_for_up_to_63_minutes() {
    assert_eq!(HUBRISE.resend_horizon(), Duration::from_secs(7200));
    assert_eq!(HUBRISE.authentication(), [Authentication::Hmac { header: "x-hubrise-hmac-sha256" }]);
    assert_eq!(HUBRISE.documented_path(), None);
}

/// The digests were computed apart, with Python's hashlib.
#[test]
fn a_callback_keeps_its_identity() {
    let decoded = update(&HUBRISE, &callback(|_| {}).to_string());
    assert_eq!(decoded.identity.provider_event_id.as_deref(), Some("x7k3d"));
    assert_eq!(
        format!("{:?}", decoded.identity.fingerprint),
        "04fedce8dcf3c4b0a8d8ba8ad65136bcfd2570d1fb2ad4a2e9a1548cc58a3f4a"
    );
    let delivery = DeliveryKey {
        provider: HUBRISE.id(),
        account: "default".parse().expect("an account"),
        delivery_id: decoded.update.delivery_id,
    };
    let anchor: ReceiptId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a receipt");
    let id = EventId::new(&delivery, &decoded.identity, anchor);
    assert_eq!(id.as_str(), "c4f71637c67dd64f03e634942b0d4d45");

    let resource = update(&HUBRISE, RESOURCE);
    assert_eq!(resource.identity.provider_event_id, None);
    assert_eq!(
        format!("{:?}", resource.identity.fingerprint),
        "c6be023f87d10fa38ec4c4f9795488a9a80c305e36c832775f59bfdc365bc8b1"
    );
}

#[test]
fn the_fingerprint_is_over_the_new_state_and_not_over_its_envelope() {
    let same = [
        callback(|_| {}),
        callback(|body| body["id"] = json!("another")),
        callback(|body| body["created_at"] = json!("2023-01-01T13:00:00+01:00")),
        callback(|body| body["previous_state"] = Value::Null),
        callback(|body| body["order_id"] = Value::Null),
        callback(|body| remove(body, "account_id")),
    ];
    for body in &same {
        assert_eq!(fingerprint(body), fingerprint(&same[0]), "{body}");
    }
    let mut different = vec![
        callback(|_| {}),
        callback(|body| body["event_type"] = json!("create")),
        callback(|body| body["event_type"] = json!("")),
        callback(|body| body["event_type"] = Value::Null),
        callback(|body| remove(body, "event_type")),
        callback(|body| body["delivery_id"] = json!("")),
        callback(|body| body["delivery_id"] = Value::Null),
        callback(|body| remove(body, "delivery_id")),
        callback(|body| body["resource_id"] = json!("ez351")),
        callback(|body| body["new_state"]["driver_pickup_url"] = Value::Null),
    ];
    let state = sample(&HUBRISE, "pickup_waiting")["new_state"].clone();
    for name in state.as_object().expect("an object").keys().filter(|name| *name != "status") {
        let values =
            [json!("other"), json!(""), Value::Null].into_iter().filter(|value| *value != state[name]);
        // Another id than the envelope's is a contradiction.
        if name != "id" {
            different.extend(values.map(|value| callback(|body| body["new_state"][name] = value)));
        }
        different.push(callback(|body| remove(&mut body["new_state"], name)));
    }
    different.push(callback(|body| body["new_state"]["status"] = json!("delivered")));
    let fingerprints: BTreeSet<_> = different.iter().map(fingerprint).collect();
    assert_eq!(fingerprints.len(), different.len());
}

#[test]
fn the_fingerprint_of_a_resource_is_over_all_of_it() {
    let state = resource(|_| {});
    let mut different = vec![resource(|_| {}), resource(|body| body["undocumented"] = json!(1))];
    for name in state.as_object().expect("an object").keys().filter(|name| *name != "id" && *name != "status")
    {
        let values =
            [json!("other"), json!(""), Value::Null].into_iter().filter(|value| *value != state[name]);
        different.extend(values.map(|value| resource(|body| body[name] = value)));
        different.push(resource(|body| remove(body, name)));
    }
    different.push(resource(|body| body["id"] = json!("ez352")));
    different.push(resource(|body| body["status"] = json!("delivered")));
    let fingerprints: BTreeSet<_> = different.iter().map(fingerprint).collect();
    assert_eq!(fingerprints.len(), different.len());
}
