//! A parked message, and what its provider's decoder makes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::adapters::rabbit::parked::ParkedMessage;
use crate::domain::identity::{Account, DeliveryKey, EventId};
use crate::domain::parked::Parked;
use crate::domain::provider::{Decoded, DecodedUpdate};
use crate::domain::update::References;
use crate::providers;
use crate::sinks::update::{About, about};

/// What is shown and filtered by; the body is gone.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What the message says of itself.
    pub about: Parked,
    /// Why it is no envelope, if it is none.
    pub defect: Option<&'static str>,
    /// What the body says; nothing, when it cannot be decoded.
    pub content: BodyFacts,
    pub bytes: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BodyFacts {
    pub delivery_id: Option<String>,
    /// The provider's own id of the event.
    pub provider_event_id: Option<String>,
    /// The id its update is published with, if it is the event's first receipt.
    pub event_id: Option<String>,
    /// The status, in the provider's words.
    pub raw_status: Option<String>,
    /// Other names of its order: the merchant's, and the provider's.
    pub references: Vec<String>,
}

impl Entry {
    #[must_use]
    pub fn read(message: &ParkedMessage) -> Self {
        let (about, defect) = (message.about.clone(), message.defect);
        Self { about, defect, content: content(message), bytes: message.envelope.body.len() }
    }

    /// When it was parked, or else received.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.about.parked_at.or(self.about.received_at)
    }

    /// The account's name, or `-`.
    #[must_use]
    pub fn account(&self) -> &str {
        self.about.account.as_ref().map_or("-", Account::as_str)
    }

    #[must_use]
    pub fn json(&self) -> Value {
        let Self { about, defect, content, bytes } = self;
        json!({
            "id": about.id, "provider": about.provider.as_str(),
            "account": about.account.as_ref().map(Account::as_str),
            "reason": about.reason, "detail": about.detail, "fingerprint": about.fingerprint(),
            "parked_at": about.parked_at, "received_at": about.received_at,
            "attempt": about.attempt, "crashes": about.crashes, "defect": defect, "bytes": bytes,
            "delivery_id": content.delivery_id, "provider_event_id": content.provider_event_id,
            "event_id": content.event_id, "raw_status": content.raw_status,
        })
    }
}

fn content(message: &ParkedMessage) -> BodyFacts {
    let envelope = &message.envelope;
    let Some(provider) = providers::by_name(envelope.provider.as_str()) else {
        return of_event(&envelope.body);
    };
    // What made a worker panic must not hide the rest of the queue.
    let decoding = catch_unwind(AssertUnwindSafe(|| provider.decode(&envelope.body)));
    let Ok(Ok(Decoded::Update(decoded))) = decoding else { return BodyFacts::default() };
    let DecodedUpdate { identity, update, .. } = *decoded;
    let (provider, account) = (envelope.provider, envelope.account.clone());
    let delivery = DeliveryKey { provider, account, delivery_id: update.delivery_id.clone() };
    let event_id = EventId::new(&delivery, &identity, envelope.receipt).to_string();
    BodyFacts {
        delivery_id: Some(update.delivery_id),
        provider_event_id: identity.provider_event_id,
        event_id: message.defect.is_none().then_some(event_id),
        raw_status: Some(update.raw_status),
        references: update.references.into_iter().flat_map(References::into_names).collect(),
    }
}

/// What is on a sink's queue was published before.
fn of_event(body: &[u8]) -> BodyFacts {
    let About { event, delivery, raw_status, .. } = about(body).unwrap_or_default();
    let (delivery_id, event_id) = (delivery, event);
    BodyFacts { delivery_id, provider_event_id: None, event_id, raw_status, references: Vec::new() }
}
