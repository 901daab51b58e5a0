//! Which status may follow which: data that each provider states for itself.

use super::status::{Phase, Status};

#[derive(Debug, Clone, Copy)]
pub struct Transitions {
    /// From each status, those that may come next.
    pub table: &'static [(Status, &'static [Status])],
    /// Statuses in the order of a delivery, where any may be left out: each may be followed by every later one.
    pub steps: &'static [Status],
    /// What may end a delivery at any time: these may follow any status that is not closed.
    pub ends: &'static [Status],
}

impl Transitions {
    /// Whether a delivery at `from` may be at `to` next. Saying a status again is always allowed (another courier,
    /// another position), and of a word that the provider does not document nothing is known.
    #[must_use]
    pub fn allow(&self, from: Status, to: Status) -> bool {
        let unknown = from == Status::Unknown || to == Status::Unknown;
        from == to || unknown || self.lists(from, to)
    }

    /// Every transition from one status to another, in the order of [`Status::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Status, Status)> {
        let named = move |status: &Status| self.names(*status);
        let pairs = Status::ALL
            .into_iter()
            .filter(named)
            .flat_map(move |from| Status::ALL.into_iter().filter(named).map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to && self.lists(*from, *to))
    }

    fn lists(&self, from: Status, to: Status) -> bool {
        let step = |status| self.steps.iter().position(|step| *step == status);
        let later = step(from).zip(step(to)).is_some_and(|(from, to)| from < to);
        let listed = self.table.iter().any(|(status, next)| *status == from && next.contains(&to));
        let ended = self.ends.contains(&to) && from.phase() != Phase::Closed;
        later || listed || ended
    }

    fn names(&self, status: Status) -> bool {
        let in_table = self.table.iter().any(|(from, next)| *from == status || next.contains(&status));
        in_table || self.steps.contains(&status) || self.ends.contains(&status)
    }
}
