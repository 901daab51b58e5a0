//! The ledger's keys: shared by its adapters, so that both remember events by the same names.
//!
//! All keys of one delivery share the hash tag in braces, and so a Redis Cluster slot.

use sha2::{Digest, Sha256};

use crate::domain::identity::{DeliveryKey, Identity};

/// The keys one claim touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerKeys {
    /// The event's key; of an event known by content alone, what its occurrences' keys start with.
    pub event: String,
    /// With a provider's id: remembers the first content seen under it. Without: the occurrences of this content.
    pub companion: String,
    /// The digits of the content's fingerprint.
    pub content: Digits,
    /// Whether the provider gave an id.
    pub by_id: bool,
    /// Of the delivery's state.
    pub state: String,
}

impl LedgerKeys {
    /// The keys of `identity` within `delivery`.
    #[must_use]
    pub fn new(delivery: &DeliveryKey, identity: &Identity) -> Self {
        let DeliveryKey { provider, account, delivery_id } = delivery;
        let tag = ["mp:{", provider.as_str(), ":", account.as_str(), ":", delivery_id, "}"].concat();
        let key = |kind, digits: Digits| [tag.as_str(), kind, digits.as_str()].concat();
        let content = Digits::of(identity.fingerprint.0);
        let state = [tag.as_str(), ":s"].concat();
        match &identity.provider_event_id {
            Some(id) => {
                let id = Sha256::digest(id.as_bytes());
                let both = Sha256::new().chain_update(id).chain_update(identity.fingerprint.0).finalize();
                Self {
                    event: key(":e:", Digits::of(both.into())),
                    companion: key(":i:", Digits::of(id.into())),
                    content,
                    by_id: true,
                    state,
                }
            }
            None => Self {
                event: key(":e:", content),
                companion: key(":a:", content),
                content,
                by_id: false,
                state,
            },
        }
    }
}

/// The hexadecimal digits of a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits([u8; 64]);

impl Digits {
    fn of(hash: [u8; 32]) -> Self {
        let mut digits = [0; 64];
        // Unwrap safety: there is room for two digits a byte.
        hex::encode_to_slice(hash, &mut digits).expect("64 digits");
        Self(digits)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Unwrap safety: hexadecimal digits are ASCII.
        std::str::from_utf8(&self.0).expect("ASCII")
    }
}

/// What a leg of a delivery is called in its state: nothing for a delivery that has one course, else of one length
/// whatever the courier is called.
#[must_use]
pub fn leg_name(leg: Option<&str>) -> String {
    leg.map_or_else(String::new, |leg| hex::encode(&Sha256::digest(leg)[..8]))
}
