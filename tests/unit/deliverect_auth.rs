//! Deliverect's signature and token, and the answers to its sender.

use milepost::domain::answer::{Answer, Rejection, RejectionKind};
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::provider::Provider;
use milepost::domain::samples::SampleSource;
use milepost::domain::secret::Secret;
use milepost::providers::DELIVERECT;
use proptest::prelude::*;

use crate::support::{self, Pairs, any_object_with, body, signing};

const SIGNATURE: &str = "x-server-authorization-hmac-sha256";
/// Of `{"orderId":"651142e93c54c5405b1f26a3","status":83}` with the secret `deliverect-secret`, computed apart with
/// Python's hmac.
const BODY: &str = r#"{"orderId":"651142e93c54c5405b1f26a3","status":83}"#;
const BODY_SIGNATURE: &str = "706115fa469216e99deb20a9b0908f37791b315e5b80a06f46694a08ff49bb2e";

/// What is stored of `text` when it comes with one header.
fn open(
    scheme: AuthScheme,
    header: Option<(&'static str, &str)>,
    text: &str,
    secrets: &[&str],
) -> Result<String, Rejection> {
    let headers: Vec<_> = header.map(|(name, value)| (name, value.to_owned())).into_iter().collect();
    let stored = support::open(&DELIVERECT, scheme, &Pairs(&headers), body(text), secrets);
    stored.map(|stored| String::from_utf8(stored.to_vec()).expect("text"))
}

fn signed(signature: &str, text: &str, secrets: &[&str]) -> Result<String, Rejection> {
    open(AuthScheme::Hmac, Some((SIGNATURE, signature)), text, secrets)
}

fn bearer(authorization: &str, text: &str, secrets: &[&str]) -> Result<String, Rejection> {
    open(AuthScheme::Bearer, Some(("authorization", authorization)), text, secrets)
}

fn sign(text: impl Into<bytes::Bytes>, secret: &str) -> String {
    let secret = Secret::new(secret.as_bytes()).expect("not empty");
    DELIVERECT.sign(text.into(), &signing(AuthScheme::Hmac, &secret)).headers[0].1.clone()
}

#[test]
fn the_signature_is_the_default() {
    let documented = [Authentication::Hmac { header: SIGNATURE }, Authentication::Bearer];
    assert_eq!(DELIVERECT.authentication(), documented);
}

#[test]
fn a_webhook_is_signed_as_deliverect_signs_it() {
    let secret = Secret::new(b"deliverect-secret").expect("not empty");
    let by_hmac = DELIVERECT.sign(body(BODY), &signing(AuthScheme::Hmac, &secret));
    assert_eq!(by_hmac.headers, [(SIGNATURE.to_owned(), BODY_SIGNATURE.to_owned())]);
    let by_token = DELIVERECT.sign(body(BODY), &signing(AuthScheme::Bearer, &secret));
    assert_eq!(by_token.headers, [("authorization".to_owned(), "Bearer deliverect-secret".to_owned())]);
    assert_eq!((by_hmac.body, by_token.body), (body(BODY), body(BODY)));
}

#[test]
fn a_signature_by_any_live_secret_opens() {
    let secret = "deliverect-secret";
    for secrets in [&[secret][..], &["old", secret], &[secret, "old"]] {
        assert_eq!(signed(BODY_SIGNATURE, BODY, secrets).as_deref(), Ok(BODY));
        assert_eq!(signed(&BODY_SIGNATURE.to_uppercase(), BODY, secrets).as_deref(), Ok(BODY));
    }
    assert_eq!(signed(BODY_SIGNATURE, BODY, &["old"]), Err(Rejection::WrongCredential));
}

#[test]
fn a_wrong_signature_is_refused() {
    let wrong = [
        String::new(),
        BODY_SIGNATURE[..62].to_owned(),
        format!("{BODY_SIGNATURE}00"),
        format!("sha256={BODY_SIGNATURE}"),
        format!("{}0", &BODY_SIGNATURE[..63]),
        "é".repeat(32),
    ];
    for signature in wrong {
        assert_eq!(signed(&signature, BODY, &["deliverect-secret"]), Err(Rejection::WrongCredential));
    }
    let spaced = BODY.replace("\":", "\": ");
    assert_eq!(signed(BODY_SIGNATURE, &spaced, &["deliverect-secret"]), Err(Rejection::WrongCredential));
}

#[test]
fn a_missing_credential_and_a_missing_secret_are_told_apart() {
    for scheme in [AuthScheme::Hmac, AuthScheme::Bearer] {
        assert_eq!(open(scheme, None, BODY, &["secret"]), Err(Rejection::MissingCredential));
        assert_eq!(open(scheme, None, BODY, &[]), Err(Rejection::NoSecret));
    }
    assert_eq!(signed(BODY_SIGNATURE, BODY, &[]), Err(Rejection::NoSecret));
    assert_eq!(bearer("Bearer token", BODY, &[]), Err(Rejection::NoSecret));
}

#[test]
fn one_scheme_does_not_open_the_other() {
    let secrets = &["deliverect-secret"];
    let token = Some(("authorization", "Bearer deliverect-secret"));
    assert_eq!(open(AuthScheme::Hmac, token, BODY, secrets), Err(Rejection::MissingCredential));
    let signature = Some((SIGNATURE, BODY_SIGNATURE));
    assert_eq!(open(AuthScheme::Bearer, signature, BODY, secrets), Err(Rejection::MissingCredential));
}

#[test]
fn a_token_that_is_any_live_secret_opens() {
    for authorization in ["Bearer a+token/=", "bearer a+token/=", "BEARER  a+token/= "] {
        for secrets in [&["a+token/="][..], &["old", "a+token/="]] {
            assert_eq!(bearer(authorization, BODY, secrets).as_deref(), Ok(BODY), "{authorization}");
        }
    }
    for authorization in
        ["Bearer A+TOKEN/=", "Bearer a+token/", "Bearer a+token/==", "Bearer ", "Bearer old "]
    {
        let refused = bearer(authorization, BODY, &["a+token/="]);
        assert_eq!(refused, Err(Rejection::WrongCredential), "{authorization}");
    }
    for authorization in ["", "a+token/=", "Bearer", "Bearera+token/=", "Basic a+token/=", "Token  a+token/="]
    {
        let refused = bearer(authorization, BODY, &["a+token/="]);
        assert_eq!(refused, Err(Rejection::MissingCredential), "{authorization}");
    }
}

/// Bodies that are not one JSON object.
const NO_OBJECTS: [&[u8]; 12] = [
    b"",
    b" ",
    b"null",
    b"83",
    b"[]",
    b"[{}]",
    b"{",
    b"{} {}",
    b"{\"status\":83,}",
    b"orderId=1&status=83",
    b"\xef\xbb\xbf",
    b"{\"orderId\":\"\xff\"}",
];

#[test]
fn what_is_not_one_object_is_refused_once_it_is_authentic() {
    for text in NO_OBJECTS {
        let signature = sign(text, "secret");
        let by = |scheme, header: &'static str, value: &str| {
            let headers = [(header, value.to_owned())];
            support::open(&DELIVERECT, scheme, &Pairs(&headers), text.into(), &["secret"])
        };
        let text = String::from_utf8_lossy(text);
        assert_eq!(by(AuthScheme::Hmac, SIGNATURE, &signature), Err(Rejection::NotAnObject), "{text}");
        assert_eq!(
            by(AuthScheme::Bearer, "authorization", "Bearer secret"),
            Err(Rejection::NotAnObject),
            "{text}"
        );
        // A sender without a valid credential learns nothing about the body.
        assert_eq!(
            by(AuthScheme::Hmac, SIGNATURE, &"0".repeat(64)),
            Err(Rejection::WrongCredential),
            "{text}"
        );
        assert_eq!(
            by(AuthScheme::Bearer, "authorization", "Bearer wrong"),
            Err(Rejection::WrongCredential),
            "{text}"
        );
    }
}

/// It is stored, then parked for the operator: its sender could not fix it.
#[test]
fn an_object_that_cannot_be_decoded_is_taken() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(500), "]".repeat(500));
    for text in ["{}", " {\"orderId\":\"1\",\"orderId\":\"2\"}\r\n", deep.as_str()] {
        let signature = sign(text.to_owned(), "secret");
        assert_eq!(signed(&signature, text, &["secret"]).as_deref(), Ok(text));
    }
}

#[test]
fn answers_are_as_documented() {
    let plain = "text/plain; charset=utf-8";
    let rows: [(_, u16, &str); 10] = [
        (Ok(()), 200, "OK"),
        (Err(RejectionKind::NotAuthentic), 401, "not authentic\n"),
        (Err(RejectionKind::NotDecodable), 400, "the body is not one JSON object\n"),
        (Err(RejectionKind::TooLarge), 413, "the body is too large\n"),
        (Err(RejectionKind::TooSlow), 408, "the body did not arrive in time\n"),
        (Err(RejectionKind::BadRequest), 400, "the body's length is said in two ways\n"),
        (Err(RejectionKind::UnsupportedEncoding), 415, "send the body uncompressed\n"),
        (Err(RejectionKind::WrongMethod), 405, "POST only\n"),
        (Err(RejectionKind::Unknown), 404, "no such webhook\n"),
        (Err(RejectionKind::Unavailable), 503, "cannot store it now, send it again\n"),
    ];
    for (outcome, code, body) in rows {
        for scheme in [Some(AuthScheme::Hmac), Some(AuthScheme::Bearer), None] {
            let answer = Answer { code, content_type: Some(plain), body: body.into() };
            assert_eq!(DELIVERECT.answer(scheme, outcome), answer);
        }
    }
}

proptest! {
    #[test]
    fn any_object_is_taken_byte_for_byte(object in any_object_with(&["orderId", "status", "coordinates"])) {
        let text = object.to_string();
        prop_assert_eq!(signed(&sign(text.clone(), "secret"), &text, &["secret"]), Ok(text.clone()));
        prop_assert_eq!(bearer("Bearer secret", &text, &["secret"]), Ok(text));
    }
}
