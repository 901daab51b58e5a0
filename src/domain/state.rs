//! What a delivery's published updates add up to, and what the next one changes about it.
//!
//! The state is small and of bounded size, so that the ledger can hand it out with a claim: words and instants, and
//! of each part of an update only a digest, which is enough to say *that* it changed. A lost state costs a flag: the
//! next update is then taken for the delivery's first.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::age::Age;
use super::identity::Origin;
use super::open::open;
use super::status::{Phase, Status};
use super::transitions::Transitions;
use super::update::DeliveryUpdate;

/// What an update changed, compared with what was published of its delivery before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = open)]
pub enum Change {
    /// The status.
    Status,
    /// Who carries it, the courier or the company.
    Courier,
    /// Where the courier is.
    Position,
    /// When the courier is expected.
    Eta,
    /// Photographs and signatures.
    Proof,
    /// Why it did not go as planned.
    Reason,
    /// Other names of the delivery or of its order.
    Reference,
    /// None of these.
    None,
}

/// How an update fits what was published of its delivery before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As expected.
    InOrder,
    /// It is older than what was already published, or was about to be.
    Late,
    /// The provider's own rules have no way from the status before to this one.
    Unexpected,
}

impl Order {
    /// What is counted: updates that do not fit.
    pub const FLAGGED: [Self; 2] = [Self::Late, Self::Unexpected];

    /// The word used in JSON and as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InOrder => "in_order",
            Self::Late => "late",
            Self::Unexpected => "unexpected",
        }
    }
}

/// The place in its delivery that an update was given when it was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Higher than that of any update of the delivery claimed before.
    pub sequence: u64,
    /// A newer update was claimed before it. That one may not be published yet, so that the delivery's state does not
    /// tell.
    pub overtaken: bool,
}

impl Place {
    /// Of an update before which nothing newer was claimed.
    #[must_use]
    pub const fn at(sequence: u64) -> Self {
        Self { sequence, overtaken: false }
    }
}

/// Where an update stands in the course of its delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Course {
    /// Higher than that of any update of the delivery claimed before. Gaps mean nothing.
    pub sequence: u64,
    /// How it fits what was published before.
    pub order: Order,
    /// What it changed; `none` alone when it changed nothing of what is listed.
    pub changes: Vec<Change>,
    /// The status published before; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_status: Option<Status>,
}

/// The parts whose changes are told, in the order they are told in, and in which a state keeps their digests.
const PARTS: [Change; 6] =
    [Change::Courier, Change::Position, Change::Eta, Change::Proof, Change::Reason, Change::Reference];

/// What was published of a delivery, as far as later updates are compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryState {
    status: Status,
    terminal: bool,
    /// The newest times.
    age: Age,
    /// A digest of each of [`PARTS`]; 0 for what is not known.
    digests: [u32; PARTS.len()],
}

impl DeliveryState {
    /// What `update`, first received as `origin`, is in the course of a delivery that stood at `before`; and where the
    /// delivery stands after it, if that moves it on.
    ///
    /// A late update moves nothing. Nor does one that a closed delivery should not have had, unless it closes it
    /// otherwise.
    #[must_use]
    pub fn advance(
        before: Option<&Self>,
        place: Place,
        update: &DeliveryUpdate,
        origin: &Origin,
        transitions: &Transitions,
    ) -> (Course, Option<Self>) {
        let after = Self::after(before, update, origin);
        let order = match before {
            _ if place.overtaken => Order::Late,
            Some(before) if before.age.is_newer_than(Age::of(update, origin)) => Order::Late,
            Some(before) if !transitions.allow(before.status, update.status) => Order::Unexpected,
            _ => Order::InOrder,
        };
        let reopens = before.is_some_and(|before| before.terminal) && !update.terminal;
        let moves_on = match order {
            Order::InOrder => true,
            Order::Unexpected => !reopens,
            Order::Late => false,
        };
        let previous_status = before.map(|before| before.status);
        let course =
            Course { sequence: place.sequence, order, changes: after.changes_since(before), previous_status };
        (course, moves_on.then_some(after))
    }

    /// Whether this says more recent things than `other`: which of two is kept.
    #[must_use]
    pub fn supersedes(&self, other: &Self) -> bool {
        self.age.is_newer_than(other.age)
    }

    /// The status last published.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// What an update leaves out stays as it was: providers send less as a delivery goes on. But one that is only
    /// planned has no courier, whoever had it before.
    fn after(before: Option<&Self>, update: &DeliveryUpdate, origin: &Origin) -> Self {
        let mut digests = parts(update);
        if let Some(before) = before {
            for (at, digest) in digests.iter_mut().enumerate() {
                let cleared = PARTS[at] == Change::Courier && update.phase == Phase::Planned;
                if *digest == 0 && !cleared {
                    *digest = before.digests[at];
                }
            }
        }
        let age = Age::of(update, origin);
        Self {
            status: update.status,
            terminal: update.terminal,
            age: before.map_or(age, |before| age.max(before.age)),
            digests,
        }
    }

    fn changes_since(&self, before: Option<&Self>) -> Vec<Change> {
        let digests = before.map_or([0; PARTS.len()], |before| before.digests);
        let status = (before.map(|before| before.status) != Some(self.status)).then_some(Change::Status);
        let parts = (0..PARTS.len()).filter(|&at| digests[at] != self.digests[at]).map(|at| PARTS[at]);
        let changes: Vec<_> = status.into_iter().chain(parts).collect();
        if changes.is_empty() { vec![Change::None] } else { changes }
    }
}

fn parts(update: &DeliveryUpdate) -> [u32; PARTS.len()] {
    [
        digest(&(update.courier.as_ref(), update.carrier.as_ref())),
        digest(&update.position),
        digest(&update.eta),
        digest(&update.proof),
        digest(&update.reason),
        digest(&update.references),
    ]
}

/// The same in every version and on every machine; 0 for what is not there.
fn digest(part: &impl Serialize) -> u32 {
    // Unwrap safety: every map key is a string and nothing in it can fail to serialize.
    let json = serde_json::to_vec(part).expect("a part is plain JSON");
    if matches!(json.as_slice(), b"null" | b"[]" | b"[null,null]") {
        return 0;
    }
    let hash = Sha256::digest(json);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]).max(1)
}

/// Text that is no state.
#[derive(Debug, Error)]
#[error("not a delivery's state")]
pub struct StateError;

/// `age,status,terminal (1|0),digests in hex`: what a ledger keeps. The age comes first, because a ledger compares it.
impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},", self.age, self.status.as_str(), u8::from(self.terminal))?;
        self.digests.iter().try_for_each(|digest| write!(f, "{digest:08x}"))
    }
}

impl FromStr for DeliveryState {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(StateError)
    }
}

fn parse(text: &str) -> Option<DeliveryState> {
    let [event_time, received_at, status, terminal, hex] = text.split(',').collect::<Vec<_>>()[..] else {
        return None;
    };
    let event_time = match event_time {
        "" => None,
        micros => Some(Timestamp::from_microsecond(micros.parse().ok()?).ok()?),
    };
    let mut digests = [0; PARTS.len()];
    for (at, digest) in digests.iter_mut().enumerate() {
        *digest = u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?;
    }
    Some(DeliveryState {
        status: Status::ALL.into_iter().find(|known| known.as_str() == status)?,
        terminal: terminal == "1",
        age: Age { event_time, received_at: Timestamp::from_millisecond(received_at.parse().ok()?).ok()? },
        digests,
    })
}
