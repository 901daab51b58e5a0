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
        let tag = format!("mp:{{{provider}:{account}:{delivery_id}}}");
        let content = hex::encode(identity.fingerprint.0);
        let state = format!("{tag}:s");
        match &identity.provider_event_id {
            Some(id) => {
                let id = Sha256::digest(id.as_bytes());
                let both = Sha256::new().chain_update(id).chain_update(identity.fingerprint.0).finalize();
                Self {
                    event: format!("{tag}:e:{}", hex::encode(both)),
                    companion: format!("{tag}:i:{}", hex::encode(id)),
                    by_id: true,
                    state,
                }
            }
            None => Self {
                event: format!("{tag}:e:{content}"),
                companion: format!("{tag}:a:{content}"),
                by_id: false,
                state,
            },
        }
    }
}

/// What a leg of a delivery is called in its state: nothing for a delivery that has one course, else of one length
/// whatever the courier is called.
#[must_use]
pub fn leg_name(leg: Option<&str>) -> String {
    leg.map_or_else(String::new, |leg| hex::encode(&Sha256::digest(leg)[..8]))
}
