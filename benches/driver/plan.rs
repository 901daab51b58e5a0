//! The rows: each changes one thing of the first.

use std::slice;

use clap::ValueEnum;
use milepost::domain::samples::SampleSource;
use milepost::providers;

use crate::material::Kind;
use crate::rig::MANY_ACCOUNTS;

/// Bodies as providers send them, and large ones.
const SMALL: usize = 614;
const LARGE: usize = 16 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Receiver,
    Worker,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Worker => "worker",
        }
    }
}

/// How hard it is pressed.
#[derive(Clone, Copy)]
pub enum Load {
    /// So many connections, each of which sends again when it is answered.
    Connections(usize),
    /// A full queue, and so many messages handed out at once.
    Prefetch(u16),
    /// Each message is sent when the one before has come through.
    OneInFlight,
}

/// One thing to measure.
#[derive(Clone, Copy)]
pub struct Row {
    pub role: Role,
    pub name: &'static str,
    pub load: Load,
    pub kind: Kind,
    /// Events in each run, the warming up included.
    pub events: usize,
    /// Whether the broker and Redis hold 200,000 messages waiting and as many parked.
    pub backlog: bool,
}

/// All rows of a role; or the first alone.
pub fn rows(role: Role, quick: bool) -> Vec<Row> {
    let one: &'static [&'static dyn SampleSource] = slice::from_ref(&providers::SAMPLE_SOURCES[0]);
    let kind = Kind { providers: one, accounts: 1, bytes: SMALL };
    let base = |name, load| Row { role, name, load, kind, events: 25_000, backlog: false };
    let (large, five, many) = (
        Kind { bytes: LARGE, ..kind },
        Kind { providers: providers::SAMPLE_SOURCES, ..kind },
        Kind { accounts: MANY_ACCOUNTS, ..kind },
    );
    let usual = match role {
        Role::Receiver => base("64 connections", Load::Connections(64)),
        Role::Worker => base("prefetch 256", Load::Prefetch(256)),
    };
    if quick {
        return vec![Row { events: 10_000, ..usual }];
    }
    let loads = match role {
        Role::Receiver => vec![usual, base("256 connections", Load::Connections(256))],
        Role::Worker => {
            vec![base("prefetch 64", Load::Prefetch(64)), usual, base("prefetch 1024", Load::Prefetch(1024))]
        }
    };
    let others = [
        Row { name: "16 KiB", kind: large, events: 6_000, ..usual },
        Row { name: "five providers", kind: five, ..usual },
        Row { name: "100 accounts", kind: many, ..usual },
        Row { name: "1 in flight", load: Load::OneInFlight, events: 1_000, ..usual },
        Row { name: "400,000 in the broker", backlog: true, ..usual },
    ];
    loads.into_iter().chain(others).collect()
}
