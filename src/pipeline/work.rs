//! What a worker's queue is, and what is done with its messages: a provider's webhooks, or a sink's events.

use std::pin::pin;

use tracing::Instrument as _;

use super::message::{Content, Message, Processor};
use super::session::Session;
use super::spans;
use crate::domain::envelope::Envelope;
use crate::domain::identity::DeliveryKey;
use crate::domain::provider::ProviderId;
use crate::domain::verdict::Outcome;

/// What a worker does with the messages of its queue.
pub trait Work: Send + Sync {
    /// A message that was read.
    type Item: Send + Sync;

    /// Whose queue.
    fn queue(&self) -> ProviderId;

    /// Whether messages can be processed now; why not is worth a `warning`, or no news yet.
    fn is_ready(&self, warning: bool) -> impl Future<Output = bool> + Send;

    /// Reads a message. No bytes may make it panic.
    fn read(&self, envelope: Envelope, defect: Option<&'static str>) -> Self::Item;

    /// The delivery whose messages this one takes turns with, if any.
    fn lane(item: &Self::Item) -> Option<&DeliveryKey>;

    /// Does all that a message needs before its delivery is acknowledged. Returns the label of what became of it; `None`
    /// when it is left to the broker.
    fn process(
        &self,
        item: &Self::Item,
        session: &Session,
    ) -> impl Future<Output = Option<&'static str>> + Send;
}

impl Work for Processor {
    type Item = Message;

    fn queue(&self) -> ProviderId {
        self.provider.id()
    }

    async fn is_ready(&self, warning: bool) -> bool {
        let provider = self.provider.id();
        let ledger = self.ledger.ping().await;
        let publisher = self.publisher.ready();
        if let Err(error) = &ledger
            && warning
        {
            tracing::warn!(%provider, %error, "not subscribing: the ledger does not answer");
        }
        if !publisher && warning {
            tracing::warn!(%provider, "not subscribing: nothing can be published");
        }
        ledger.is_ok() && publisher
    }

    fn read(&self, envelope: Envelope, defect: Option<&'static str>) -> Message {
        Self::read(self, envelope, defect)
    }

    fn lane(message: &Message) -> Option<&DeliveryKey> {
        match &message.content {
            Content::Update(delivery, _) => Some(delivery),
            Content::Ignored | Content::Unreadable(..) => None,
        }
    }

    /// In the message's trace.
    async fn process(&self, message: &Message, session: &Session) -> Option<&'static str> {
        let span = spans::process(&message.envelope);
        // Pinned first: it is large, and each combinator would move it.
        let processing = pin!(Self::process(self, message, session));
        let outcome = processing.instrument(span.clone()).await;
        spans::processed(&span, outcome);
        outcome.map(Outcome::as_str)
    }
}
