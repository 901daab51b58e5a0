//! Which message kills its worker.
//!
//! A worker that dies gives back all that it had in hand, and the broker counts one for each of them, whichever was to
//! blame. The ledger counts for the one that was claimed; a message that kills before its claim, while it is read, would do
//! so again and again, and hold up all that come with it. So what came back often is on trial: it is read and processed
//! alone (`worker.rs`), and how many of its trials did not end is kept. What is innocent ends its first one.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::envelope::Envelope;
use crate::domain::parked::Parked;
use crate::ports::{Cell, Cells, CellsError, Swap, chance};

/// What came back so often is on trial. Rollouts and outages give messages back, too: a trial costs those that are innocent
/// two round trips, and that they wait for each other.
pub const SUSPECT_AFTER: u32 = 3;

/// Far longer than any pause between two starts of a process that crashes.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Remembers trials that did not end.
#[derive(Clone)]
pub struct Trials(Arc<dyn Cells>);

/// A message's trial. Its record is how many did not end, and which was the last.
pub(super) struct Trial<'a> {
    cells: &'a dyn Cells,
    /// By the body: it is what kills, and some messages have no name of their own.
    key: String,
    /// Tells this trial from others, so that noting it again after a lost reply changes nothing.
    name: u64,
}

impl Trials {
    #[must_use]
    pub fn new(cells: Arc<dyn Cells>) -> Self {
        Self(cells)
    }

    pub(super) fn of(&self, message: &Envelope) -> Trial<'_> {
        let key = format!("mp:trial:{}:{}", message.provider, Parked::id_of(None, &message.body));
        Trial { cells: &*self.0, key, name: chance::random() }
    }
}

impl Trial<'_> {
    /// Notes that it begins. Returns how many before it did not end.
    pub(super) async fn begin(&self) -> Result<u32, CellsError> {
        self.note(|unended, last| if last == self.name { unended } else { unended + 1 })
            .await
            .map(|now| now.saturating_sub(1))
    }

    /// Notes that it ended. One that came to nothing leaves the others as they were.
    pub(super) async fn end(&self, unended_before: u32, with_outcome: bool) -> Result<(), CellsError> {
        let unended = if with_outcome { 0 } else { unended_before };
        self.note(|_, _| unended).await.map(drop)
    }

    async fn note(&self, change: impl Fn(u32, u64) -> u32) -> Result<u32, CellsError> {
        let Cell { value: mut known, .. } = self.cells.read(&self.key).await?;
        loop {
            let (unended, last) = known.as_deref().and_then(read).unwrap_or_default();
            let unended = change(unended, last);
            let new = format!("{unended} {}", self.name);
            match self.cells.swap(&self.key, known.as_deref(), &new, REMEMBERED).await? {
                Swap::Done => return Ok(unended),
                Swap::Conflict(cell) => known = cell.value,
            }
        }
    }
}

fn read(record: &str) -> Option<(u32, u64)> {
    let (unended, last) = record.split_once(' ')?;
    Some((unended.parse().ok()?, last.parse().ok()?))
}
