//! The credential inside 247Express's body: found, checked, blanked and, for `milepost send`, put there.
//!
//! The body is edited by byte ranges, never re-encoded: all but the credential's value stays as it was sent.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::answer::Rejection;
use crate::domain::document::{entries, text};
use crate::domain::provider::{Credentials, check_secret};
use crate::domain::secret::Secret;

const NAME: &str = "ApiKey";
/// A shorter secret could occur in a body by chance.
const SEARCHABLE: usize = 8;

/// Checks the credential and blanks it.
pub(super) fn check_and_blank(body: &[u8], credentials: &Credentials) -> Result<Bytes, Rejection> {
    let raw = find(body)?.ok_or(Rejection::MissingCredential)?;
    let presented = string(raw).ok_or(Rejection::WrongCredential)?;
    check_secret(Some(presented.as_bytes()), credentials)?;
    let blanked = replace(body, range(body, raw), b"\"\"");
    // A copy of it elsewhere would be stored and published.
    let secrets = credentials.secrets.iter().map(Secret::expose).filter(|secret| secret.len() >= SEARCHABLE);
    for secret in secrets {
        if blanked.windows(secret.len()).any(|bytes| bytes == secret) {
            return Err(Rejection::AmbiguousCredential);
        }
    }
    Ok(blanked)
}

/// Blanks the credential, if there is one.
pub(super) fn blank(body: Bytes) -> Result<Bytes, Rejection> {
    match find(&body)? {
        Some(raw) => Ok(replace(&body, range(&body, raw), b"\"\"")),
        None => Ok(body),
    }
}

/// Puts the credential into the body, in the place of one that is there. A body that has no place for it is sent as
/// it is, to be refused.
pub(super) fn put(body: Bytes, secret: &Secret) -> Bytes {
    let value = Value::from(String::from_utf8_lossy(secret.expose())).to_string();
    match find(&body) {
        Ok(Some(raw)) => replace(&body, range(&body, raw), value.as_bytes()),
        Ok(None) => insert(&body, &value),
        Err(_) => body,
    }
}

/// The value of the one field named `ApiKey`. A second one, or another spelling, is ambiguous: some parser would
/// take it for the credential, so blanking one could not be trusted.
fn find(body: &[u8]) -> Result<Option<&RawValue>, Rejection> {
    let fields = entries(body).ok_or(Rejection::NotAnObject)?;
    let mut alike = fields.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case(NAME));
    match (alike.next(), alike.next()) {
        (None, _) => Ok(None),
        (Some((Cow::Borrowed(NAME), raw)), None) => Ok(Some(raw)),
        _ => Err(Rejection::AmbiguousCredential),
    }
}

/// What a JSON string says; a number is no key.
fn string(raw: &RawValue) -> Option<String> {
    text(raw).filter(|_| raw.get().starts_with('"'))
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
fn insert(body: &[u8], value: &str) -> Bytes {
    let first = body.iter().position(|&byte| byte == b'{').map_or(0, |brace| brace + 1);
    let comma = if body[first..].trim_ascii_start().starts_with(b"}") { "" } else { "," };
    replace(body, first..first, format!("\"{NAME}\":{value}{comma}").as_bytes())
}
