//! A delivery's course: what each of its updates said of the status, and what that adds up to.
//!
//! Updates may be processed in any order: one waits for a retry while the next goes through, and replicas share the
//! queue. So nothing is decided update by update. The course keeps what each said, in the order of their sequence
//! numbers, and every answer is computed from the whole of it: the same updates give the same answer in any order
//! in which they were taken in.

use serde::{Deserialize, Serialize};

use super::stage::{Effect, Overrides, Stage, effect, effect_of};
use crate::domain::status::{Phase, Status};
use crate::sinks::update::{Fit, Update};

/// A delivery has some ten statuses; what repeats one is left out. Beyond these the oldest are forgotten.
const MOST_CLAIMS: usize = 40;

/// What one update says of the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "n")]
    pub sequence: u64,
    #[serde(rename = "s")]
    pub stage: Stage,
    /// When it happened, in milliseconds.
    #[serde(rename = "t")]
    pub at_ms: i64,
    /// Whether it starts the delivery over: what was claimed before it counts no more.
    #[serde(rename = "r", default, skip_serializing_if = "std::ops::Not::not")]
    pub restarts: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Statements(Vec<Statement>);

/// What the course adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusion {
    pub stage: Stage,
    /// When a courier took it on.
    pub assigned_at_ms: Option<i64>,
    /// When it was picked up.
    pub pickup_at_ms: Option<i64>,
    /// When it was closed, as `stage` says.
    pub closed_at_ms: Option<i64>,
}

impl Statement {
    /// What an update claims; nothing if it changes no status.
    #[must_use]
    pub fn of(update: &Update, overrides: &Overrides) -> Option<Self> {
        let restarts = restarts(update, overrides);
        let stage = match effect_of(update, overrides) {
            Effect::Show(stage) => stage,
            Effect::Begin => Stage::Pending,
            Effect::Keep => return None,
        };
        Some(Self { sequence: update.sequence, stage, at_ms: update.at.as_millisecond(), restarts })
    }
}

/// Whether an update starts its delivery over: a step back that the provider's own rules have, to where no courier has
/// the goods. Such is another courier, or none, and another attempt after a cancellation or a failure. The update itself
/// says so (`order`, `previous_status`), so that it does not matter what was taken in before.
fn restarts(update: &Update, overrides: &Overrides) -> bool {
    let Some(previous) = update.previous_status.as_deref() else { return false };
    let to = match effect_of(update, overrides) {
        Effect::Begin => Stage::Pending,
        Effect::Show(stage @ (Stage::Pending | Stage::PickupEnroute)) => stage,
        Effect::Show(_) | Effect::Keep => return false,
    };
    // The map alone says how far the status before was: a connection that does not show one was as far.
    let from = match effect(previous, phase_of(previous), &Overrides::new()) {
        Effect::Show(stage) => stage,
        Effect::Begin => Stage::Pending,
        Effect::Keep => return false,
    };
    // Goods that are staged for the last leg did not go back to the merchant; after a failure it begins again, though.
    let is_staged = phase_of(&update.status) == Phase::Transit && !from.is_closed();
    update.fit == Fit::InOrder && from > to && !is_staged
}

fn phase_of(status: &str) -> Phase {
    let known = Status::ALL.into_iter().find(|known| known.as_str() == status);
    known.map_or(Phase::Unknown, Status::phase)
}

impl Statements {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claims, in the order of their sequence numbers.
    #[must_use]
    pub fn claims(&self) -> &[Statement] {
        &self.0
    }

    /// Takes a claim in. One that is there changes nothing.
    pub fn add(&mut self, claim: Statement) {
        let at = self.0.partition_point(|other| other.sequence < claim.sequence);
        if self.0.get(at).is_some_and(|other| other.sequence == claim.sequence) {
            return;
        }
        self.0.insert(at, claim);
        // Of a run that repeats one status only the first and the last tell anything. The insertion may have made its
        // neighbours redundant, or be redundant itself.
        for middle in [at + 1, at, at.wrapping_sub(1)] {
            self.drop_if_redundant(middle);
        }
        let surplus = self.0.len().saturating_sub(MOST_CLAIMS);
        self.0.drain(..surplus);
    }

    fn drop_if_redundant(&mut self, middle: usize) {
        let Some([before, claim, after]) =
            middle.checked_sub(1).and_then(|first| self.0.get(first..first.checked_add(3)?))
        else {
            return;
        };
        let same = before.stage == claim.stage && claim.stage == after.stage;
        if same && !claim.restarts && !after.restarts {
            self.0.remove(middle);
        }
    }

    /// What it adds up to; nothing while no status was claimed.
    ///
    /// A delivery goes forwards until it starts over, and so the furthest status counts. Of two that close it the later
    /// one counts: it corrects the other.
    #[must_use]
    pub fn conclusion(&self) -> Option<Conclusion> {
        let start = self.0.iter().rposition(|claim| claim.restarts).unwrap_or_default();
        let current = &self.0[start..];
        let closed = current.iter().rfind(|claim| claim.stage.is_closed());
        let furthest = current.iter().filter(|claim| !claim.stage.is_closed()).map(|claim| claim.stage).max();
        let stage = closed.map(|claim| claim.stage).or(furthest)?;
        let first =
            |wanted: Stage| current.iter().find(|claim| claim.stage == wanted).map(|claim| claim.at_ms);
        Some(Conclusion {
            stage,
            assigned_at_ms: first(Stage::PickupEnroute),
            pickup_at_ms: first(Stage::DropoffEnroute),
            closed_at_ms: first(stage).filter(|_| stage.is_closed()),
        })
    }
}
