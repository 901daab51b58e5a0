//! What the headers alone prove, and what they leave to the body.

use milepost::domain::answer::Rejection;
use milepost::domain::authentication::{AuthScheme, Authentication, Proof};
use milepost::providers::SAMPLE_SOURCES;

use crate::support::{self, Pairs, credentials, signing};

const SECRET: &str = "user:the secret of a test";
const DIGEST: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

fn hmac() -> Authentication {
    Authentication::Hmac { header: "x-signature" }
}

fn by_header() -> Authentication {
    Authentication::Header { name: "x-secret".into() }
}

/// What comes of one header, before there is a body.
fn headers(
    authentication: Authentication,
    header: Option<(&str, &str)>,
    secrets: &[&str],
) -> Result<Proof, Rejection> {
    let headers: Vec<_> = header.map(|(name, value)| (name, value.to_owned())).into_iter().collect();
    credentials(authentication, secrets).check_headers(&Pairs(&headers))
}

#[test]
fn whatever_the_headers_alone_can_refuse_is_refused_without_the_body() {
    use Rejection::{MissingCredential, NoSecret, WrongCredential};
    let short = &DIGEST[..62];
    let rows = [
        (hmac(), None, MissingCredential),
        (hmac(), Some(("x-other", DIGEST)), MissingCredential),
        (hmac(), Some(("x-signature", "")), WrongCredential),
        (hmac(), Some(("x-signature", short)), WrongCredential),
        (hmac(), Some(("x-signature", "sha256=00")), WrongCredential),
        (Authentication::Basic, None, MissingCredential),
        (Authentication::Basic, Some(("authorization", "Basic eDp5")), WrongCredential),
        (Authentication::Basic, Some(("authorization", "Basic ?")), WrongCredential),
        (Authentication::Basic, Some(("authorization", "Bearer x")), WrongCredential),
        (Authentication::Bearer, None, MissingCredential),
        (Authentication::Bearer, Some(("authorization", "Basic eDp5")), MissingCredential),
        (Authentication::Bearer, Some(("authorization", "Bearer x")), WrongCredential),
        (by_header(), None, MissingCredential),
        (by_header(), Some(("x-secret", "x")), WrongCredential),
        (by_header(), Some(("x-secret", "")), WrongCredential),
    ];
    for (authentication, header, expected) in rows {
        let what = format!("{authentication:?} {header:?}");
        let outcome = headers(authentication.clone(), header, &[SECRET]).map(|_| ());
        assert_eq!(outcome, Err(expected), "{what}");
        // Without a secret of ours nothing can be told from anything.
        assert_eq!(headers(authentication, header, &[]).map(|_| ()), Err(NoSecret), "{what}");
    }
    let by_key = Authentication::BodyKey { field: "ApiKey" };
    assert_eq!(headers(by_key, None, &[]).map(|_| ()), Err(NoSecret));
}

#[test]
fn what_the_headers_cannot_tell_is_left_to_the_body() {
    let of_any_body = headers(hmac(), Some(("x-signature", DIGEST)), &[SECRET]);
    assert!(matches!(of_any_body, Ok(Proof::Signatures(signatures)) if signatures.len() == 1));
    let by_key = headers(Authentication::BodyKey { field: "ApiKey" }, None, &[SECRET]);
    assert!(matches!(by_key, Ok(Proof::BodyKey("ApiKey"))));
    let literal = headers(by_header(), Some(("x-secret", SECRET)), &[SECRET]);
    assert!(matches!(literal, Ok(Proof::Complete)));
}

#[test]
fn what_a_provider_signs_passes_its_headers() {
    let secret = milepost::domain::secret::Secret::new(SECRET.as_bytes()).expect("not empty");
    for provider in SAMPLE_SOURCES {
        for how in provider.authentication() {
            let signed = provider.sign("{}".into(), &signing(how.scheme(), &secret));
            let live = credentials(how.clone(), &["another", SECRET]);
            assert!(live.check_headers(&Pairs(&signed.headers)).is_ok(), "{} {how:?}", provider.id());
        }
    }
}

/// No scheme opens with what another one proves.
#[test]
fn a_scheme_that_a_provider_does_not_document_proves_nothing() {
    let secret = milepost::domain::secret::Secret::new(SECRET.as_bytes()).expect("not empty");
    let all =
        [AuthScheme::Hmac, AuthScheme::ApiKey, AuthScheme::Basic, AuthScheme::Bearer, AuthScheme::Header];
    for provider in SAMPLE_SOURCES {
        let documented =
            |scheme: &AuthScheme| provider.authentication().iter().any(|how| how.scheme() == *scheme);
        for scheme in all.into_iter().filter(|scheme| !documented(scheme)) {
            let signed = provider.sign("{}".into(), &signing(scheme, &secret));
            let first = provider.authentication()[0].scheme();
            let opened =
                support::open(*provider, first, &Pairs(&signed.headers), signed.body.clone(), &[SECRET]);
            assert!(opened.is_err(), "{} {scheme:?}", provider.id());
        }
    }
}
