//! HubRise's delivery statuses, and which of them each of Milepost's statuses becomes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::status::{Phase, Status};
use crate::sinks::update::Update;

/// A delivery status of HubRise's, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Pending,
    PickupEnroute,
    PickupApproaching,
    PickupWaiting,
    DropoffEnroute,
    DropoffApproaching,
    DropoffWaiting,
    Delivered,
    Cancelled,
}

impl Stage {
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::PickupEnroute,
        Self::PickupApproaching,
        Self::PickupWaiting,
        Self::DropoffEnroute,
        Self::DropoffApproaching,
        Self::DropoffWaiting,
        Self::Delivered,
        Self::Cancelled,
    ];

    /// HubRise's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::PickupEnroute => "pickup_enroute",
            Self::PickupApproaching => "pickup_approaching",
            Self::PickupWaiting => "pickup_waiting",
            Self::DropoffEnroute => "dropoff_enroute",
            Self::DropoffApproaching => "dropoff_approaching",
            Self::DropoffWaiting => "dropoff_waiting",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }

    /// Whether the delivery is over.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Delivered | Self::Cancelled)
    }
}

/// What one of Milepost's statuses does to what HubRise shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Show(Stage),
    /// Begins a delivery as `pending`; one that is further already stays as it is.
    Begin,
    Keep,
}

/// One line of the map.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub status: Status,
    pub effect: Effect,
    /// What a connection may choose instead, where HubRise has no word of its own for the status.
    pub instead: &'static [Effect],
    pub why: &'static str,
}

use Effect::{Begin, Keep, Show};
use Stage as H;
use Status as M;

const fn line(status: Status, effect: Effect, why: &'static str) -> Line {
    Line { status, effect, instead: &[], why }
}

const fn lossy(status: Status, effect: Effect, instead: &'static [Effect], why: &'static str) -> Line {
    Line { status, effect, instead, why }
}

const KEEP: &[Effect] = &[Keep];
const AT_PICKUP: &[Effect] = &[Keep, Show(H::PickupWaiting)];

/// The map. HubRise has nine statuses for Milepost's twenty-six, so several share one.
pub const MAP: [Line; Status::ALL.len()] = [
    line(M::Scheduled, Begin, "not started"),
    line(M::Created, Begin, "not started"),
    line(M::Preparing, Begin, "not started"),
    line(M::Verified, Begin, "not started"),
    line(M::Allocating, Begin, "no courier yet"),
    line(M::Assigned, Show(H::PickupEnroute), "HubRise dates this status as `assigned_at`"),
    line(M::PickupEnRoute, Show(H::PickupEnroute), "the same"),
    line(M::PickupApproaching, Show(H::PickupApproaching), "the same"),
    line(M::PickupArrived, Show(H::PickupWaiting), "the same"),
    lossy(
        M::PickedUp,
        Show(H::DropoffEnroute),
        AT_PICKUP,
        "HubRise dates this status as `pickup_at`; the courier may not have left yet",
    ),
    lossy(M::HubArrived, Show(H::DropoffEnroute), KEEP, "HubRise has no hubs: the goods left the merchant"),
    lossy(M::HubDeparted, Show(H::DropoffEnroute), KEEP, "HubRise has no hubs: the goods left the merchant"),
    lossy(M::InTransit, Show(H::DropoffEnroute), KEEP, "the goods left the merchant"),
    line(M::StagedForDelivery, Begin, "the last leg has not begun"),
    line(M::DropoffEnRoute, Show(H::DropoffEnroute), "the same"),
    line(M::DropoffApproaching, Show(H::DropoffApproaching), "the same"),
    line(M::DropoffArrived, Show(H::DropoffWaiting), "the same"),
    line(M::OnHold, Keep, "HubRise has no status for it, and it may go on"),
    line(M::ReturnInitiated, Keep, "HubRise has no status for it; what is returned is cancelled in the end"),
    line(M::Delivered, Show(H::Delivered), "the same"),
    lossy(M::Returned, Show(H::Cancelled), KEEP, "HubRise has no returns: it was not delivered"),
    lossy(M::Failed, Show(H::Cancelled), KEEP, "HubRise has no failures: it was not delivered"),
    line(M::Cancelled, Show(H::Cancelled), "the same"),
    lossy(M::Lost, Show(H::Cancelled), KEEP, "HubRise has no losses: it was not delivered"),
    lossy(M::Confiscated, Show(H::Cancelled), KEEP, "HubRise has no losses: it was not delivered"),
    line(M::Unknown, Keep, "nothing is known of it"),
];

/// What a connection chose instead of the map, by Milepost's word.
pub type Overrides = BTreeMap<String, Effect>;

/// The words of [`Effect`] in the configuration.
#[must_use]
pub fn effect_named(word: &str) -> Option<Effect> {
    match word {
        "keep" => Some(Keep),
        word => Stage::named(word).map(Show),
    }
}

/// What `status` does. One that this version does not know is taken by its phase.
#[must_use]
pub fn effect(status: &str, phase: Phase, overrides: &Overrides) -> Effect {
    if let Some(chosen) = overrides.get(status) {
        return *chosen;
    }
    let known = MAP.iter().find(|line| line.status.as_str() == status);
    known.map_or_else(|| by_phase(phase), |line| line.effect)
}

/// A closed delivery of a status that is not known may be delivered or not, so that nothing can be shown of it.
const fn by_phase(phase: Phase) -> Effect {
    match phase {
        Phase::Planned => Begin,
        Phase::Pickup => Show(H::PickupEnroute),
        Phase::Transit | Phase::Dropoff => Show(H::DropoffEnroute),
        Phase::Exception | Phase::Closed | Phase::Unknown => Keep,
    }
}

#[must_use]
pub fn effect_of(update: &Update, overrides: &Overrides) -> Effect {
    effect(&update.status, update.phase, overrides)
}
