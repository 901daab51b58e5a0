//! Which refused webhooks came again: the same body for the same account, accepted later, by this receiver or by another.
//!
//! Of a refused webhook a digest is kept, in a set that is bounded, here and in Redis. While none is awaited, which is always
//! but for some time after a gap, an accepted webhook costs a look at a flag. What is counted is certain, and not complete: a receiver
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

/// What is known of each provider: one does not pay for another.
pub(super) struct Again(BTreeMap<ProviderId, ProviderContents>);

#[derive(Default)]
struct ProviderContents {
    is_awaited: AtomicBool,
    known: Mutex<KnownContents>,
}

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
    pub(super) fn of(providers: impl Iterator<Item = ProviderId>) -> Self {
        Self(providers.map(|provider| (provider, ProviderContents::default())).collect())
    }

    /// Takes note of what became of a webhook that was read whole. `digest` is asked for only if it is needed.
    pub(super) fn note<T>(
        &self,
        provider: ProviderId,
        outcome: &Result<T, Rejection>,
        at: Timestamp,
        digest: impl FnOnce() -> ContentDigest,
    ) {
        let Some(contents) = self.0.get(&provider) else { return };
        match outcome {
            Ok(_) if !contents.is_awaited.load(Ordering::Relaxed) => {}
            Ok(_) => {
                let (digest, mut known) = (digest(), contents.lock());
                if known.awaited.remove(&digest) && known.accepted.len() < MOST_CONTENTS {
                    known.accepted.insert(digest, at);
                }
            }
            // A connection that had to give way is its sender's, and no gap.
            Err(Rejection::Evicted) => {}
            Err(rejection) if rejection.kind() == RejectionKind::Unavailable => {
                let (digest, mut known) = (digest(), contents.lock());
                if known.refused.len() < MOST_CONTENTS || known.refused.contains_key(&digest) {
                    known.refused.insert(digest, at);
                    known.awaited.insert(digest);
                    contents.is_awaited.store(true, Ordering::Relaxed);
                }
            }
            Err(_) => {}
        }
    }

    /// What is to be noted in Redis: refused, and accepted.
    pub(super) fn unsaid(&self, provider: ProviderId) -> (Contents, Contents) {
        let listed =
            |all: &HashMap<ContentDigest, Timestamp>| all.iter().map(|(digest, at)| (*digest, *at)).collect();
        let Some(contents) = self.0.get(&provider) else { return Default::default() };
        let known = contents.lock();
        (listed(&known.refused), listed(&known.accepted))
    }

    /// That was noted, as it was then, and this is what Redis has of what may come again.
    pub(super) fn said(
        &self,
        provider: ProviderId,
        (refused, accepted): &(Contents, Contents),
        kept: &[RefusedContent],
    ) {
        let Some(contents) = self.0.get(&provider) else { return };
        let awaited = kept.iter().filter(|content| !content.came_again()).map(|content| content.digest);
        let mut awaited: HashSet<_> = awaited.collect();
        let mut known = contents.lock();
        let known = &mut *known;
        for (unsaid, noted) in [(&mut known.refused, refused), (&mut known.accepted, accepted)] {
            for (digest, at) in noted {
                if unsaid.get(digest) == Some(at) {
                    unsaid.remove(digest);
                }
            }
        }
        awaited.extend(known.refused.keys().copied());
        for digest in known.accepted.keys() {
            awaited.remove(digest);
        }
        contents.is_awaited.store(!awaited.is_empty(), Ordering::Relaxed);
        known.awaited = awaited;
    }
}

impl ProviderContents {
    fn lock(&self) -> MutexGuard<'_, KnownContents> {
        // A panic elsewhere cannot leave a set half-written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ProviderId = ProviderId::new("one");
    const OTHER: ProviderId = ProviderId::new("other");
    const AWAY: Result<(), Rejection> = Err(Rejection::BrokerUnavailable);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("in range")
    }

    fn digest(of: &str) -> ContentDigest {
        ContentDigest::of(&"default".parse().expect("a name"), of.as_bytes())
    }

    fn again() -> Again {
        Again::of([ONE, OTHER].into_iter())
    }

    /// As Redis has it: refused, and accepted or not.
    fn kept(of: &str, accepted_at: Option<Timestamp>) -> RefusedContent {
        RefusedContent { digest: digest(of), refused_at: at(1), accepted_at }
    }

    #[test]
    fn what_was_refused_and_is_accepted_later_came_again_once() {
        let again = again();
        again.note(ONE, &AWAY, at(1), || digest("a"));
        again.note(ONE, &Ok(()), at(2), || digest("b"));
        again.note(ONE, &Ok(()), at(3), || digest("a"));
        again.note(ONE, &Ok(()), at(4), || digest("a"));
        assert_eq!(again.unsaid(ONE), (vec![(digest("a"), at(1))], vec![(digest("a"), at(3))]));
        let noted = again.unsaid(ONE);
        again.said(ONE, &noted, &[kept("a", Some(at(3)))]);
        assert_eq!(again.unsaid(ONE), (vec![], vec![]));
    }

    #[test]
    fn nothing_is_digested_of_a_provider_of_which_nothing_is_awaited() {
        let again = again();
        let unused = || -> ContentDigest { panic!("digested") };
        again.note(ONE, &Ok(()), at(1), unused);
        again.note(ONE, &Err::<(), _>(Rejection::Evicted), at(1), unused);
        again.note(ONE, &Err::<(), _>(Rejection::WrongCredential), at(1), unused);
        again.note(OTHER, &AWAY, at(1), || digest("a"));
        again.note(ONE, &Ok(()), at(2), unused);
        again.said(OTHER, &again.unsaid(OTHER), &[]);
        again.note(OTHER, &Ok(()), at(3), unused);
    }

    #[test]
    fn what_is_refused_while_the_rest_is_noted_is_noted_next() {
        let again = again();
        again.note(ONE, &AWAY, at(1), || digest("a"));
        let noted = again.unsaid(ONE);
        again.note(ONE, &AWAY, at(2), || digest("a"));
        again.note(ONE, &AWAY, at(2), || digest("b"));
        again.said(ONE, &noted, &[kept("a", None)]);
        let mut refused = again.unsaid(ONE).0;
        refused.sort_unstable();
        let mut expected = vec![(digest("a"), at(2)), (digest("b"), at(2))];
        expected.sort_unstable();
        assert_eq!(refused, expected);
    }

    #[test]
    fn what_another_receiver_refused_is_known_once_redis_said_so() {
        let again = again();
        again.said(ONE, &Default::default(), &[kept("a", None), kept("b", Some(at(2)))]);
        again.note(ONE, &Ok(()), at(3), || digest("a"));
        again.note(ONE, &Ok(()), at(3), || digest("b"));
        assert_eq!(again.unsaid(ONE).1, [(digest("a"), at(3))]);
    }

    #[test]
    fn the_same_body_of_another_account_is_another_webhook() {
        let other = ContentDigest::of(&"shop-1".parse().expect("a name"), b"a");
        assert_ne!(digest("a"), other);
    }

    #[test]
    fn no_more_is_kept_than_the_bound() {
        let again = again();
        for number in 0..=MOST_CONTENTS {
            again.note(ONE, &AWAY, at(1), || digest(&number.to_string()));
        }
        assert_eq!(again.unsaid(ONE).0.len(), MOST_CONTENTS);
    }
}
