//! What a search looks for: an id, and the deliveries that have it as a reference.
//!
//! A merchant's reference is kept nowhere but in the updates and the parked webhooks that say it: an index of its own would
//! cost each update a write. So a search finds the deliveries by what says the reference, and then all else of theirs by
//! their own ids.

use std::collections::HashMap;

use super::publications::Publication;
use crate::adapters::redis::DeliveryName;
use crate::operator::parked::entry::Entry;
use crate::sinks;

pub struct Sought {
    id: String,
    /// By their own ids: each parked message is compared with them.
    deliveries: HashMap<String, Vec<DeliveryName>>,
}

impl Sought {
    pub(super) fn new(id: &str, deliveries: &[DeliveryName]) -> Self {
        let mut by_id: HashMap<_, Vec<_>> = HashMap::new();
        for delivery in deliveries {
            by_id.entry(delivery.delivery_id.clone()).or_default().push(delivery.clone());
        }
        Self { id: id.to_owned(), deliveries: by_id }
    }

    /// Whether the JSON of an update may name it. Most updates do not, and are not even parsed.
    pub(super) fn may_be_in(&self, body: &[u8]) -> bool {
        let ids = self.deliveries.keys().map(String::as_str);
        ids.chain([tidied(&self.id)]).any(|id| contains(body, id))
    }

    /// Whether an update is the one that the id names, or of a delivery that is looked for.
    pub(super) fn names_update(&self, publication: &Publication) -> bool {
        let Publication { id: event, subject, data, .. } = publication;
        let mut named = [event, subject, &data.receipt_id].into_iter().chain(&data.provider_event_id);
        let mut deliveries = self.deliveries.get(subject).into_iter().flatten();
        named.any(|name| *name == self.id) || deliveries.any(|delivery| *delivery == publication.delivery())
    }

    /// Whether a parked message is looked for, or says the id as a reference.
    #[must_use]
    pub fn finds_parked(&self, entry: &Entry) -> bool {
        self.names_parked(entry) || self.is_among(&entry.content.references)
    }

    /// Whether a parked message is what the id names, or of a delivery that is looked for.
    pub(super) fn names_parked(&self, entry: &Entry) -> bool {
        let content = &entry.content;
        let said = [&content.delivery_id, &content.provider_event_id, &content.event_id];
        let is_named = entry.about.id == self.id || said.into_iter().flatten().any(|said| *said == self.id);
        is_named || self.delivery_of(entry).is_some()
    }

    /// The delivery that is looked for and that a parked message is of.
    pub(super) fn delivery_of(&self, entry: &Entry) -> Option<&DeliveryName> {
        let of_that_id = self.deliveries.get(entry.content.delivery_id.as_ref()?)?;
        of_that_id.iter().find(|delivery| is_of(entry, delivery))
    }

    /// Whether the id is one of these references.
    pub(super) fn is_among<'a>(&self, references: impl IntoIterator<Item = &'a String>) -> bool {
        let id = tidied(&self.id);
        !id.is_empty() && references.into_iter().any(|reference| tidied(reference) == id)
    }
}

/// Whether it is of this delivery, whose id it has. A sink's message does not say which provider's the delivery is.
fn is_of(entry: &Entry, delivery: &DeliveryName) -> bool {
    let provider = entry.about.provider;
    entry.account() == delivery.account
        && (provider.as_str() == delivery.provider || sinks::ALL.contains(&provider))
}

/// A reference as it is compared: merchants' systems write an order's number with a `#` before it, or without.
fn tidied(reference: &str) -> &str {
    reference.trim().trim_start_matches('#')
}

/// Whether the JSON may hold `id`: an id that JSON would write with escapes is looked for by parsing.
fn contains(body: &[u8], id: &str) -> bool {
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    !plain || body.windows(id.len().max(1)).any(|window| window == id.as_bytes())
}
