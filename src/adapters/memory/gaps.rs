//! Gaps in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::gap::{ContentDigest, Gap, RefusedContent};
use crate::domain::provider::ProviderId;
use crate::ports::{Gaps, LedgerError, MOST_CONTENTS, MOST_GAPS};

#[derive(Default)]
struct StoredGaps {
    gaps: BTreeMap<(ProviderId, String), Gap>,
    refused: BTreeMap<ProviderId, BTreeMap<ContentDigest, Timestamp>>,
    accepted: BTreeMap<ProviderId, BTreeMap<ContentDigest, Timestamp>>,
    alive: Option<Timestamp>,
}

/// Keeps the latest time of each, and the newest of all.
fn keep(kept: &mut BTreeMap<ContentDigest, Timestamp>, contents: &[(ContentDigest, Timestamp)]) {
    for (digest, at) in contents {
        let known = kept.entry(*digest).or_insert(*at);
        *known = (*known).max(*at);
    }
    let mut times: Vec<_> = kept.iter().map(|(digest, at)| (*at, *digest)).collect();
    times.sort_unstable();
    for (_, digest) in times.iter().take(times.len().saturating_sub(MOST_CONTENTS)) {
        kept.remove(digest);
    }
}

#[derive(Default)]
pub struct MemoryGaps(Mutex<StoredGaps>);

impl MemoryGaps {
    fn kept(&self) -> MutexGuard<'_, StoredGaps> {
        // A panic elsewhere cannot leave it half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Gaps for MemoryGaps {
    async fn note(&self, provider: ProviderId, name: &str, gap: &Gap) -> Result<(), LedgerError> {
        let mut kept = self.kept();
        kept.gaps.insert((provider, name.to_owned()), gap.clone());
        let mut own: Vec<_> = kept.gaps.iter().filter(|((of, _), _)| *of == provider).collect();
        own.sort_by_key(|(_, gap)| std::cmp::Reverse(gap.until));
        let surplus: Vec<_> = own.into_iter().skip(MOST_GAPS).map(|(name, _)| name.clone()).collect();
        for name in surplus {
            kept.gaps.remove(&name);
        }
        Ok(())
    }

    async fn since(&self, provider: ProviderId, since: Timestamp) -> Result<Vec<Gap>, LedgerError> {
        let kept = self.kept();
        let own = kept.gaps.iter().filter(|((of, _), gap)| *of == provider && gap.until >= since);
        let mut gaps: Vec<_> = own.map(|(_, gap)| gap.clone()).collect();
        gaps.sort_by_key(|gap| gap.from);
        Ok(gaps)
    }

    async fn refused(
        &self,
        provider: ProviderId,
        contents: &[(ContentDigest, Timestamp)],
    ) -> Result<(), LedgerError> {
        keep(self.kept().refused.entry(provider).or_default(), contents);
        Ok(())
    }

    async fn accepted(
        &self,
        provider: ProviderId,
        contents: &[(ContentDigest, Timestamp)],
    ) -> Result<(), LedgerError> {
        keep(self.kept().accepted.entry(provider).or_default(), contents);
        Ok(())
    }

    async fn contents(
        &self,
        provider: ProviderId,
        since: Timestamp,
    ) -> Result<Vec<RefusedContent>, LedgerError> {
        let kept = self.kept();
        let accepted = kept.accepted.get(&provider);
        let refused = kept.refused.get(&provider).into_iter().flatten().filter(|(_, at)| **at >= since);
        let contents = refused.map(|(&digest, &refused_at)| {
            let accepted_at = accepted.and_then(|accepted| accepted.get(&digest)).copied();
            RefusedContent { digest, refused_at, accepted_at }
        });
        Ok(contents.collect())
    }

    async fn alive(&self, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.kept().alive.replace(now))
    }
}
