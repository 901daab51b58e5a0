//! What is known of a parked message, without its body.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::history::History;
use super::identity::{Account, ReceiptId};
use super::provider::ProviderId;

/// A parked message. It may be anything: what could be read of it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its receipt; of a message without one, `body-` and a hash of the body.
    pub id: String,
    /// Whose queue it is on.
    pub provider: ProviderId,
    pub account: Option<Account>,
    /// Why it is parked: a [`super::verdict::ParkReason`], or the broker's own word.
    pub reason: String,
    /// What in particular: a fixed phrase of ours.
    pub detail: Option<String>,
    pub parked_at: Option<Timestamp>,
    pub received_at: Option<Timestamp>,
    /// The attempt that failed last, from 0.
    pub attempt: u32,
    /// Claims of its event that ran out unfinished.
    pub crashes: u32,
    pub history: History,
}

impl Parked {
    /// A message's id: its receipt, or else one that the same bytes always have.
    #[must_use]
    pub fn id_of(message_id: Option<&str>, body: &[u8]) -> String {
        match message_id.and_then(|id| id.parse::<ReceiptId>().ok()) {
            Some(receipt) => receipt.to_string(),
            None => format!("body-{}", hex::encode(&Sha256::digest(body)[..8])),
        }
    }

    /// Eight hex digits that stand for the kind of failure: provider, reason and detail.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.provider.as_str(), &self.reason, self.detail.as_deref().unwrap_or_default()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex::encode(&hash.finalize()[..4])
    }

    /// Names one forced replay, which publishes even what is done: the same until it is parked again, so that a
    /// replay that was cut short and started again is still the same replay.
    #[must_use]
    pub fn replay_id(&self) -> Uuid {
        let mut hash = Sha256::new().chain_update(&self.id);
        hash.update(self.parked_at.map_or(0, Timestamp::as_millisecond).to_be_bytes());
        hash.update((self.history.failures().len() as u64).to_be_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}
