//! Writes to the audit log: one confirming channel, made when it is first needed.

use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use thiserror::Error;
use tokio::time::timeout;

use super::connection::{ConnectError, RabbitSettings, close, confirming, connect};
use super::envelope::PERSISTENT;
use super::topology::{AUDIT, Topology};

/// Why an entry is not known to be in the audit log.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The broker cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is no such stream, and this user may not declare it.
    #[error("there is no stream {AUDIT}: see `milepost topology apply`")]
    NoStream,
    /// The broker refused it, or did not confirm it in time.
    #[error("the broker did not confirm the entry in the audit log")]
    Unconfirmed,
}

pub struct AuditWriter {
    settings: RabbitSettings,
    session: Option<(Connection, Channel)>,
}

impl AuditWriter {
    /// It connects when there is something to write.
    #[must_use]
    pub const fn new(settings: RabbitSettings) -> Self {
        Self { settings, session: None }
    }

    /// Writes one entry; it is there once this returns well. A connection that was lost meanwhile is made again, once.
    ///
    /// # Errors
    /// See [`AuditError`].
    pub async fn write(&mut self, entry: &[u8]) -> Result<(), AuditError> {
        let used_before = self.session.is_some();
        match self.try_write(entry).await {
            Err(AuditError::Unconfirmed) if used_before => self.try_write(entry).await,
            written => written,
        }
    }

    async fn try_write(&mut self, entry: &[u8]) -> Result<(), AuditError> {
        let limit = self.settings.confirm_timeout;
        let session = match self.session.take() {
            Some(session) => session,
            None => open(&self.settings).await?,
        };
        let mut written = publish(&session.1, entry, limit).await;
        // Where this user may, as one who subscribes may, the log is there from the first entry on.
        if matches!(written, Err(AuditError::NoStream))
            && Topology::default().and_audit().apply(&session.1).await.is_ok()
        {
            written = publish(&session.1, entry, limit).await;
        }
        // A session that did not confirm is not used again.
        written?;
        self.session = Some(session);
        Ok(())
    }

    /// Takes leave of the broker.
    pub async fn close(self) {
        if let Some((connection, _)) = self.session {
            close(&connection).await;
        }
    }
}

async fn open(settings: &RabbitSettings) -> Result<(Connection, Channel), AuditError> {
    let connection = connect(settings, "audit").await?;
    let channel = confirming(&connection, settings.connect_timeout).await?;
    Ok((connection, channel))
}

async fn publish(channel: &Channel, entry: &[u8], limit: Duration) -> Result<(), AuditError> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into());
    let publishing =
        async { channel.basic_publish("".into(), AUDIT.into(), options, entry, properties).await?.await };
    match timeout(limit, publishing).await {
        Ok(Ok(Confirmation::Ack(None))) => Ok(()),
        // It came back: no queue of that name.
        Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => Err(AuditError::NoStream),
        Ok(Ok(Confirmation::Nack(None) | Confirmation::NotRequested) | Err(_)) | Err(_) => {
            Err(AuditError::Unconfirmed)
        }
    }
}
