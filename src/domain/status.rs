//! The one vocabulary: where a delivery is ([`Phase`]) and what exactly happened ([`Status`]).
//!
//! Each provider maps its own words to these, injectively over what it documents; a word it does not
//! document becomes [`Status::Unknown`] and is published with its raw value, never dropped.

use schemars::JsonSchema;
use serde::Serialize;

use super::open::open;

/// The coarse stage a status belongs to. A subscriber that only wants to know "is it over" binds on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Known to the provider, no courier on the way yet.
    Planned,
    /// A courier is assigned or on the way to the pickup.
    Pickup,
    /// The goods left the merchant and are between pickup and the last leg.
    Transit,
    /// The last leg to the recipient.
    Dropoff,
    /// Something went wrong that may still be fixed.
    Exception,
    /// Over.
    Closed,
    /// The provider said something that its documents do not list.
    Unknown,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 7] = [
        Self::Planned,
        Self::Pickup,
        Self::Transit,
        Self::Dropoff,
        Self::Exception,
        Self::Closed,
        Self::Unknown,
    ];

    /// The word used in routing keys and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Pickup => "pickup",
            Self::Transit => "transit",
            Self::Dropoff => "dropoff",
            Self::Exception => "exception",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// What happened to a delivery, in Milepost's words. One that you do not know is to be taken by its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = open)]
pub enum Status {
    /// Ordered for a later time.
    Scheduled,
    /// The provider has the order.
    Created,
    /// The goods are being made ready.
    Preparing,
    /// The goods or the order's details were checked.
    Verified,
    /// A courier is being looked for.
    Allocating,
    /// A courier has taken it on.
    Assigned,
    /// The courier is on the way to the pickup.
    PickupEnRoute,
    /// The courier is almost at the pickup.
    PickupApproaching,
    /// The courier is at the pickup.
    PickupArrived,
    /// The courier has the goods.
    PickedUp,
    /// The goods reached a warehouse on the way.
    HubArrived,
    /// The goods left a warehouse.
    HubDeparted,
    /// The goods are between places of the provider's.
    InTransit,
    /// The goods wait for the last leg to begin.
    StagedForDelivery,
    /// The courier is on the way to the recipient.
    DropoffEnRoute,
    /// The courier is almost at the recipient's.
    DropoffApproaching,
    /// The courier is at the recipient's.
    DropoffArrived,
    /// It does not go on for now.
    OnHold,
    /// It is to go back to the sender.
    ReturnInitiated,
    /// The recipient has the goods.
    Delivered,
    /// The sender has the goods back.
    Returned,
    /// The provider could not deliver it.
    Failed,
    /// It was called off.
    Cancelled,
    /// The goods are lost.
    Lost,
    /// An authority took the goods.
    Confiscated,
    /// A word that the provider's documents do not list: see `raw_status`.
    Unknown,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 26] = [
        Self::Scheduled,
        Self::Created,
        Self::Preparing,
        Self::Verified,
        Self::Allocating,
        Self::Assigned,
        Self::PickupEnRoute,
        Self::PickupApproaching,
        Self::PickupArrived,
        Self::PickedUp,
        Self::HubArrived,
        Self::HubDeparted,
        Self::InTransit,
        Self::StagedForDelivery,
        Self::DropoffEnRoute,
        Self::DropoffApproaching,
        Self::DropoffArrived,
        Self::OnHold,
        Self::ReturnInitiated,
        Self::Delivered,
        Self::Returned,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
        Self::Confiscated,
        Self::Unknown,
    ];

    /// The word used in routing keys and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Created => "created",
            Self::Preparing => "preparing",
            Self::Verified => "verified",
            Self::Allocating => "allocating",
            Self::Assigned => "assigned",
            Self::PickupEnRoute => "pickup_en_route",
            Self::PickupApproaching => "pickup_approaching",
            Self::PickupArrived => "pickup_arrived",
            Self::PickedUp => "picked_up",
            Self::HubArrived => "hub_arrived",
            Self::HubDeparted => "hub_departed",
            Self::InTransit => "in_transit",
            Self::StagedForDelivery => "staged_for_delivery",
            Self::DropoffEnRoute => "dropoff_en_route",
            Self::DropoffApproaching => "dropoff_approaching",
            Self::DropoffArrived => "dropoff_arrived",
            Self::OnHold => "on_hold",
            Self::ReturnInitiated => "return_initiated",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Confiscated => "confiscated",
            Self::Unknown => "unknown",
        }
    }

    /// A letter of its own, by which the ledger remembers it: its place in [`Self::ALL`], so that one is only ever added
    /// at the end.
    #[must_use]
    pub const fn code(self) -> char {
        (b'A' + self as u8) as char
    }

    /// The status with this letter.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| code.chars().eq([status.code()]))
    }

    /// The stage this status belongs to.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self {
            Self::Scheduled | Self::Created | Self::Preparing | Self::Verified | Self::Allocating => {
                Phase::Planned
            }
            Self::Assigned | Self::PickupEnRoute | Self::PickupApproaching | Self::PickupArrived => {
                Phase::Pickup
            }
            Self::PickedUp
            | Self::HubArrived
            | Self::HubDeparted
            | Self::InTransit
            | Self::StagedForDelivery => Phase::Transit,
            Self::DropoffEnRoute | Self::DropoffApproaching | Self::DropoffArrived => Phase::Dropoff,
            Self::OnHold | Self::ReturnInitiated => Phase::Exception,
            Self::Delivered
            | Self::Returned
            | Self::Failed
            | Self::Cancelled
            | Self::Lost
            | Self::Confiscated => Phase::Closed,
            Self::Unknown => Phase::Unknown,
        }
    }
}
