//! What the ledger calls the events of one delivery.
//!
//! Short, because Redis keeps a name for each event: of a provider's id 48 bits and of the content 60, or 96 where there
//! is no id. They tell apart the events of one delivery, not those of the world.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::envelope::Replay;
use super::identity::{Identity, ReceiptId};

/// Characters of an id's hash, and of the content beside one.
const ID_CHARS: usize = 8;
const CONTENT_CHARS: usize = 10;
/// Characters of the content, where it is the whole name.
const LONE_CONTENT_CHARS: usize = 16;
/// Hex digits of what tells occurrences of one content, or forced replays, apart.
const SUFFIX_CHARS: usize = 8;

/// What is known of an event's name before the ledger was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventName {
    /// The provider gave an id.
    ById { id: String, content: String },
    /// The content alone. The occurrence is the ledger's to say.
    ByContent { content: String },
}

impl EventName {
    /// The name of an event with this identity.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        let mut content = BASE64_URL_SAFE_NO_PAD.encode(identity.fingerprint.0);
        match &identity.provider_event_id {
            Some(id) => {
                content.truncate(CONTENT_CHARS);
                Self::ById { id: Self::id_part(id), content }
            }
            None => {
                content.truncate(LONE_CONTENT_CHARS);
                Self::ByContent { content }
            }
        }
    }

    /// The id's part of the names of all events with the provider's id `id`.
    #[must_use]
    pub fn id_part(id: &str) -> String {
        let mut text = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(id));
        text.truncate(ID_CHARS);
        text
    }

    /// The whole name, given the receipt that anchors the occurrence, and what `replay` adds to it.
    #[must_use]
    pub fn of_occurrence(&self, anchor: ReceiptId, replay: Option<Replay>) -> String {
        let name = match self {
            Self::ById { id, content } => [id.as_str(), content].concat(),
            Self::ByContent { content } => format!("{content}.{}", tail(anchor)),
        };
        name + &Self::forced(replay)
    }

    /// What a forced replay adds to a name: its event is done under the ordinary one.
    #[must_use]
    pub fn forced(replay: Option<Replay>) -> String {
        match replay {
            Some(Replay::Force(id)) => format!("!{}", &id.simple().to_string()[..SUFFIX_CHARS]),
            Some(Replay::Normal) | None => String::new(),
        }
    }
}

fn tail(receipt: ReceiptId) -> String {
    receipt.digits().to_string().split_off(32 - SUFFIX_CHARS)
}

/// What a leg of a delivery is called: nothing for a delivery that has one course, else of one length for any
/// courier is called.
#[must_use]
pub fn leg_name(leg: Option<&str>) -> String {
    leg.map_or_else(String::new, |leg| hex::encode(&Sha256::digest(leg)[..8]))
}
