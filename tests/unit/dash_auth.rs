//! Dash's secret in a header, and the answers to its sender.

use bytes::Bytes;
use milepost::domain::answer::{Answer, Rejection, RejectionKind};
use milepost::domain::authentication::{AuthScheme, Authentication};
use milepost::domain::provider::{Provider, check_body};
use milepost::domain::samples::{SampleSource, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::DASH;

use crate::support::{self, Pairs, body, credentials, documented, signing};

const BODY: &str = r#"{"deliveryID":"DE-1","status":"FAILED"}"#;

/// What comes of `value` in the header `sent`, where the account has chosen `chosen`.
fn open(chosen: Option<&str>, sent: &'static str, value: &str, secrets: &[&str]) -> Result<Bytes, Rejection> {
    let chosen = documented(&DASH, AuthScheme::Header).with_header(chosen.map(str::to_owned));
    let credentials = credentials(chosen, secrets);
    let proof = credentials.check_headers(&Pairs(&[(sent, value.to_owned())]))?;
    check_body(&DASH, &credentials, &proof, body(BODY))
}

#[test]
fn any_live_secret_opens() {
    let with = |value, secrets| open(None, "x-dash-signature", value, secrets);
    assert_eq!(with("one", &["one"]), Ok(body(BODY)));
    assert_eq!(with("one", &["one", "two"]), Ok(body(BODY)));
    assert_eq!(with("two", &["one", "two"]), Ok(body(BODY)));
    for wrong in ["three", "", "on", "onee", "One", " one", "one,two", "\"one\""] {
        assert_eq!(with(wrong, &["one", "two"]), Err(Rejection::WrongCredential), "{wrong}");
    }
}

#[test]
fn the_header_is_the_one_the_account_chose() {
    assert_eq!(open(Some("x-shop-key"), "x-shop-key", "one", &["one"]), Ok(body(BODY)));
    let missing = Err(Rejection::MissingCredential);
    assert_eq!(open(Some("x-shop-key"), "x-dash-signature", "one", &["one"]), missing);
    assert_eq!(open(None, "x-shop-key", "one", &["one"]), missing);
    assert_eq!(open(None, "authorization", "one", &["one"]), missing);
    let nothing = support::open(&DASH, AuthScheme::Header, &Pairs::<&str>(&[]), body(BODY), &["one"]);
    assert_eq!(nothing, missing);
}

#[test]
fn without_a_configured_secret_no_credential_is_called_wrong() {
    assert_eq!(open(None, "x-dash-signature", "one", &[]), Err(Rejection::NoSecret));
    let nothing = support::open(&DASH, AuthScheme::Header, &Pairs::<&str>(&[]), body(BODY), &[]);
    assert_eq!(nothing, Err(Rejection::NoSecret));
    assert_eq!(Rejection::NoSecret.kind(), RejectionKind::Unavailable);
}

/// The name of Dash's example header misleads.
#[test]
fn the_secret_is_not_a_signature() {
    let secret = Secret::new(b"one").expect("not empty");
    let hmac = hex::encode(secret.hmac_sha256(BODY.as_bytes()));
    assert_eq!(open(None, "x-dash-signature", &hmac, &["one"]), Err(Rejection::WrongCredential));
    let signed = DASH.sign(body(BODY), &signing(AuthScheme::Header, &secret));
    assert_eq!(signed.headers, [("x-dash-signature".to_owned(), "one".to_owned())]);
    assert_eq!(signed.body, BODY);
    let chosen = Signing { header: Some("x-our-own"), ..signing(AuthScheme::Header, &secret) };
    assert_eq!(DASH.sign(body(BODY), &chosen).headers, [("x-our-own".to_owned(), "one".to_owned())]);
}

/// Dash is answered 200 and the worker parks it: whether a body can be read is not looked at here.
#[test]
fn an_authentic_body_is_taken_as_it_is() {
    for sent in [&b""[..], b"{", b"[]", b"\xef\xbb\xbf{}", b"\xff", b" { } \r\n"] {
        let headers = [("x-dash-signature", "one".to_owned())];
        let sent = Bytes::from_static(sent);
        let stored = support::open(&DASH, AuthScheme::Header, &Pairs(&headers), sent.clone(), &["one"]);
        assert_eq!(stored, Ok(sent));
    }
}

#[test]
fn answers_are_plain() {
    let scheme = Some(AuthScheme::Header);
    assert_eq!(DASH.answer(scheme, Ok(())), Answer { code: 200, content_type: None, body: "".into() });
    let codes = [
        (RejectionKind::NotAuthentic, 401),
        (RejectionKind::TooLarge, 413),
        (RejectionKind::TooSlow, 408),
        (RejectionKind::BadRequest, 400),
        (RejectionKind::UnsupportedEncoding, 415),
        (RejectionKind::WrongMethod, 405),
        (RejectionKind::Unknown, 404),
        (RejectionKind::Unavailable, 503),
    ];
    for (refusal, code) in codes {
        for scheme in [scheme, None] {
            assert_eq!(DASH.answer(scheme, Err(refusal)).code, code, "{refusal:?}");
        }
    }
}

#[test]
fn it_tries_three_times_a_minute_apart() {
    assert_eq!(DASH.resend_horizon().as_secs(), 180);
    assert_eq!(DASH.authentication(), [Authentication::Header { name: "x-dash-signature".into() }]);
    assert_eq!(DASH.documented_path(), None);
}
