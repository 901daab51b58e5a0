//! Where an operator's messages go out: one confirming channel, on a connection of its own.

use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::time::timeout;

use super::{ParkedError, Record, RecordError};
use crate::adapters::rabbit::connection::{RabbitSettings, close, confirming, connect};
use crate::adapters::rabbit::envelope;
use crate::adapters::rabbit::topology::{PARKED, WEBHOOKS};
use crate::domain::envelope::Envelope;
use crate::ports::PublishError;

/// Publishes for one task: its messages are sent in turn (see `publisher.rs` for why that matters), and their
/// confirms awaited together.
pub struct ReplayPublisher {
    connection: Connection,
    channel: Channel,
    confirm_timeout: Duration,
}

impl ReplayPublisher {
    /// Connects.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn open(settings: &RabbitSettings) -> Result<Self, ParkedError> {
        let connection = connect(settings, "replay").await?;
        let channel = confirming(&connection, settings.connect_timeout).await?;
        Ok(Self { connection, channel, confirm_timeout: settings.confirm_timeout })
    }

    /// Sends a webhook to its provider's work queue. The returned future is its confirm.
    ///
    /// # Errors
    /// When it could not be sent.
    pub async fn work(
        &self,
        webhook: &Envelope,
    ) -> Result<impl Future<Output = Result<(), PublishError>> + use<>, PublishError> {
        let properties = envelope::properties(webhook, None);
        self.send(WEBHOOKS, webhook.provider.as_str(), properties, &webhook.body).await
    }

    /// Sends a record to its provider's parked queue. The returned future is its confirm.
    ///
    /// # Errors
    /// When it is no message, or could not be sent.
    pub async fn park(
        &self,
        record: &Record,
    ) -> Result<Result<impl Future<Output = Result<(), PublishError>> + use<>, PublishError>, RecordError>
    {
        let (properties, body) = record.message()?;
        Ok(self.send(PARKED, &record.provider, properties, &body).await)
    }

    async fn send(
        &self,
        exchange: &str,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<impl Future<Output = Result<(), PublishError>> + use<>, PublishError> {
        let options = BasicPublishOptions::default();
        let sending = self.channel.basic_publish(exchange.into(), key.into(), options, body, properties);
        let limit = self.confirm_timeout;
        let confirm = timeout(limit, sending).await.map_err(|_| PublishError::Unconfirmed)?;
        let confirm = confirm.map_err(|_| PublishError::Unavailable)?;
        Ok(async move {
            match timeout(limit, confirm).await {
                Ok(Ok(Confirmation::Ack(_))) => Ok(()),
                Ok(Ok(Confirmation::Nack(_))) => Err(PublishError::Refused),
                Ok(Ok(Confirmation::NotRequested) | Err(_)) | Err(_) => Err(PublishError::Unconfirmed),
            }
        })
    }

    /// Takes leave of the broker.
    pub async fn close(self) {
        close(&self.connection).await;
    }
}
