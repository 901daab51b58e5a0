//! Who is who: receipts, accounts, deliveries, and what makes two webhooks the same event.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

use super::fingerprint::Fingerprint;
use super::provider::ProviderId;

/// One accepted HTTP request: a UUIDv7, given by the receiver. It says when the request was received.
///
/// It also says which way the webhook came, so that all that is known by a receipt tells that, and nothing has to be stored
/// or sent for it. One that was pulled, which the reconciler asked the provider for, has a UUID of version 8 with the same
/// layout. Of version 7 the digit behind the version is chance from 0 to 7, and `f` if the webhook was spooled and the broker
/// was never sent it: a copy that was published without a confirm has the same receipt as the one in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiptId(Uuid);

/// The digit behind the version of a spooled webhook's receipt, in its byte.
const SPOOLED: u8 = 0x0f;

/// Which way a webhook came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Its provider sent it, and the broker was given it. It may have been spooled too, if it was not confirmed.
    Push,
    /// Its provider sent it, and the spool took it.
    Spool,
    Pull,
}

impl Way {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Spool => "spool",
            Self::Pull => "pull",
        }
    }
}

/// Text that is no receipt.
#[derive(Debug, Error)]
#[error("a receipt is a UUID of version 7 or 8")]
pub struct ReceiptIdError;

impl ReceiptId {
    /// A receipt for what is received at `now`, told apart by `random` from others of the same millisecond.
    #[must_use]
    pub fn new(now: Timestamp, random: &[u8; 10]) -> Self {
        // A clock before 1970 is wrong anyway, and the random part alone keeps the id unique.
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        // The highest bit of the digit behind the version: without it the digit is never `f`.
        let mut bytes = uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid().into_bytes();
        bytes[6] &= !0x08;
        Self(Uuid::from_bytes(bytes))
    }

    /// The same receipt, of a webhook that goes into the spool and nowhere else.
    #[must_use]
    pub fn spooled(self) -> Self {
        let mut bytes = *self.0.as_bytes();
        bytes[6] |= SPOOLED;
        Self(Uuid::from_bytes(bytes))
    }

    /// A receipt for what is pulled at `now`.
    #[must_use]
    pub fn pulled(now: Timestamp, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_custom_bytes(*Self::new(now, random).as_bytes()).into_uuid())
    }

    /// Which way its webhook came.
    #[must_use]
    pub fn way(self) -> Way {
        match (self.0.get_version_num(), self.0.as_bytes()[6] & SPOOLED) {
            (8, _) => Way::Pull,
            (_, SPOOLED) => Way::Spool,
            _ => Way::Push,
        }
    }

    #[must_use]
    pub fn is_pulled(self) -> bool {
        self.way() == Way::Pull
    }

    /// When it was given, to the millisecond.
    #[must_use]
    pub fn received_at(self) -> Timestamp {
        let bytes = self.0.as_bytes();
        let millis = bytes[..6].iter().fold(0, |millis, byte| millis << 8 | i64::from(*byte));
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    /// When the receipt that `text` names was given. `None` for an id of anything else: the digits of a UUID in
    /// another form, such as an event's id, could be read as a time but say none.
    #[must_use]
    pub fn given_at(text: &str) -> Option<Timestamp> {
        let receipt: Self = text.parse().ok().filter(|receipt: &Self| receipt.to_string() == text)?;
        Some(receipt.received_at())
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Its 32 hex digits, as the ledger keeps it.
    #[must_use]
    pub fn digits(self) -> uuid::fmt::Simple {
        self.0.simple()
    }
}

impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for ReceiptId {
    type Err = ReceiptIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id: Uuid = text.parse().map_err(|_| ReceiptIdError)?;
        if matches!(id.get_version_num(), 7 | 8) { Ok(Self(id)) } else { Err(ReceiptIdError) }
    }
}

/// A merchant's account with a provider: `[a-z0-9_-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(Arc<str>);

/// Text that is no account name.
#[derive(Debug, Error)]
#[error("an account name is 1 to 64 of a-z, 0-9, `_` and `-`")]
pub struct AccountError;

impl Account {
    /// The account of a webhook path that names none.
    #[must_use]
    pub fn default_account() -> Self {
        Self("default".into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(valid) {
            Ok(Self(text.into()))
        } else {
            Err(AccountError)
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One delivery of one account: what must stay in order, and what shares a slot in Redis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryKey {
    pub provider: ProviderId,
    pub account: Account,
    /// The provider's id of the delivery.
    pub delivery_id: String,
}

/// What makes two webhooks the same event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's own id of the event, if it sent one.
    pub provider_event_id: Option<String>,
    /// The content. Part of the identity even beside an id: the same id with other content is another event.
    pub fingerprint: Fingerprint,
}

/// The first receipt of an event: what every repeat of it is published with, so that repeats are identical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub receipt: ReceiptId,
    /// Its W3C `traceparent`, if it was traced.
    pub traceparent: Option<String>,
}

/// The published event's id: 32 hex digits, the same for every repeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventId(String);

impl EventId {
    /// A hash of provider, account and identity. Where the provider gave no id, equal content recurs legitimately,
    /// so the receipt that anchors this occurrence takes the id's place.
    #[must_use]
    pub fn new(delivery: &DeliveryKey, identity: &Identity, anchor: ReceiptId) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        add(delivery.provider.as_str().as_bytes());
        add(delivery.account.as_str().as_bytes());
        match &identity.provider_event_id {
            Some(id) => {
                add(b"id");
                add(id.as_bytes());
            }
            None => {
                add(b"receipt");
                add(anchor.as_bytes());
            }
        }
        add(&identity.fingerprint.0);
        Self(hex::encode(&hash.finalize()[..16]))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
