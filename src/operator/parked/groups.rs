//! Parked messages that failed alike.

use jiff::Timestamp;

use super::entry::Entry;

/// What messages that failed alike have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// The provider, or the sink.
    pub provider: String,
    /// The account, or `-`.
    pub account: String,
    pub reason: String,
    /// What in particular; may be empty.
    pub detail: String,
    /// Eight hex digits for provider, reason and detail.
    pub fingerprint: String,
}

impl GroupKey {
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let about = &entry.about;
        Self {
            provider: about.provider.to_string(),
            account: entry.account().to_owned(),
            reason: about.reason.clone(),
            detail: about.detail.clone().unwrap_or_default(),
            fingerprint: about.fingerprint(),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Group {
    pub count: u64,
    /// Since when the first of them is parked.
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
}

impl Group {
    /// Counts one that was parked at this time, if that is known.
    pub fn add(&mut self, at: Option<Timestamp>) {
        self.count += 1;
        self.oldest = [self.oldest, at].into_iter().flatten().min();
        self.newest = self.newest.max(at);
    }
}
