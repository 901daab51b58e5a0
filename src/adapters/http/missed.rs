//! When webhooks were refused through no fault of their sender's: the gaps that are noted where they survive this process.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::gap::{Gap, Witness};
use crate::domain::provider::ProviderId;

/// A refusal so long after the last one begins another gap.
const APART: SignedDuration = SignedDuration::from_mins(1);
/// Gaps of a provider that wait to be noted, at most: the newest.
const MOST_UNSAID: usize = 100;

/// The gaps of each provider that are not noted yet as they are now.
#[derive(Default)]
pub(super) struct Missed(BTreeMap<ProviderId, Vec<Gap>>);

impl Missed {
    pub(super) fn refused(&mut self, provider: ProviderId, at: Timestamp) {
        let gaps = self.0.entry(provider).or_default();
        match gaps.last_mut().filter(|gap| at.duration_since(gap.until) <= APART) {
            Some(gap) => {
                gap.until = gap.until.max(at);
                gap.refused += 1;
            }
            None => {
                let gap = Gap { witness: Witness::Receiver, account: None, from: at, until: at, refused: 1 };
                gaps.push(gap);
                gaps.drain(..gaps.len().saturating_sub(MOST_UNSAID));
            }
        }
    }

    pub(super) fn gaps(&self) -> Vec<(ProviderId, Gap)> {
        let of = |(provider, gaps): (&ProviderId, &Vec<Gap>)| {
            gaps.iter().map(|gap| (*provider, gap.clone())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// A gap was noted as it was then. It is forgotten once no refusal can belong to it any more.
    pub(super) fn noted(&mut self, provider: ProviderId, noted: &Gap, now: Timestamp) {
        let Some(gaps) = self.0.get_mut(&provider) else { return };
        gaps.retain(|gap| gap != noted || now.duration_since(gap.until) <= APART);
    }
}
