//! A provider's parked queue, for an operator: looked at in order, taken from by acknowledging, given back whole.
//!
//! A look holds messages unacknowledged until it closes; the broker then puts them back where they were. (A look that
//! is killed half-way may leave its half behind the other one; nothing is lost.) One operator
//! at a time: two would each see half. A quorum queue does not know exclusive consumers on every RabbitMQ, so an
//! exclusive queue of the operator's connection, which the broker deletes with it, is the lock.

mod arrivals;
mod look;
mod message;
mod outcomes;
mod record;
mod replay_publisher;

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{Connection, ErrorKind};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};

pub use self::arrivals::Arrivals;
use self::look::Look;
pub use self::message::ParkedMessage;
pub use self::outcomes::{Outcomes, ReplayOutcome};
pub use self::record::{Record, RecordError};
pub use self::replay_publisher::ReplayPublisher;
use super::connection::{ConnectError, RabbitSettings, close, connect, within};
pub use super::counts::QueueCounts;
use super::counts::counts;
use super::topology::{parked_queue, work_queue};
use crate::domain::provider::ProviderId;
use crate::ports::Tag;

/// After so long without a message, the broker is asked whether it has one for us.
const NEXT: Duration = Duration::from_secs(5);
/// A broker that has one and does not hand it out in so many of these times is not waited for any longer.
const MOST_WAITS: u32 = 6;
/// How long the lock of a connection that just died may live on.
const LOCK: Duration = Duration::from_secs(3);
/// How long taking what is left, and counting what was given back, may take.
const GIVE_BACK: Duration = Duration::from_secs(5);
/// As for a worker's acknowledgements: see `inbox.rs`.
const ACKS_SETTLE: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(20);

/// Why a parked queue cannot be looked at, or no longer.
#[derive(Debug, Error)]
pub enum ParkedError {
    /// The broker cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The queue was never declared.
    #[error("there is no queue {0}: see `milepost topology apply`")]
    NoQueue(String),
    #[error("another operator is looking at {0}'s parked messages: try again when that has ended")]
    Busy(ProviderId),
    /// The connection was lost on the way. What was not acknowledged is back on the queue.
    #[error("the broker ended it: {0}")]
    Broker(#[from] lapin::Error),
    /// The queue was deleted, or lost its node.
    #[error("the broker ended it: the queue went away")]
    Ended,
}

/// A provider's parked messages, locked for us.
pub struct ParkedQueue {
    provider: ProviderId,
    connection: Connection,
    look: Look,
    /// Messages that were there when we began and are not acknowledged.
    remaining: u32,
}

impl ParkedQueue {
    /// Locks `provider`'s parked queue and counts it.
    ///
    /// # Errors
    /// See [`ParkedError`].
    pub async fn open(settings: &RabbitSettings, provider: ProviderId) -> Result<Self, ParkedError> {
        let connection = connect(settings, "parked").await?;
        lock(&connection, provider).await?;
        let channel =
            within(settings.connect_timeout, async { Ok(connection.create_channel().await?) }).await?;
        let queue = parked_queue(provider);
        let remaining = match counts(&channel, &queue).await {
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => {
                return Err(ParkedError::NoQueue(queue));
            }
            counted => counted?.ready,
        };
        let look = Look::new(channel, remaining);
        Ok(Self { provider, connection, look, remaining })
    }

    #[must_use]
    pub const fn provider(&self) -> ProviderId {
        self.provider
    }

    /// How many of the messages that were there at the start are there now.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        self.remaining
    }

    /// How long messages have been held.
    #[must_use]
    pub fn held_for(&self) -> Duration {
        self.look.began.elapsed()
    }

    /// The connection, for another channel of the same operator.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What waits to be worked on, and how many workers there are.
    ///
    /// # Errors
    /// When the broker does not say.
    pub async fn work_counts(&self) -> Result<QueueCounts, ParkedError> {
        // A queue that is not there costs the channel that asks.
        let channel = self.connection.create_channel().await?;
        let queue = work_queue(self.provider);
        let counted = counts(&channel, &queue).await;
        if counted.is_ok() {
            channel.close(200, "bye".into()).await?;
        }
        match counted {
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => {
                Err(ParkedError::NoQueue(queue))
            }
            counted => Ok(counted?),
        }
    }

    /// The next message of those that were there at the start, oldest first. It is held until it is acknowledged or
    /// the look ends.
    ///
    /// # Errors
    /// When the broker ended the look.
    pub async fn next(&mut self) -> Result<Option<ParkedMessage>, ParkedError> {
        if self.look.unseen == 0 {
            return Ok(None);
        }
        let queue = parked_queue(self.provider);
        for _ in 0..MOST_WAITS {
            if let Ok(message) = timeout(NEXT, self.look.next(&queue)).await {
                return Ok(Some(ParkedMessage::read(message?, self.provider)));
            }
            if counts(&self.look.channel, &queue).await?.ready == 0 {
                // What was counted at the start is another reader's.
                break;
            }
        }
        self.look.unseen = 0;
        Ok(None)
    }

    /// Takes a message off the queue for good.
    ///
    /// # Errors
    /// When the broker ended the look: the message is back on the queue then.
    pub async fn ack(&mut self, tag: Tag) -> Result<(), ParkedError> {
        self.look.ack(tag).await?;
        self.remaining -= 1;
        Ok(())
    }

    /// Gives back what is held and begins a new look at what remains: the broker ends one that holds messages for
    /// half an hour.
    ///
    /// # Errors
    /// When the broker does not take part.
    pub async fn renew(&mut self) -> Result<(), ParkedError> {
        self.give_back().await?;
        let channel = self.connection.create_channel().await?;
        self.look = Look::new(channel, self.remaining);
        Ok(())
    }

    /// Gives back what is held, in order, and ends. Waits until it can be seen on the queue again.
    ///
    /// # Errors
    /// When the broker does not take part. It gives everything back then too, once it has noticed.
    pub async fn close(mut self) -> Result<(), ParkedError> {
        self.give_back().await?;
        close(&self.connection).await;
        Ok(())
    }

    /// By the end of the channel: it puts everything back in order, where a `basic.nack` of more than 32 messages
    /// shuffles them. What is put back goes behind what was put back before, so all there is is taken first.
    /// (RabbitMQ 3.10, seen in both cases.)
    async fn give_back(&mut self) -> Result<(), ParkedError> {
        let rest = async {
            while self.next().await?.is_some() {}
            Ok::<_, ParkedError>(())
        };
        timeout(GIVE_BACK, rest).await.unwrap_or(Ok(()))?;
        if self.look.acked {
            sleep(ACKS_SETTLE).await;
        }
        self.look.channel.close(200, "bye".into()).await?;
        let channel = self.connection.create_channel().await?;
        let queue = parked_queue(self.provider);
        let counted = async {
            while counts(&channel, &queue).await?.ready < self.remaining {
                sleep(POLL).await;
            }
            Ok::<_, ParkedError>(())
        };
        // Not all of it, when another reader takes from the queue.
        timeout(GIVE_BACK, counted).await.unwrap_or(Ok(()))?;
        channel.close(200, "bye".into()).await?;
        Ok(())
    }
}

/// The queue that is the lock of a provider's parked messages.
pub(super) fn parked_lock(provider: ProviderId) -> String {
    format!("milepost.operator.parked.{provider}")
}

/// Takes the lock; the broker gives it up with the connection.
async fn lock(connection: &Connection, provider: ProviderId) -> Result<(), ParkedError> {
    let name = parked_lock(provider);
    let deadline = Instant::now() + LOCK;
    loop {
        // A refusal closes the channel.
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        match channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await {
            Ok(_) => return Ok(()),
            Err(error) if soft_error(&error) == Some(AMQPSoftError::RESOURCELOCKED) => {
                if Instant::now() >= deadline {
                    return Err(ParkedError::Busy(provider));
                }
            }
            Err(error) => return Err(error.into()),
        }
        sleep(10 * POLL).await;
    }
}

fn soft_error(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(protocol) => match protocol.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}
