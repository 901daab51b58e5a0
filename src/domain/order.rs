//! Which of two updates of a delivery is further on: the one rule that says what is late.
//!
//! Three things can tell, and none of them is always right. The provider's times are the best witness, but some
//! providers send none, some send another kind of time with some statuses, and a wrong time zone puts a time hours off.
//! The provider's own transitions say which status comes first, except where a delivery may go back. Arrival is always
//! known, and says least: webhooks overtake each other. So they are asked in this order:
//!
//! 1. Provider times that are more than [`TOLERANCE`] apart: the later is further on.
//! 2. Statuses of which one leads to the other and never back: the one that follows is further on. So a legal step
//!    forward is not late because of a small contradiction between times.
//! 3. Provider times of the same kind: the later is further on.
//! 4. Statuses of which one usually comes first, although the provider may step back (another courier, another attempt):
//!    the usual order, when both happened within [`TOLERANCE`] as far as is known.
//! 5. Receipt: the later is further on.
//!
//! A provider time that lies more than [`TOLERANCE`] after the receipt cannot be right and tells nothing.
//!
//! A delivery's present state that was pulled stands at the time of the request, if the answer has no time of its own.
//! That is a time of our clock and not of the provider's. So it is compared in rule 3 with times of every kind, and never
//! in rule 1: behind a provider's clock that is slow, a step forward stays one.
//! `adapters/redis/order.lua` has the same rule.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::status::Status;
use super::transitions::Transitions;

/// How far a provider's clock is believed: beyond the receipt, and against the order of its own statuses.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

/// What a provider's time is the time of. Times of different kinds are not compared to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeKind {
    /// The time that the provider gives with every change.
    #[default]
    Change,
    /// Another one, taken because that is missing.
    Substitute,
    /// Our own: when the provider was asked how the delivery stands, and its answer had no time.
    Asked,
}

/// A time of an update that can be compared, to the microsecond: as fine as a Lua number holds exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime {
    pub at: Timestamp,
    /// What it is the time of.
    pub kind: TimeKind,
}

/// What is compared of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub status: Status,
    /// When, by the provider's clock, or by ours if it was asked.
    pub event_time: Option<EventTime>,
    /// When it was received, to the millisecond.
    pub received_at: Timestamp,
}

impl Moment {
    /// An update's moment. A time too far after the receipt is left out.
    #[must_use]
    pub fn new(status: Status, event_time: Option<(Timestamp, TimeKind)>, received_at: Timestamp) -> Self {
        let believed = event_time.filter(|(at, _)| is_believed(*at, received_at));
        let event_time = believed.and_then(|(at, kind)| {
            Some(EventTime { at: Timestamp::from_microsecond(at.as_microsecond()).ok()?, kind })
        });
        Self { status, event_time, received_at }
    }

    /// Whether its time is that of a request: the provider was asked, and its answer had none.
    #[must_use]
    pub fn is_of_request(&self) -> bool {
        self.event_time.is_some_and(|time| time.kind == TimeKind::Asked)
    }

    /// Whether this is less, equally or further on than `other`. `precedence` is that of this moment's status.
    #[must_use]
    pub fn compare(&self, other: &Self, precedence: Precedence) -> Ordering {
        let apart = self.event_time.zip(other.event_time).map(|(one, other)| one.at.duration_since(other.at));
        let received_apart = self.received_at.duration_since(other.received_at);
        let asked = self.is_of_request() || other.is_of_request();
        let kind = |moment: &Self| moment.event_time.map(|time| time.kind);
        let comparable = asked || kind(self) == kind(other);
        let together = apart.unwrap_or(received_apart).abs() <= TOLERANCE;
        match (apart, precedence.over(other.status)) {
            (Some(apart), _) if apart.abs() > TOLERANCE && !asked => sign(apart),
            (_, Relation::Always(order)) => order,
            (Some(apart), _) if comparable && !apart.is_zero() => sign(apart),
            (_, Relation::Usually(order)) if together => order,
            _ => sign(received_apart),
        }
    }

    /// The letter for the kind of its time: `c`, `s` or `a`.
    #[must_use]
    pub fn kind_code(&self) -> &'static str {
        match self.event_time.map(|time| time.kind).unwrap_or_default() {
            TimeKind::Change => "c",
            TimeKind::Substitute => "s",
            TimeKind::Asked => "a",
        }
    }

    /// This moment, with the time of `before` if it has none of its own.
    #[must_use]
    pub fn with_time_of(self, before: &Self) -> Self {
        Self { event_time: self.event_time.or(before.event_time), ..self }
    }

    /// The same, and never an earlier receipt.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        let received_at = self.received_at.max(before.received_at);
        Self { received_at, ..self.with_time_of(before) }
    }
}

/// Whether a provider's time can be right, given when it was received.
#[must_use]
pub fn is_believed(event_time: Timestamp, received_at: Timestamp) -> bool {
    event_time.duration_since(received_at) <= TOLERANCE
}

fn sign(duration: SignedDuration) -> Ordering {
    duration.cmp(&SignedDuration::ZERO)
}

/// Which of two statuses comes after the other, seen from the first.
enum Relation {
    /// One leads to the other and never back.
    Always(Ordering),
    /// One usually comes first, but the provider may step back.
    Usually(Ordering),
    /// The transitions do not say.
    Unknown,
}

/// How one status relates to every other, by its provider's transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precedence([u8; STATUSES]);

impl Precedence {
    fn over(self, other: Status) -> Relation {
        match self.0[other as usize] {
            b'<' => Relation::Always(Ordering::Greater),
            b'>' => Relation::Always(Ordering::Less),
            b'(' => Relation::Usually(Ordering::Greater),
            b')' => Relation::Usually(Ordering::Less),
            _ => Relation::Unknown,
        }
    }

    /// A character for each of [`Status::ALL`]: `<` it comes before this status, `>` after it; `(` and `)` the same,
    /// but a step back is legal; `=` the transitions do not say.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Unwrap safety: it consists of the five characters above.
        std::str::from_utf8(&self.0).expect("ASCII")
    }
}

const STATUSES: usize = Status::ALL.len();

/// Whether a status is followed by another.
type Relations = [[bool; STATUSES]; STATUSES];

/// The [`Precedence`] of each status of a provider.
#[derive(Debug, Clone)]
pub struct StatusOrder([Precedence; STATUSES]);

impl StatusOrder {
    /// Follows the provider's transitions from each status to all that it leads to. Where they lead in a circle, the
    /// steps against the order of [`Status::ALL`] are the steps back.
    #[must_use]
    pub fn new(transitions: &Transitions) -> Self {
        let mut steps: Relations = [[false; STATUSES]; STATUSES];
        for (from, to) in transitions.iter() {
            steps[from as usize][to as usize] = true;
        }
        let leads = closure(steps);
        let mut forward = steps;
        for (from, row) in forward.iter_mut().enumerate() {
            for (to, step) in row.iter_mut().enumerate() {
                *step &= from < to || !leads[to][from];
            }
        }
        let before = closure(forward);
        let relation = |status: usize, other: usize| match (before[other][status], before[status][other]) {
            (true, _) if steps[status][other] => b'(',
            (true, _) => b'<',
            (_, true) if steps[other][status] => b')',
            (_, true) => b'>',
            _ => b'=',
        };
        Self(std::array::from_fn(|status| Precedence(std::array::from_fn(|other| relation(status, other)))))
    }

    /// That of `status`.
    #[must_use]
    pub fn of(&self, status: Status) -> Precedence {
        self.0[status as usize]
    }
}

/// What each status leads to by one step or more.
fn closure(mut steps: Relations) -> Relations {
    for via in 0..STATUSES {
        let onward = steps[via];
        for row in steps.iter_mut().filter(|row| row[via]) {
            row.iter_mut().zip(onward).for_each(|(leads, further)| *leads |= further);
        }
    }
    steps
}

/// Text that is no moment.
#[derive(Debug, Error)]
#[error("not a moment")]
pub struct MomentError;

/// `time in µs or nothing,kind (c|s|a),receipt in ms,status`: what the ledger keeps.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(EventTime { at, .. }) = self.event_time {
            write!(f, "{}", at.as_microsecond())?;
        }
        write!(f, ",{},{},{}", self.kind_code(), self.received_at.as_millisecond(), self.status.code())
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(MomentError)
    }
}

fn parse(text: &str) -> Option<Moment> {
    let mut parts = text.split(',');
    let (at, kind, received_at, status) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let kind = match kind {
        "c" => TimeKind::Change,
        "s" => TimeKind::Substitute,
        "a" => TimeKind::Asked,
        _ => return None,
    };
    let event_time = match at {
        "" => None,
        micros => Some(EventTime { at: Timestamp::from_microsecond(micros.parse().ok()?).ok()?, kind }),
    };
    let received_at = Timestamp::from_millisecond(received_at.parse().ok()?).ok()?;
    Some(Moment { status: Status::from_code(status)?, event_time, received_at })
}
