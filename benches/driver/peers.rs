//! What a user would write instead of Milepost, in the usual languages: `benches/peers`. They decode Telyport alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use milepost::adapters::rabbit::topology::UPDATES;
use serde_json::{Value, json};

use crate::example::Example;
use crate::material::SECRET;
use crate::plan::{Role, Row};

/// A program beside which Milepost is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// amqplib, with fastify as a receiver and with ioredis as a worker.
    Node,
    /// FastStream, a worker.
    Python,
}

impl Peer {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Python => "Python",
        }
    }

    /// Those that can do a row.
    pub fn of(row: &Row) -> &'static [Self] {
        let telyport = row.kind.providers.iter().all(|provider| provider.id().as_str() == "telyport");
        match row.role {
            _ if !telyport => &[],
            Role::Receiver => &[Self::Node],
            Role::Worker => &[Self::Node, Self::Python],
        }
    }
}

/// The folder that `benches/peers/install` has made.
pub struct Peers {
    folder: PathBuf,
}

impl Peers {
    pub fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let peers = Self { folder: folder.to_owned() };
        for (program, script) in [peers.program(Peer::Node, "worker"), peers.program(Peer::Python, "worker")]
        {
            ensure!(script.exists(), "{} is missing: run benches/peers/install", script.display());
            ensure!(program == Path::new("node") || program.exists(), "{} is missing", program.display());
        }
        Ok(peers)
    }

    /// The interpreter and the script.
    pub fn program(&self, peer: Peer, role: &str) -> (PathBuf, PathBuf) {
        match peer {
            Peer::Node => ("node".into(), self.folder.join(format!("node/{role}.js"))),
            Peer::Python => {
                (self.folder.join("python/venv/bin/python"), self.folder.join(format!("python/{role}.py")))
            }
        }
    }
}

/// A peer worker's settings.
pub fn worker_settings(
    amqp_url: &str,
    redis_url: &str,
    queue: &str,
    prefetch: u16,
    example: &Example,
) -> Value {
    json!({
        "amqpUrl": amqp_url,
        "redisUrl": redis_url,
        "queue": queue,
        "exchange": UPDATES,
        "prefetch": prefetch,
        "traceparent": example.traceparent(),
        "properties": example.properties,
    })
}

/// A peer receiver's settings.
pub fn receiver_settings(amqp_url: &str, addr: SocketAddr, example: &Example) -> Value {
    json!({
        "amqpUrl": amqp_url,
        "host": addr.ip(),
        "port": addr.port(),
        "secret": SECRET,
        "properties": example.properties,
    })
}
