//! A credential inside a JSON body: found, blanked and, for `milepost send`, put there.
//!
//! The body is edited by byte ranges, never re-encoded: all but the credential's value stays as it was sent.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::Rejection;
use super::document::{entries, text};
use super::escapes::holds_any;
use super::secret::Secret;

/// A shorter secret could occur in a body by chance.
const SEARCHABLE: usize = 8;

/// The value of the field that holds the credential, as it was sent.
pub(super) struct Presented<'a>(&'a RawValue);

impl Presented<'_> {
    /// What it says, when it is a JSON string; a number is no key.
    pub(super) fn text(&self) -> Option<String> {
        text(self.0).filter(|_| self.0.get().starts_with('"'))
    }
}

/// The value of the one field named `field`. A second one, or another spelling, is ambiguous: some parser would take
/// it for the credential, so blanking one could not be trusted.
pub(super) fn find<'a>(body: &'a [u8], field: &str) -> Result<Option<Presented<'a>>, Rejection> {
    let fields = entries(body).ok_or(Rejection::NotAnObject)?;
    let mut alike = fields.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case(field));
    match (alike.next(), alike.next()) {
        (None, _) => Ok(None),
        (Some((Cow::Borrowed(name), raw)), None) if name == field => Ok(Some(Presented(raw))),
        _ => Err(Rejection::AmbiguousCredential),
    }
}

/// Blanks the credential that was found, if any, and makes sure that no live secret is elsewhere in the body, in
/// escapes or not: that would be stored and published.
pub(super) fn blank(
    body: &Bytes,
    found: Option<&Presented<'_>>,
    secrets: &[Secret],
) -> Result<Bytes, Rejection> {
    let blanked = match found {
        Some(Presented(raw)) => replace(body, range(body, raw), b"\"\""),
        None => body.clone(),
    };
    let searched = secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SEARCHABLE);
    let searched: Vec<_> = searched.collect();
    if !searched.is_empty() && holds_any(&blanked, &searched) {
        return Err(Rejection::AmbiguousCredential);
    }
    Ok(blanked)
}

/// Puts the credential into the body, in the place of one that is there. A body that has no place for it is sent as
/// it is, to be refused.
pub(super) fn put(body: Bytes, field: &str, secret: &Secret) -> Bytes {
    let value = Value::from(String::from_utf8_lossy(secret.expose())).to_string();
    match find(&body, field) {
        Ok(Some(Presented(raw))) => replace(&body, range(&body, raw), value.as_bytes()),
        Ok(None) => insert(&body, field, &value),
        Err(_) => body,
    }
}

/// Where in `body` its slice `raw` is.
fn range(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + raw.get().len()
}

fn replace(body: &[u8], range: Range<usize>, value: &[u8]) -> Bytes {
    [&body[..range.start], value, &body[range.end..]].concat().into()
}

/// Makes the credential the first field of the object `body`.
fn insert(body: &[u8], field: &str, value: &str) -> Bytes {
    let first = body.iter().position(|&byte| byte == b'{').map_or(0, |brace| brace + 1);
    let comma = if body[first..].trim_ascii_start().starts_with(b"}") { "" } else { "," };
    replace(body, first..first, format!("\"{field}\":{value}{comma}").as_bytes())
}
