//! A request's body, read within its bounds: on size, on time, on how slow it may be, and on what its provider's
//! webhooks may take at once.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use super::HttpLimits;
use super::allowance::Admitted;
use crate::domain::answer::Rejection;

/// What is sent at once has arrived by now, a lost packet or two included. After that the body must keep its rate.
const GRACE: Duration = Duration::from_secs(2);
/// For how long the rest of a refused request is read away.
const LINGER: Duration = Duration::from_secs(2);

/// Whether the body says beforehand that it is too large.
pub(super) fn is_announced_too_large(body: &Incoming, limits: &HttpLimits) -> bool {
    body.size_hint().lower() > limits.max_body_bytes as u64
}

/// Reads a body. Memory is taken as bytes arrive, not as announced. Each piece is copied into one buffer, since pieces kept
/// as they came would hold far more memory than their bytes when a sender makes them tiny.
pub(super) async fn read(
    body: &mut Incoming,
    limits: &HttpLimits,
    admission: &Admitted<'_>,
) -> Result<Bytes, Rejection> {
    let begun = Instant::now();
    let mut bytes = BytesMut::new();
    loop {
        let frame = tokio::select! {
            biased;
            frame = timeout_at(begun + patience(bytes.len(), limits), body.frame()) => frame,
            () = admission.asked_to_go() => return Err(Rejection::Evicted),
        };
        let Some(frame) = frame.map_err(|_| Rejection::TooSlow)? else { return Ok(bytes.freeze()) };
        let frame = frame.map_err(|_| Rejection::BrokenBody)?;
        let Some(piece) = frame.data_ref() else { continue };
        if bytes.len() + piece.len() > limits.max_body_bytes {
            return Err(Rejection::TooLarge);
        }
        admission.grow(piece.len())?;
        bytes.extend_from_slice(piece);
    }
}

/// How long after its beginning the next piece must have come of a body of which so much has.
fn patience(received: usize, limits: &HttpLimits) -> Duration {
    let Some(rate) = limits.min_body_rate else { return limits.body_timeout };
    let earned = u64::try_from(received).unwrap_or(u64::MAX).saturating_mul(1_000) / u64::from(rate.get());
    limits.body_timeout.min(GRACE.saturating_add(Duration::from_millis(earned)))
}

/// Reads away what a refused sender is still sending. Closing a connection with unread bytes resets it, and the
/// sender would see a broken connection in place of its answer. Its connection waits for this, so there are never
/// more of these than connections.
pub(super) fn discard(mut body: Incoming) {
    if !body.is_end_stream() {
        tokio::spawn(timeout(LINGER, async move { while let Some(Ok(_)) = body.frame().await {} }));
    }
}
