//! What is being parked, overheard: a queue of our own beside the parked queue, for as long as we listen. It locks
//! nothing and takes nothing off.

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, Consumer};

use super::{ParkedError, ParkedMessage, counts, soft_error};
use crate::adapters::rabbit::connection::{RabbitSettings, close, connect};
use crate::adapters::rabbit::topology::{PARKED, parked_queue, text};
use crate::domain::provider::ProviderId;

/// What we have not listened to in time is dropped, oldest first: we must never hold up a worker.
const MOST_UNHEARD: i64 = 10_000;

/// Hears of each message of one provider that is parked.
pub struct Arrivals {
    provider: ProviderId,
    connection: Connection,
    consumer: Consumer,
}

impl Arrivals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the broker does not let us, or the provider has no parked queue.
    pub async fn of(settings: &RabbitSettings, provider: ProviderId) -> Result<Self, ParkedError> {
        let connection = connect(settings, "parked arrivals").await?;
        let channel = connection.create_channel().await?;
        depth(&connection, provider).await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MOST_UNHEARD));
        arguments.insert("x-overflow".into(), text("drop-head"));
        let queue = channel.queue_declare("".into(), options, arguments).await?.name().clone();
        let (key, none) = (provider.as_str().into(), FieldTable::default());
        channel.queue_bind(queue.clone(), PARKED.into(), key, QueueBindOptions::default(), none).await?;
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
        Ok(Self { provider, connection, consumer })
    }

    /// The next message that is parked. Its tag is of no use. Cancel safe.
    ///
    /// # Errors
    /// When the broker ended it.
    pub async fn next(&mut self) -> Result<ParkedMessage, ParkedError> {
        let message = self.consumer.next().await.ok_or(ParkedError::Ended)??;
        Ok(ParkedMessage::read(message, self.provider))
    }

    /// How many messages the parked queue has that no look holds.
    ///
    /// # Errors
    /// When the broker does not say, or the queue is gone.
    pub async fn depth(&self) -> Result<u32, ParkedError> {
        depth(&self.connection, self.provider).await
    }

    /// Takes leave of the broker.
    pub async fn close(self) {
        close(&self.connection).await;
    }
}

/// A queue that is not there costs the channel that asks.
async fn depth(connection: &Connection, provider: ProviderId) -> Result<u32, ParkedError> {
    let (channel, queue) = (connection.create_channel().await?, parked_queue(provider));
    match counts(&channel, &queue).await {
        Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => Err(ParkedError::NoQueue(queue)),
        counted => {
            let counted = counted?.ready;
            channel.close(200, "bye".into()).await?;
            Ok(counted)
        }
    }
}
