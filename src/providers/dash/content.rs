//! What makes two of Dash's webhooks the same event: it sends no event id.
//!
//! Not delivery, status and `updatedAt` alone, as Dash suggests: a courier swapped while `IN_DELIVERY` and a second
//! `FAILED` come without `updatedAt`, and would be taken for repeats.

use serde_json::value::RawValue;

use super::envelope::TIMES;
use crate::domain::document::Document;
use crate::domain::fingerprint::{Fingerprint, Fingerprinter};
use crate::domain::instant::ProviderTime;

/// The fingerprint of `fields`, of which nothing but [`TIMES`] is taken yet: `times`, which were sent as `sent`.
pub(super) fn fingerprint<'a>(
    fields: &Document<'a>,
    times: &[Option<ProviderTime>; TIMES.len()],
    sent: &[Option<&'a RawValue>; TIMES.len()],
) -> Fingerprint {
    let mut content = Fingerprinter::new();
    for name in ["deliveryID", "status", "failedCount", "failedReason", "cancelledReason", "trackingURL"] {
        content = content.field(name, fields.peek(name));
    }
    for (at, name) in TIMES.into_iter().enumerate() {
        content = content.time(name, times[at].as_ref(), sent[at]);
    }
    content = within(content, fields, "courier", &["name", "phone"]);
    content = within(content, fields, "recipient", &["actualRecipientName"]);
    media(content, fields.peek("media")).finish()
}

/// Adds some fields of a nested object. Anything that is no object, and its absence, stays as it is.
fn within(content: Fingerprinter, fields: &Document<'_>, name: &str, inner: &[&str]) -> Fingerprinter {
    let raw = fields.peek(name);
    match raw.and_then(|raw| Document::parse(raw.get().as_bytes()).ok()) {
        Some(object) => inner
            .iter()
            .fold(content, |content, field| content.field(&format!("{name}.{field}"), object.peek(field))),
        None => content.field(name, raw),
    }
}

/// Adds the media in an order of their own: the one they were sent in says nothing.
fn media(content: Fingerprinter, raw: Option<&RawValue>) -> Fingerprinter {
    let items = raw.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok());
    let Some(mut items) = items.filter(|items| !items.is_empty()) else {
        return content.field("media", raw);
    };
    items.sort_by_cached_key(|item| Fingerprinter::new().field("media", Some(item)).finish().0);
    items.into_iter().fold(content, |content, item| content.field("media item", Some(item)))
}
