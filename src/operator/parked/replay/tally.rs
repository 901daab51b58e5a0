//! What a replay did, in numbers.

use std::fmt;
use std::ops::AddAssign;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub selected: u64,
    /// Of these, such as cannot be replayed.
    pub unfit: u64,
    /// Of these, such as are with the workers.
    pub replayed: u64,
    /// Replays whose update was seen.
    pub published: u64,
    /// Replays that were seen to fail again.
    pub failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.selected += other.selected;
        self.unfit += other.unfit;
        self.replayed += other.replayed;
        self.published += other.published;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replayed, published, failed, unfit, .. } = self;
        let silent = replayed.saturating_sub(published + failed);
        write!(
            f,
            "replayed {replayed}: {published} seen published, {failed} failed again, {silent} without a result"
        )?;
        write!(f, " (duplicates and ignored events have no result)")?;
        if *unfit > 0 {
            write!(f, "; {unfit} left, as they are no webhooks of a receiver")?;
        }
        Ok(())
    }
}
