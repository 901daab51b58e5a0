//! The channel that is published on, and its one writer's turn.
//!
//! lapin takes a publish's delivery tag and queues its frames under separate locks; two writers on one channel can
//! get each other's confirms. So taking the tag and queueing happen under one lock here, in the publish's first poll,
//! which does not wait; the waiting (for the socket and for the confirm) happens outside it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, PublisherConfirm};

use crate::ports::PublishError;

/// A message as AMQP takes it.
pub(super) struct AmqpMessage {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

/// The usable channel, when there is one.
#[derive(Default)]
pub(super) struct PublishChannel(Mutex<Option<Arc<Channel>>>);

impl PublishChannel {
    pub(super) fn set(&self, channel: Option<Channel>) {
        *self.lock() = channel.map(Arc::new);
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Publishes `message`; its frames are queued in the first poll. Returns what the broker will confirm once it is
    /// written to the socket.
    pub(super) async fn publish(&self, message: AmqpMessage) -> Result<PublisherConfirm, PublishError> {
        let channel = self.lock().clone().ok_or(PublishError::Unavailable)?;
        let mut sending = pin!(channel.basic_publish(
            message.exchange,
            message.routing_key,
            BasicPublishOptions::default(),
            &message.body,
            message.properties,
        ));
        let queued = poll_fn(|context| {
            let _one_writer = self.lock();
            Poll::Ready(sending.as_mut().poll(context))
        });
        match queued.await {
            // Refused before anything was queued.
            Poll::Ready(Err(_)) => Err(PublishError::Unavailable),
            Poll::Ready(Ok(confirm)) => Ok(confirm),
            Poll::Pending => sending.await.map_err(|_| PublishError::Unconfirmed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Channel>>> {
        // A panic elsewhere cannot leave an `Option` half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
