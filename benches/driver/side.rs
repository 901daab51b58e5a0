//! Whose programs are measured.

use milepost::adapters::rabbit::topology;
use milepost::domain::provider::ProviderId;

use crate::broker::{RELAYED_QUEUE, UPDATES_QUEUE};
use crate::peers::Peer;
use crate::plan::{Role, Row};

/// Whose programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Milepost,
    Floor,
    /// The relay again, but with an update to the exchange of the updates: RabbitMQ does for it what it does for Milepost.
    ToUpdates,
    /// What a user would write instead.
    Peer(Peer),
}

impl Side {
    /// In the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milepost => "milepost",
            Self::Floor => "floor",
            Self::ToUpdates => "floor to updates",
            Self::Peer(peer) => peer.as_str(),
        }
    }

    /// The sides of a row: Milepost first, as its rate is that at which the latencies of all are taken.
    pub fn of(row: &Row, peers: bool) -> Vec<Self> {
        let floors = match row.role {
            Role::Receiver => &[Self::Milepost, Self::Floor][..],
            Role::Worker => &[Self::Milepost, Self::Floor, Self::ToUpdates],
        };
        let peers = if peers { Peer::of(row) } else { &[] };
        floors.iter().copied().chain(peers.iter().copied().map(Self::Peer)).collect()
    }

    /// The queue its receiver publishes to.
    pub fn intake(self, provider: ProviderId) -> String {
        match self {
            Self::Milepost | Self::ToUpdates => work_queue(provider),
            Self::Floor | Self::Peer(_) => format!("floor.{provider}"),
        }
    }

    /// The queue its worker's output comes to.
    pub fn output(self) -> &'static str {
        match self {
            Self::Milepost | Self::ToUpdates | Self::Peer(_) => UPDATES_QUEUE,
            Self::Floor => RELAYED_QUEUE,
        }
    }
}

/// All sides' workers take from here.
pub fn work_queue(provider: ProviderId) -> String {
    topology::work_queue(provider)
}
