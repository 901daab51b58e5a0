//! Which refused webhooks came again: the same body for the same account, accepted later, by this receiver or by another.
//!
//! Of a refused webhook a digest is kept, in a set that is bounded, here and in Redis. While none is awaited, which is always
//! but for some time after a gap, an accepted webhook costs a look at a flag. What is told so is certain, and not all: a receiver
//! learns within seconds what another one refused.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::domain::answer::{Rejection, RejectionKind};
use crate::domain::gap::{ContentDigest, RefusedContent};
use crate::domain::provider::ProviderId;
use crate::ports::MOST_CONTENTS;

/// Digests, with when each was last refused, or accepted.
pub type Contents = Vec<(ContentDigest, Timestamp)>;

/// What is known of all providers.
#[derive(Default)]
pub(super) struct Again {
    is_awaited: AtomicBool,
    known: Mutex<BTreeMap<ProviderId, KnownContents>>,
}

/// What is known of one.
#[derive(Default)]
struct KnownContents {
    /// Refused by any receiver, and not accepted since.
    awaited: HashSet<ContentDigest>,
    /// Refused here, and not noted in Redis yet.
    refused: HashMap<ContentDigest, Timestamp>,
    /// Awaited and accepted here, and not noted in Redis yet.
    accepted: HashMap<ContentDigest, Timestamp>,
}

impl Again {
    /// Takes note of what became of a webhook that was read whole. `digest` is asked for only if it is needed.
    pub(super) fn note<T>(
        &self,
        provider: ProviderId,
        outcome: &Result<T, Rejection>,
        at: Timestamp,
        digest: impl FnOnce() -> ContentDigest,
    ) {
        match outcome {
            Ok(_) if !self.is_awaited.load(Ordering::Relaxed) => {}
            Ok(_) => {
                let (digest, mut all) = (digest(), self.lock());
                let known = all.entry(provider).or_default();
                if known.awaited.remove(&digest) && known.accepted.len() < MOST_CONTENTS {
                    known.accepted.insert(digest, at);
                }
            }
            Err(rejection) if rejection.kind() == RejectionKind::Unavailable => {
                let (digest, mut all) = (digest(), self.lock());
                let known = all.entry(provider).or_default();
                if known.refused.len() < MOST_CONTENTS || known.refused.contains_key(&digest) {
                    known.refused.insert(digest, at);
                    known.awaited.insert(digest);
                    self.is_awaited.store(true, Ordering::Relaxed);
                }
            }
            Err(_) => {}
        }
    }

    /// What is to be noted in Redis: refused, and accepted.
    pub(super) fn unsaid(&self, provider: ProviderId) -> (Contents, Contents) {
        let listed =
            |all: &HashMap<ContentDigest, Timestamp>| all.iter().map(|(digest, at)| (*digest, *at)).collect();
        let all = self.lock();
        all.get(&provider)
            .map_or_else(Default::default, |known| (listed(&known.refused), listed(&known.accepted)))
    }

    /// That was noted, as it was then, and this is what Redis has of what may come again.
    pub(super) fn said(
        &self,
        provider: ProviderId,
        (refused, accepted): &(Contents, Contents),
        kept: &[RefusedContent],
    ) {
        let mut all = self.lock();
        let known = all.entry(provider).or_default();
        for (unsaid, noted) in [(&mut known.refused, refused), (&mut known.accepted, accepted)] {
            for (digest, at) in noted {
                if unsaid.get(digest) == Some(at) {
                    unsaid.remove(digest);
                }
            }
        }
        let awaited = kept.iter().filter(|content| !content.came_again()).map(|content| content.digest);
        let awaited = awaited.chain(known.refused.keys().copied());
        known.awaited = awaited.filter(|digest| !known.accepted.contains_key(digest)).collect();
        let is_awaited = all.values().any(|known| !known.awaited.is_empty());
        self.is_awaited.store(is_awaited, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProviderId, KnownContents>> {
        // A panic elsewhere cannot leave a set half-written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
