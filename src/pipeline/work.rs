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

    fn queue(&self) -> ProviderId;

    /// What remembers its messages, in an operator's words.
    const STORE: &'static str;

    /// Asks whether that answers.
    ///
    /// # Errors
    /// Why it does not.
    fn ask_store(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Whether copies and updates can be published.
    fn can_publish(&self) -> bool;

    /// Reads a message. No bytes may make it panic.
    fn read(&self, envelope: Envelope, defect: Option<&'static str>) -> Self::Item;

    /// The delivery whose messages this one takes turns with, if any.
    fn lane(item: &Self::Item) -> Option<&DeliveryKey>;

    /// The same, of a message that is processed.
    fn into_lane(item: Self::Item) -> Option<DeliveryKey>;

    /// Parks a message that is not to be read again. Returns the label of what became of it, as below.
    fn park_unread(
        &self,
        envelope: &Envelope,
        detail: &'static str,
        session: &Session,
    ) -> impl Future<Output = Option<&'static str>> + Send;

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

    const STORE: &'static str = "the ledger";

    fn queue(&self) -> ProviderId {
        self.provider.id()
    }

    async fn ask_store(&self) -> Result<(), String> {
        self.ledger.ping().await.map_err(|error| error.to_string())
    }

    fn can_publish(&self) -> bool {
        self.publisher.ready()
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

    fn into_lane(message: Message) -> Option<DeliveryKey> {
        match message.content {
            Content::Update(delivery, _) => Some(delivery),
            Content::Ignored | Content::Unreadable(..) => None,
        }
    }

    async fn park_unread(
        &self,
        envelope: &Envelope,
        detail: &'static str,
        session: &Session,
    ) -> Option<&'static str> {
        Self::park_unread(self, envelope, detail, session).await.map(Outcome::as_str)
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
