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
fn headers_that_prove_nothing_are_refused_without_the_body() {
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
        // Without a configured secret no credential can be checked.
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

/// RFC 4231, test case 2: of [`MESSAGE`] with the secret `Jefe`.
const MESSAGE: &str = "what do ya want for nothing?";

/// What comes of `MESSAGE` with these lines of `x-signature`, where the live secrets are `Jefe` and another one.
fn signed_by(lines: &[&str]) -> Result<(), Rejection> {
    let headers: Vec<_> = lines.iter().map(|line| ("x-signature", (*line).to_owned())).collect();
    let live = credentials(hmac(), &["another", "Jefe"]);
    let proof = live.check_headers(&Pairs(&headers))?;
    live.check_body(&proof, MESSAGE.into(), None).map(|_| ())
}

/// A sender that rotates its secret signs with the old one and with the new one.
#[test]
fn of_several_signatures_any_valid_one_counts() {
    let wrong = &"0".repeat(64)[..];
    let [first, last, spaced] =
        [format!("{DIGEST},{wrong}"), format!("{wrong},{DIGEST}"), format!("{wrong} , {DIGEST} ")];
    for lines in [
        &[wrong, DIGEST][..],
        &[DIGEST, wrong],
        &["", DIGEST],
        &["sha256=00", DIGEST],
        &[&first],
        &[&last],
        &[&spaced],
        &[wrong, &last, wrong],
        &[wrong, wrong, wrong, wrong, wrong, wrong, wrong, DIGEST],
    ] {
        assert_eq!(signed_by(lines), Ok(()), "{lines:?}");
    }
    for lines in [&[wrong, wrong][..], &["", ""], &[&DIGEST[..62], &DIGEST[62..]], &[",".repeat(7).as_str()]]
    {
        assert_eq!(signed_by(lines), Err(Rejection::WrongCredential), "{lines:?}");
    }
}

#[test]
fn more_signatures_than_a_rotation_needs_are_refused_by_the_headers() {
    let wrong = &"0".repeat(64)[..];
    let nine = [DIGEST, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong];
    let in_one_line = nine.join(",");
    for lines in [&nine[..], &[in_one_line.as_str()], &[wrong, &nine[..8].join(",")]] {
        let headers: Vec<_> = lines.iter().map(|line| ("x-signature", (*line).to_owned())).collect();
        let outcome = credentials(hmac(), &["Jefe"]).check_headers(&Pairs(&headers));
        assert_eq!(outcome.map(|_| ()), Err(Rejection::WrongCredential), "{lines:?}");
    }
}

#[test]
fn of_several_secrets_in_one_header_any_valid_one_counts() {
    let basic =
        |wrong: &'static str, right: &'static str| [("authorization", wrong), ("authorization", right)];
    // `eDp5` is `x:y`.
    for (how, secret, lines) in [
        (Authentication::Basic, "x:y", basic("Basic eDp6", "Basic eDp5")),
        (Authentication::Bearer, "x:y", basic("Bearer z", "Bearer x:y")),
        (Authentication::Bearer, "x:y", basic("Basic eDp5", "Bearer x:y")),
        (by_header(), "x,y", [("x-secret", "x"), ("x-secret", "x,y")]),
    ] {
        for lines in [lines, [lines[1], lines[0]]] {
            let headers = lines.map(|(name, value)| (name, value.to_owned()));
            let proof = credentials(how.clone(), &[secret]).check_headers(&Pairs(&headers));
            assert!(matches!(proof, Ok(Proof::Complete)), "{how:?} {lines:?}");
        }
    }
    // A comma may be part of a secret: it separates signatures alone.
    let one_line = headers(by_header(), Some(("x-secret", "z,x")), &["x"]);
    assert_eq!(one_line.map(|_| ()), Err(Rejection::WrongCredential));
    let nine: Vec<_> = (0..9).map(|_| ("x-secret", "x".to_owned())).collect();
    let outcome = credentials(by_header(), &["x"]).check_headers(&Pairs(&nine));
    assert_eq!(outcome.map(|_| ()), Err(Rejection::WrongCredential));
}
