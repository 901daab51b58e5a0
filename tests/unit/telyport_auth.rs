//! Telyport's signature, the answers to its sender, and what makes two of its webhooks one event.

use milepost::domain::answer::{Answer, Rejection, RejectionKind};
use milepost::domain::authentication::AuthScheme;
use milepost::domain::identity::{DeliveryKey, EventId, ReceiptId};
use milepost::domain::provider::Provider;
use milepost::domain::samples::SampleSource;
use milepost::domain::secret::Secret;
use milepost::providers::TELYPORT;
use serde_json::{Value, json};

use crate::support::{self, Pairs, body, sample, signing, update};

/// The documented example, changed by `change`.
fn started(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = sample(&TELYPORT, "started");
    change(&mut body);
    body
}

fn fingerprint(body: &Value) -> String {
    format!("{:?}", update(&TELYPORT, &body.to_string()).identity.fingerprint)
}

#[test]
fn a_signature_by_any_live_secret_opens() {
    let text = sample(&TELYPORT, "started").to_string();
    let signed = |secret: &str| {
        let secret = Secret::new(secret.as_bytes()).expect("not empty");
        TELYPORT.sign(body(&text), &signing(AuthScheme::Hmac, &secret)).headers
    };
    let open = |headers: &[(String, String)], secrets: &[&str]| {
        support::open(&TELYPORT, AuthScheme::Hmac, &Pairs(headers), body(&text), secrets)
    };
    assert_eq!(open(&signed("one"), &["one"]), Ok(body(&text)));
    assert_eq!(open(&signed("one"), &["one", "two"]), Ok(body(&text)));
    assert_eq!(open(&signed("two"), &["one", "two"]), Ok(body(&text)));
    assert_eq!(open(&signed("three"), &["one", "two"]), Err(Rejection::WrongCredential));
    assert_eq!(open(&[], &["one"]), Err(Rejection::MissingCredential));
    assert_eq!(open(&signed("one"), &[]), Err(Rejection::NoSecret));
    assert_eq!(open(&[], &[]), Err(Rejection::NoSecret));
    let signature = signed("one")[0].1.clone();
    let with = |value: String| open(&[("x-telyport-signature".to_owned(), value)], &["one"]);
    assert_eq!(with(signature.to_uppercase()), Ok(body(&text)));
    for wrong in
        [String::new(), signature[..62].to_owned(), format!("{signature}00"), format!("sha256={signature}")]
    {
        assert_eq!(with(wrong), Err(Rejection::WrongCredential));
    }
}

/// Computed apart, with Python's hmac, as Telyport's document shows it.
#[test]
fn the_documented_example_has_this_signature() {
    let example = include_str!("../../src/providers/samples/telyport/started.json");
    let secret = Secret::new(b"telyport-webhook-secret").expect("not empty");
    let signed = TELYPORT.sign(body(example), &signing(AuthScheme::Hmac, &secret));
    assert_eq!(
        signed.headers,
        [(
            "x-telyport-signature".to_owned(),
            "39570d5526a5549bcc5a103546ce806754eba5347121a140859dfd337c0291f0".to_owned()
        )]
    );
    assert_eq!(signed.body, example);
}

#[test]
fn one_byte_changed_is_another_body() {
    let secret = Secret::new(b"secret").expect("not empty");
    let signed = TELYPORT.sign(body("{\"a\":1}"), &signing(AuthScheme::Hmac, &secret));
    let opened =
        support::open(&TELYPORT, AuthScheme::Hmac, &Pairs(&signed.headers), body("{\"a\": 1}"), &["secret"]);
    assert_eq!(opened, Err(Rejection::WrongCredential));
}

#[test]
fn answers_are_plain() {
    let codes = [
        (Ok(()), 200),
        (Err(RejectionKind::NotAuthentic), 401),
        (Err(RejectionKind::TooLarge), 413),
        (Err(RejectionKind::TooSlow), 408),
        (Err(RejectionKind::BadRequest), 400),
        (Err(RejectionKind::UnsupportedEncoding), 415),
        (Err(RejectionKind::WrongMethod), 405),
        (Err(RejectionKind::Unknown), 404),
        (Err(RejectionKind::Unavailable), 503),
    ];
    for (outcome, code) in codes {
        assert_eq!(TELYPORT.answer(Some(AuthScheme::Hmac), outcome).code, code, "{outcome:?}");
    }
    assert_eq!(TELYPORT.answer(Some(AuthScheme::Hmac), Ok(())), Answer::empty(200));
}

/// The digests were computed apart, with Python's hashlib.
#[test]
fn the_documented_example_keeps_its_identity() {
    let decoded = update(&TELYPORT, &sample(&TELYPORT, "started").to_string());
    assert_eq!(decoded.identity.provider_event_id.as_deref(), Some("29RZXABCDtzk4Uxj"));
    assert_eq!(
        format!("{:?}", decoded.identity.fingerprint),
        "c1a9cfe61d88d1782c5feba901d2222e681824902bb2134a16bea5d84e087719"
    );
    let delivery = DeliveryKey {
        provider: TELYPORT.id(),
        account: "default".parse().expect("an account"),
        delivery_id: decoded.update.delivery_id,
    };
    let anchor: ReceiptId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("a receipt");
    let id = EventId::new(&delivery, &decoded.identity, anchor);
    assert_eq!(id.as_str(), "059b0ee8fd24fa849cd956c3a8af7851");
}

#[test]
fn the_fingerprint_is_the_same_in_data_and_beside_it() {
    let inside = json!({"data": {"orderID": "IN1", "status": "NEW", "updatedAt": 1_739_365_639}});
    let beside = json!({"orderID": "IN1", "status": "NEW", "updatedAt": 1_739_365_639});
    let beside_null = json!({
        "orderID": "IN1", "status": "NEW", "updatedAt": 1_739_365_639,
        "data": {"orderID": null, "status": "NEW", "updatedAt": null},
    });
    assert_eq!(fingerprint(&inside), fingerprint(&beside));
    assert_eq!(fingerprint(&inside), fingerprint(&beside_null));
}

#[test]
fn the_fingerprint_is_over_what_happened_and_not_over_its_envelope() {
    let same = [
        started(|_| {}),
        started(|body| body["timestamp"] = json!(1_739_369_999_000_u64)),
        started(|body| body["timestamp"] = Value::Null),
        started(|body| body["webhookEventID"] = json!("another")),
        started(|body| body["data"]["businessOrderID"] = json!("#1")),
        started(|body| body["data"]["updatedAt"] = json!("2025-02-12T13:07:19.201Z")),
        started(|body| body["data"]["updatedAt"] = json!("1739365639201")),
        started(|body| body["orderID"] = json!("IN250212151234")),
    ];
    for body in &same {
        assert_eq!(fingerprint(body), fingerprint(&same[0]), "{body}");
    }
    let different = [
        started(|_| {}),
        started(|body| body["event"] = json!("ORDER.CREATED")),
        started(|body| body["event"] = Value::Null),
        started(|body| body["data"]["orderID"] = json!("IN250212151235")),
        started(|body| body["data"]["status"] = json!("NEW")),
        started(|body| body["data"]["updatedAt"] = json!(1_739_365_639_202_u64)),
        started(|body| body["data"]["updatedAt"] = Value::Null),
        started(|body| body["data"]["updatedAt"] = json!("")),
        started(|body| drop(body["data"].as_object_mut().expect("an object").remove("updatedAt"))),
        started(|body| body["data"]["additionalProperties"] = json!({})),
        started(|body| body["data"]["additionalProperties"] = Value::Null),
        started(|body| body["data"]["additionalProperties"]["agentName"] = json!("Jane Doe")),
        started(|body| body["data"]["additionalProperties"]["agentPhone"] = Value::Null),
        started(|body| body["data"]["additionalProperties"]["agentPhone"] = json!("")),
        started(|body| body["data"]["additionalProperties"]["vehicle"] = json!("bike")),
    ];
    let fingerprints: std::collections::BTreeSet<_> = different.iter().map(fingerprint).collect();
    assert_eq!(fingerprints.len(), different.len());
}
