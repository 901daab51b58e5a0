//! Consuming a work queue, on a connection of its own: a blocked publishing connection must not hold up
//! acknowledgements, nor the other way round.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::connection::{ConnectError, RabbitSettings, close, connect, successor, within};
use super::envelope;
use super::stall::Stall;
use super::topology::work_queue;
use crate::domain::provider::ProviderId;
use crate::ports::{Clock, Delivery, Inbox, Subscription, SubscriptionEnded, Tag};
use crate::telemetry::metrics as m;

/// On quorum queues, acknowledged messages were seen to come back when the channel was closed at once; none with
/// this pause before.
const ACKS_SETTLE: Duration = Duration::from_millis(300);

pub struct RabbitInbox {
    settings: RabbitSettings,
    clock: Arc<dyn Clock>,
    /// Whose queues were subscribed to before: doing it again is a reconnect.
    before: Mutex<HashSet<ProviderId>>,
}

impl RabbitInbox {
    /// Prepares; each subscription makes its own connection.
    #[must_use]
    pub fn new(settings: RabbitSettings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock, before: Mutex::default() }
    }

    async fn open(&self, provider: ProviderId, prefetch: u16) -> Result<RabbitSubscription, ConnectError> {
        let url = self.settings.url.now();
        let connection = connect(&self.settings, "consume").await?;
        let setting_up = async {
            let channel = connection.create_channel().await?;
            // lapin's own buffer is unbounded: the prefetch is what bounds it.
            channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
            let queue = work_queue(provider);
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer = channel.basic_consume(queue.into(), "".into(), options, arguments).await?;
            Ok((channel, consumer))
        };
        let (channel, consumer) = within(self.settings.connect_timeout, setting_up).await?;
        metrics::gauge!(m::BROKER_CONNECTED, "role" => "consume").increment(1.0);
        if !self.before.lock().unwrap_or_else(PoisonError::into_inner).insert(provider) {
            metrics::counter!(m::BROKER_RECONNECTS, "role" => "consume").increment(1);
        }
        Ok(RabbitSubscription {
            connection,
            channel,
            consumer,
            provider,
            clock: Arc::clone(&self.clock),
            outdated: Box::pin(outdated(self.settings.clone(), url)),
            unacknowledged: BTreeSet::new(),
            stall: Stall::new(work_queue(provider)),
            stopped: false,
        })
    }
}

#[async_trait]
impl Inbox for RabbitInbox {
    async fn subscribe(
        &self,
        provider: ProviderId,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, SubscriptionEnded> {
        match self.open(provider, prefetch).await {
            Ok(subscription) => Ok(Box::new(subscription)),
            Err(error) => {
                tracing::warn!(%provider, %error, "cannot subscribe yet");
                Err(SubscriptionEnded)
            }
        }
    }
}

/// Returns once the broker takes a connection with another URL than `used`.
async fn outdated(settings: RabbitSettings, used: Arc<str>) {
    let tried = successor(&settings.url, &used, || connect(&settings, "trial")).await;
    close(&tried).await;
}

struct RabbitSubscription {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
    provider: ProviderId,
    clock: Arc<dyn Clock>,
    /// Resolves once another subscription can be had with a newer URL.
    outdated: BoxFuture<'static, ()>,
    unacknowledged: BTreeSet<Tag>,
    stall: Stall,
    stopped: bool,
}

impl RabbitSubscription {
    /// Sends one acknowledgement. Its frame is queued in the first poll; whether it reached the broker shows
    /// only in whether the message is delivered again, so nothing waits for it.
    fn send_ack(&self, tag: Tag, multiple: bool) {
        let _ = self.channel.basic_ack(tag, BasicAckOptions { multiple }).now_or_never();
    }
}

#[async_trait]
impl Subscription for RabbitSubscription {
    async fn next(&mut self) -> Result<Delivery, SubscriptionEnded> {
        if self.stopped {
            return Err(SubscriptionEnded);
        }
        let next = tokio::select! {
            biased;
            () = &mut self.outdated => {
                tracing::info!(provider = %self.provider, "subscribing anew: the URL changed");
                None
            }
            next = self.consumer.next() => next,
            () = self.stall.found(&self.connection), if self.unacknowledged.is_empty() => {
                tracing::warn!(provider = %self.provider, "subscribing anew: the queue has messages and none is delivered");
                None
            }
        };
        // `None` is also a consumer the broker ended (its queue was deleted), `Err` a lost channel.
        let Some(Ok(message)) = next else {
            self.stopped = true;
            return Err(SubscriptionEnded);
        };
        self.stall.delivered();
        let tag = message.delivery_tag;
        self.unacknowledged.insert(tag);
        let returns = envelope::returns(&message.properties);
        let (envelope, defect) = envelope::read(message, self.provider, self.clock.now());
        Ok(Delivery { tag, envelope, defect, returns })
    }

    fn acknowledge(&mut self, tags: &mut Vec<Tag>) {
        for tag in tags.iter() {
            self.unacknowledged.remove(tag);
        }
        tags.sort_unstable();
        // One acknowledgement covers all tags below the oldest unacknowledged one.
        let oldest = self.unacknowledged.first().copied().unwrap_or(Tag::MAX);
        let covered = tags.partition_point(|&tag| tag < oldest);
        if let Some(&last) = tags[..covered].last() {
            self.send_ack(last, true);
        }
        for &tag in &tags[covered..] {
            self.send_ack(tag, false);
        }
        tags.clear();
    }

    async fn stop(&mut self) {
        self.stopped = true;
        let cancelling = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        let _ = tokio::time::timeout(Duration::from_secs(1), cancelling).await;
    }

    async fn close(self: Box<Self>) {
        if self.connection.status().connected() {
            tokio::time::sleep(ACKS_SETTLE).await;
            close(&self.connection).await;
        }
    }
}

impl Drop for RabbitSubscription {
    fn drop(&mut self) {
        metrics::gauge!(m::BROKER_CONNECTED, "role" => "consume").decrement(1.0);
    }
}
