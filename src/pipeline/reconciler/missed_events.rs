//! The events that a provider lists as not handed over: read once after each gap, while they are still on the list.

use std::collections::HashSet;

use jiff::Timestamp;

use super::ReconcilerPorts;
use super::asking::{AskFailure, Asker};
use crate::domain::event_list::EventList;
use crate::domain::pull::{NoAnswer, PullAnswer};
use crate::domain::secret::Secret;

/// Pages that are read of a list, at most.
const MOST_PAGES: usize = 50;

pub(super) struct MissedEvents {
    list: &'static dyn EventList,
    /// When the list was last begun to be read that was read to its end.
    read_at: Option<Timestamp>,
    /// Events on the list that are in the intake, or gone from the list since.
    done: HashSet<String>,
}

impl MissedEvents {
    pub(super) fn new(list: &'static dyn EventList) -> Self {
        Self { list, read_at: None, done: HashSet::new() }
    }

    /// Whether a gap ended of which events may be on the list, and it was not read since.
    pub(super) fn is_due(&self, gap_ends: &[Timestamp], now: Timestamp) -> bool {
        let oldest = now.checked_sub(self.list.keeps_for()).unwrap_or_default();
        gap_ends.iter().any(|end| *end >= oldest && self.read_at.is_none_or(|read_at| read_at <= *end))
    }

    /// Puts at most `most` of the events that are not done into the intake, for as long as this process `is_active`. Returns
    /// whether there are more.
    pub(super) async fn publish(
        &mut self,
        asker: &mut Asker,
        ports: &ReconcilerPorts,
        now: Timestamp,
        most: usize,
        is_active: impl Fn() -> bool,
    ) -> Result<bool, AskFailure> {
        let list = self.list;
        let listed = self.read_list(asker, ports).await.inspect_err(|why| {
            // What the next look would hear as well: the list is read again after the next gap.
            if !why.may_pass() {
                self.read_at = Some(now);
            }
        })?;
        self.done.retain(|id| listed.contains(id));
        let left: Vec<_> = listed.into_iter().filter(|id| !self.done.contains(id)).collect();
        let more = left.len() > most;
        for id in left.into_iter().take(most) {
            if !is_active() {
                return Ok(true);
            }
            let ask = |with: &Secret| list.event(&id, with);
            match asker.request(ports, ask, |answer| list.read_event(&id, answer)).await {
                Ok(webhook) => asker.publish(ports, webhook, ports.clock.now(), &id).await?,
                Err(why) if why.is_of_account() => return Err(why.into()),
                // Handed over meanwhile, or nothing that we can read.
                Err(why) => tracing::info!(event.id = id, why = why.as_str(), "nothing was pulled"),
            }
            self.done.insert(id);
        }
        if !more {
            self.read_at = Some(now);
        }
        Ok(more)
    }

    async fn read_list(&self, asker: &mut Asker, ports: &ReconcilerPorts) -> Result<Vec<String>, NoAnswer> {
        let list = self.list;
        let (mut ids, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MOST_PAGES {
            let ask = |with: &Secret| list.list(cursor.as_deref(), with);
            let read = |answer: &PullAnswer| Ok((list.read_list(answer)?, answer.next_cursor.clone()));
            let (page, next) = asker.request(ports, ask, read).await?;
            ids.extend(page);
            cursor = next.filter(|next| !next.is_empty());
            if cursor.is_none() {
                break;
            }
        }
        Ok(ids)
    }
}
