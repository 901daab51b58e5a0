use milepost::domain::secret::Secret;
use proptest::prelude::*;

/// RFC 4231, test case 2.
const RFC_4231: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
const MESSAGE: &[u8] = b"what do ya want for nothing?";

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes).expect("not empty")
}

#[test]
fn the_hmac_is_the_published_vector() {
    assert_eq!(hex::encode(secret(b"Jefe").hmac_sha256(MESSAGE)), RFC_4231);
}

#[test]
fn a_signature_fits_in_either_case() {
    let jefe = secret(b"Jefe");
    assert!(jefe.signed(MESSAGE, RFC_4231.as_bytes()));
    assert!(jefe.signed(MESSAGE, RFC_4231.to_uppercase().as_bytes()));
}

#[test]
fn a_signature_that_is_not_it_does_not_fit() {
    let jefe = secret(b"Jefe");
    let wrong_digit = format!("6{}", &RFC_4231[1..]);
    let signatures: [&[u8]; 7] = [
        b"",
        b"5bdc",
        &RFC_4231.as_bytes()[..63],
        &RFC_4231.as_bytes()[..62],
        wrong_digit.as_bytes(),
        b"not hex, but just as long as a digest in hex would be, that is 64",
        &[0xff; 64],
    ];
    for signature in signatures {
        assert!(!jefe.signed(MESSAGE, signature), "{signature:?}");
    }
    assert!(!jefe.signed(MESSAGE, format!("{RFC_4231}00").as_bytes()));
    assert!(!jefe.signed(b"what do ya want for nothing!", RFC_4231.as_bytes()));
    assert!(!secret(b"jefe").signed(MESSAGE, RFC_4231.as_bytes()));
}

#[test]
fn an_empty_secret_is_none() {
    assert!(Secret::new(b"").is_none());
}

#[test]
fn only_the_same_bytes_are_equal() {
    let secret = secret(b"user:password");
    assert!(secret.equals(b"user:password"));
    for presented in [&b""[..], b"user:passwor", b"user:password ", b"User:password", b"user:passwore"] {
        assert!(!secret.equals(presented), "{presented:?}");
    }
}

#[test]
fn a_secret_is_not_printed() {
    assert_eq!(format!("{:?}", secret(b"hunter2")), "Secret(…)");
    assert_eq!(format!("{:#?}", Some(secret(b"hunter2"))), "Some(\n    Secret(…),\n)");
}

proptest! {
    #[test]
    fn nothing_panics(
        key in prop::collection::vec(any::<u8>(), 1..200),
        message in prop::collection::vec(any::<u8>(), 0..200),
        signature in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        prop_assert!(!secret(&key).signed(&message, &signature));
        prop_assert_eq!(secret(&key).equals(&message), key == message);
    }
}
