//! Subscribers' queues: declared, bound to `milepost.updates`, and removed.
//!
//! A subscriber may as well do all of this itself: nothing of Milepost's depends on how its queue came to be. What is
//! deliberately absent is `x-overflow: reject-publish`: one full queue of that kind would refuse the publish of an
//! update that all other subscribers got, and each retry would repeat it for them.

mod listing;

use std::fmt;
use std::str::FromStr;

use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use thiserror::Error;

pub use self::listing::{BoundQueue, is_bounded, list, patterns};
use super::counts::counts;
use super::topology::{Topology, TopologyError, UPDATES, failed, number, text};

/// A queue's name may be longer; with this its parking queue's surely fits.
const LONGEST_NAME: usize = 128;

/// The name of a subscriber's queue: never one of Milepost's own or of RabbitMQ's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueName(String);

/// Text that names no subscriber's queue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueueNameError {
    /// Too long, empty, or with a character that makes trouble in shells and URLs.
    #[error("a queue's name is 1 to {LONGEST_NAME} of A-Z, a-z, 0-9, `_`, `-`, `.` and `:`")]
    Form,
    /// The broker refuses one of these, and Milepost the other.
    #[error("names that begin with `milepost.` are Milepost's own, and with `amq.` RabbitMQ's")]
    Reserved,
}

impl FromStr for QueueName {
    type Err = QueueNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
            return Err(QueueNameError::Form);
        }
        // `milepost` alone would have `milepost.parked` as its parking queue.
        if name == "milepost" || is_reserved(name) {
            return Err(QueueNameError::Reserved);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_reserved(name: &str) -> bool {
    name.starts_with("milepost.") || name.starts_with("amq.")
}

/// What bounds a subscriber's queue. The broker fixes it when the queue is declared.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Events kept at most; beyond it the oldest go.
    pub max_length: Option<u32>,
    /// Bytes of events kept at most; beyond it the oldest go.
    pub max_bytes: Option<u64>,
    /// Whether what the subscriber rejects is kept in a queue `<name>.parked`; otherwise it is gone.
    pub park: bool,
    /// Deliveries of one event after which the broker rejects it on the subscriber's behalf.
    pub delivery_limit: Option<u32>,
}

impl Limits {
    fn is_none(&self) -> bool {
        let Self { max_length, max_bytes, park, delivery_limit } = self;
        max_length.is_none() && max_bytes.is_none() && !park && delivery_limit.is_none()
    }
}

/// What a subscription came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// The queue is bounded as asked.
    AsAsked,
    /// It was there with bounds of its own, none were asked for, and it keeps them.
    WithItsBounds,
}

/// Why a queue was not removed.
#[derive(Debug, Error)]
pub enum RemoveError {
    #[error(transparent)]
    Refused(#[from] TopologyError),
    #[error("queue {queue} holds {messages} messages and has {consumers} consumers")]
    InUse {
        queue: String,
        /// Messages that wait in it.
        messages: u32,
        consumers: u32,
    },
}

/// Declares the durable quorum queue `name` and binds it by each of `patterns`, idempotently: bindings that it has
/// already stay, and so do its bounds where `limits` says nothing.
///
/// # Errors
/// What the broker says: there is no exchange for updates yet, or it has the queue with other arguments, which then
/// stays as it is.
pub async fn subscribe(
    connection: &Connection,
    name: &QueueName,
    patterns: &[String],
    limits: &Limits,
) -> Result<Subscribed, TopologyError> {
    let opened = connection.create_channel().await;
    let mut channel = opened.map_err(|error| failed("queue", &name.0, &error))?;
    let mut exchange = Topology::default();
    exchange.updates_exchange();
    // A subscriber needs no right to configure what is Milepost's, and leaves no queue behind that cannot be bound.
    exchange.verify(&channel).await?;
    let subscribed = match queue(name, limits).apply(&channel).await {
        Ok(()) => Subscribed::AsAsked,
        Err(differs) if limits.is_none() && is_bounded_otherwise(&differs) => {
            // The refusal closed the channel.
            let opened = connection.create_channel().await;
            channel = opened.map_err(|error| failed("queue", &name.0, &error))?;
            Subscribed::WithItsBounds
        }
        Err(error) => return Err(error),
    };
    let mut bindings = Topology::default();
    for pattern in patterns {
        bindings.bind(UPDATES, &name.0, pattern);
    }
    bindings.apply(&channel).await?;
    Ok(subscribed)
}

/// The queue, and the one that keeps what is rejected: last, so that a queue which cannot be declared so leaves none behind.
/// Nothing is rejected before it is there, because nothing is bound.
fn queue(name: &QueueName, limits: &Limits) -> Topology {
    let parked = parked(name);
    let mut arguments = Vec::new();
    arguments.extend(limits.max_length.map(|most| ("x-max-length", number(most.into()))));
    let max_bytes = limits.max_bytes.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
    arguments.extend(max_bytes.map(|most| ("x-max-length-bytes", number(most))));
    arguments.extend(limits.delivery_limit.map(|limit| ("x-delivery-limit", number(limit.into()))));
    if limits.park {
        // The default exchange routes to a queue by its name.
        arguments
            .extend([("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&parked))]);
    }
    let mut topology = Topology::default();
    topology.quorum_queue(&name.0, arguments);
    if limits.park {
        topology.quorum_queue(&parked, []);
    }
    topology
}

fn parked(name: &QueueName) -> String {
    format!("{name}.parked")
}

/// Whether the queue is there and differs in nothing but how it is bounded. One that refuses publishes when it is full must
/// take no updates, and is not let through.
fn is_bounded_otherwise(error: &TopologyError) -> bool {
    let bounds = [
        "x-max-length",
        "x-max-length-bytes",
        "x-delivery-limit",
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-dead-letter-strategy",
        "x-message-ttl",
        "x-expires",
    ];
    error.differs_in().is_some_and(|argument| bounds.contains(&argument))
}

/// Takes bindings away; those that it does not have count as taken.
///
/// # Errors
/// What the broker says when there is no such queue. The channel is closed then.
pub async fn unbind(channel: &Channel, name: &QueueName, patterns: &[String]) -> Result<(), TopologyError> {
    look(channel, name).await?;
    for pattern in patterns {
        let (queue, key) = (name.0.as_str().into(), pattern.as_str().into());
        let unbound = channel.queue_unbind(queue, UPDATES.into(), key, FieldTable::default()).await;
        unbound.map_err(|error| failed("binding to", &name.0, &error))?;
    }
    Ok(())
}

/// Deletes the queue with its bindings; returns how many messages went with it.
///
/// Without `force` only if it holds no message and has no consumer. That is looked up just before: quorum
/// queues do not support the flags of `queue.delete` that would check it in the same step.
///
/// # Errors
/// See [`RemoveError`]. The channel may be closed then.
pub async fn remove(channel: &Channel, name: &QueueName, force: bool) -> Result<u32, RemoveError> {
    let (messages, consumers) = look(channel, name).await?;
    if !force && (messages, consumers) != (0, 0) {
        return Err(RemoveError::InUse { queue: name.to_string(), messages, consumers });
    }
    let deleted = channel.queue_delete(name.0.as_str().into(), QueueDeleteOptions::default()).await;
    Ok(deleted.map_err(|error| failed("queue", &name.0, &error))?)
}

/// The queue that keeps what a subscriber rejected, and how many messages are in it; `None` if there is none.
pub async fn left_parked(connection: &Connection, name: &QueueName) -> Option<(String, u32)> {
    let parked = parked(name);
    let channel = connection.create_channel().await.ok()?;
    let found = counts(&channel, &parked).await.ok()?;
    Some((parked, found.ready))
}

/// The messages and the consumers of a queue that must be there.
async fn look(channel: &Channel, name: &QueueName) -> Result<(u32, u32), TopologyError> {
    let queue = counts(channel, &name.0).await.map_err(|error| failed("queue", &name.0, &error))?;
    Ok((queue.ready, queue.consumers))
}
