//! What a delivery's published updates add up to, and what the next one changes about it.
//!
//! The state is small and of bounded size, so that the ledger can hand it out with a claim: words and instants, and
//! of each part of an update only a digest, which is enough to say *that* it changed. A lost state costs a flag: the
//! next update is then taken for the delivery's first.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::open::open;
use super::order::{Moment, Precedence};
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
    /// What was already published, or was about to be, is further on.
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

/// An update's place in the course of its delivery.
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

/// The parts whose changes an event lists. The list and the digests in a state are in this order.
const PARTS: [Change; 6] =
    [Change::Courier, Change::Position, Change::Eta, Change::Proof, Change::Reason, Change::Reference];

/// What is kept of a part's digest.
const DIGEST_BYTES: usize = 3;

/// What was published of a delivery, as far as later updates are compared with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryState {
    /// What was published last, and when it happened.
    moment: Moment,
    terminal: bool,
    /// A digest of each of [`PARTS`], 24 bits; 0 for what is not known.
    digests: [u32; PARTS.len()],
}

impl DeliveryState {
    /// What `update`, which happened at `moment`, is in the course of a delivery that was in state `before`;
    /// and the delivery's state after it, if that moves it on. `precedence` is that of the update's status.
    ///
    /// A late update moves nothing. Nor does one that a closed delivery should not have had, unless it closes it
    /// otherwise.
    #[must_use]
    pub fn advance(
        before: Option<&Self>,
        place: Place,
        update: &DeliveryUpdate,
        moment: Moment,
        transitions: &Transitions,
        precedence: Precedence,
    ) -> (Course, Option<Self>) {
        let after = Self::after(before, update, moment);
        let order = match before {
            _ if place.overtaken => Order::Late,
            Some(before) if moment.compare(&before.moment, precedence).is_lt() => Order::Late,
            Some(before) if !transitions.allow(before.status(), update.status) => Order::Unexpected,
            _ => Order::InOrder,
        };
        let reopens = before.is_some_and(|before| before.terminal) && !update.terminal;
        let moves_on = match order {
            Order::InOrder => true,
            Order::Unexpected => !reopens,
            Order::Late => false,
        };
        let previous_status = before.map(Self::status);
        let course =
            Course { sequence: place.sequence, order, changes: after.changes_since(before), previous_status };
        (course, moves_on.then_some(after))
    }

    /// The update published last, as it is compared with others.
    #[must_use]
    pub const fn moment(&self) -> &Moment {
        &self.moment
    }

    /// The status last published.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.moment.status
    }

    /// Whether the provider's rules leave it at that.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// What an update leaves out stays as it was: providers send less as a delivery goes on. But one that is only
    /// planned has no courier, even if it had one.
    fn after(before: Option<&Self>, update: &DeliveryUpdate, moment: Moment) -> Self {
        let mut digests = parts(update);
        if let Some(before) = before {
            for (at, digest) in digests.iter_mut().enumerate() {
                let cleared = PARTS[at] == Change::Courier && update.phase == Phase::Planned;
                if *digest == 0 && !cleared {
                    *digest = before.digests[at];
                }
            }
        }
        let moment = before.map_or(moment, |before| moment.after(&before.moment));
        Self { moment, terminal: update.terminal, digests }
    }

    fn changes_since(&self, before: Option<&Self>) -> Vec<Change> {
        let digests = before.map_or([0; PARTS.len()], |before| before.digests);
        let status = (before.map(Self::status) != Some(self.status())).then_some(Change::Status);
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
    u32::from_be_bytes([0, hash[0], hash[1], hash[2]]).max(1)
}

/// Text that is no state.
#[derive(Debug, Error)]
#[error("not a delivery's state")]
pub struct StateError;

/// `moment,terminal (1|0),digests in base64`: 64 bytes at most, which Redis keeps compactly. The moment comes first,
/// because the ledger compares it.
impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; DIGEST_BYTES * PARTS.len()];
        for (bytes, digest) in bytes.chunks_exact_mut(DIGEST_BYTES).zip(self.digests) {
            bytes.copy_from_slice(&digest.to_be_bytes()[4 - DIGEST_BYTES..]);
        }
        write!(f, "{},{},{}", self.moment, u8::from(self.terminal), URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for DeliveryState {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(StateError)
    }
}

fn parse(text: &str) -> Option<DeliveryState> {
    let mut parts = text.rsplitn(3, ',');
    let (bytes, terminal, moment) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes =
        URL_SAFE_NO_PAD.decode(bytes).ok().filter(|bytes| bytes.len() == DIGEST_BYTES * PARTS.len())?;
    let mut digests = [0; PARTS.len()];
    for (digest, bytes) in digests.iter_mut().zip(bytes.chunks_exact(DIGEST_BYTES)) {
        *digest = bytes.iter().fold(0, |digest, byte| digest << 8 | u32::from(*byte));
    }
    Some(DeliveryState { moment: moment.parse().ok()?, terminal: terminal == "1", digests })
}
