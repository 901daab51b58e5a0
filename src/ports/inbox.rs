//! Where webhooks come in for a worker.

use async_trait::async_trait;

use crate::domain::envelope::Envelope;
use crate::domain::provider::ProviderId;

/// Names a delivery within its subscription; increasing in the order delivered.
pub type Tag = u64;

/// One webhook, taken from the queue and not yet acknowledged.
#[derive(Debug)]
pub struct Delivery {
    pub tag: Tag,
    /// The webhook. When `defect` is set, its metadata is a best effort.
    pub envelope: Envelope,
    /// What is wrong with its metadata: such a message was not published by a receiver.
    pub defect: Option<&'static str>,
    /// How often it was given out before and came back, as far as the broker counts that.
    pub returns: u32,
}

/// A subscription cannot go on: its connection or its queue is gone. What was not acknowledged is delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subscription ended")]
pub struct SubscriptionEnded;

/// Hands out a provider's webhooks.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Subscribes to a provider's work queue, with at most `prefetch` deliveries unacknowledged at once.
    ///
    /// # Errors
    /// When it cannot be done now; the caller tries again later.
    async fn subscribe(
        &self,
        provider: ProviderId,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, SubscriptionEnded>;
}

/// A running subscription. Dropping it gives back what is not acknowledged.
#[async_trait]
pub trait Subscription: Send {
    /// The next delivery. Cancel safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the subscription ended, or [`Self::stop`] was called.
    async fn next(&mut self) -> Result<Delivery, SubscriptionEnded>;

    /// Removes deliveries from the queue for good. Does not wait for the broker: should the connection end first,
    /// they are delivered again, and the ledger knows them as done. Each tag is acknowledged once.
    fn acknowledge(&mut self, tags: &mut Vec<Tag>);

    /// Takes no further deliveries; what is in flight can still be acknowledged.
    async fn stop(&mut self);

    /// Gives back what is not acknowledged and ends. Waits until what was acknowledged is safe with the broker.
    async fn close(self: Box<Self>);
}
