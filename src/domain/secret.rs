//! A credential that cannot be printed by accident, and the two ways it is compared.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes that must never reach a log, a metric, an error or a header (invariant 9).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes as they are. `None` when empty: an empty secret would let anyone in.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(bytes.into()))
    }

    /// The bytes, for signing.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether `presented` is this secret, in time that does not depend on where they differ or on either
    /// length: both sides are hashed first.
    #[must_use]
    pub fn equals(&self, presented: &[u8]) -> bool {
        Sha256::digest(&self.0).ct_eq(&Sha256::digest(presented)).into()
    }

    /// HMAC-SHA256 of `message` under this secret.
    #[must_use]
    pub fn hmac_sha256(&self, message: &[u8]) -> [u8; 32] {
        // Unwrap safety: HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any key length");
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    /// Whether one of `signatures` is the HMAC-SHA256 of `message`, compared in constant time.
    #[must_use]
    pub fn signed(&self, message: &[u8], signatures: &[[u8; 32]]) -> bool {
        let right = self.hmac_sha256(message);
        signatures.iter().fold(false, |any, signature| any | bool::from(right.ct_eq(signature)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
