//! What a search looks for: an id, and the deliveries that have it as a reference.
//!
//! A merchant's reference is kept nowhere but in the updates and the parked webhooks that say it: an index of its own would
//! cost each update a write. So a search finds the deliveries by what says the reference, and then all else of theirs by
//! their own ids.

use super::publications::Publication;
use crate::adapters::redis::DeliveryName;
use crate::operator::parked::entry::Entry;
use crate::sinks;

pub struct Sought {
    id: String,
    deliveries: Vec<DeliveryName>,
}

impl Sought {
    pub(super) fn new(id: &str, deliveries: &[DeliveryName]) -> Self {
        Self { id: id.to_owned(), deliveries: deliveries.to_vec() }
    }

    /// Whether the JSON of an update may name it. Most updates do not, and are not even parsed.
    pub(super) fn may_be_in(&self, body: &[u8]) -> bool {
        let ids = self.deliveries.iter().map(|delivery| delivery.delivery_id.as_str());
        ids.chain([tidied(&self.id)]).any(|id| contains(body, id))
    }

    /// Whether an update is the one that the id names, or of a delivery that is looked for.
    pub(super) fn names_update(&self, publication: &Publication) -> bool {
        let Publication { id: event, subject, data, .. } = publication;
        let mut named = [event, subject, &data.receipt_id].into_iter().chain(&data.provider_event_id);
        named.any(|name| *name == self.id) || self.deliveries.contains(&publication.delivery())
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
        is_named || self.deliveries.iter().any(|delivery| is_of(entry, delivery))
    }

    /// Whether the id is one of these references.
    pub(super) fn is_among<'a>(&self, references: impl IntoIterator<Item = &'a String>) -> bool {
        let id = tidied(&self.id);
        !id.is_empty() && references.into_iter().any(|reference| tidied(reference) == id)
    }
}

/// A sink's message does not say which provider's the delivery is.
fn is_of(entry: &Entry, delivery: &DeliveryName) -> bool {
    let provider = entry.about.provider;
    entry.content.delivery_id.as_ref() == Some(&delivery.delivery_id)
        && entry.account() == delivery.account
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
