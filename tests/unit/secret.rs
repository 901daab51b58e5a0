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

/// The signature that `hex` writes.
fn signature(hex: &str) -> [u8; 32] {
    hex::decode(hex).expect("hex").try_into().expect("32 bytes")
}

#[test]
fn one_right_signature_among_several_fits() {
    let (jefe, right, wrong) = (secret(b"Jefe"), signature(RFC_4231), [0xff; 32]);
    for signatures in [&[right][..], &[wrong, right], &[right, wrong, wrong]] {
        assert!(jefe.signed(MESSAGE, signatures));
    }
}

#[test]
fn a_signature_that_is_not_it_does_not_fit() {
    let jefe = secret(b"Jefe");
    let right = signature(RFC_4231);
    for byte in 0..right.len() {
        let mut wrong = right;
        wrong[byte] ^= 1;
        assert!(!jefe.signed(MESSAGE, &[wrong]), "{byte}");
    }
    assert!(!jefe.signed(MESSAGE, &[]));
    assert!(!jefe.signed(b"what do ya want for nothing!", &[right]));
    assert!(!secret(b"jefe").signed(MESSAGE, &[right]));
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
        signatures in prop::collection::vec(any::<[u8; 32]>(), 0..4),
    ) {
        prop_assert!(!secret(&key).signed(&message, &signatures));
        prop_assert_eq!(secret(&key).equals(&message), key == message);
    }
}
