//! The driver's own way to the broker: it fills queues, looks at their depths, and listens as a subscriber.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use futures_util::stream::{self, StreamExt as _};
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use milepost::adapters::rabbit::topology::{TopologyMode, UPDATES};
use milepost::adapters::rabbit::{DelayLevels, Pace, RabbitPublisher};
use milepost::app::backends::{rabbit_settings, role_topology};
use milepost::config::Config;
use milepost::ports::{Outbound, Publisher};
use milepost::providers;
use milepost::telemetry::recorder::Role;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A subscriber's queue: all updates.
pub const UPDATES_QUEUE: &str = "bench.updates";
/// Where the bare relay publishes to.
pub const RELAYED_QUEUE: &str = "floor.relayed";

/// A subscriber's queue that takes one message and refuses all others, while it is bound.
pub const FULL_QUEUE: &str = "bench.full";

/// How many publishes are under way at once while a queue is filled.
const AT_ONCE: usize = 512;
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Broker {
    connection: Connection,
    channel: Channel,
    publisher: Arc<RabbitPublisher>,
}

impl Broker {
    /// Connects, and declares Milepost's topology and the benchmark's own queues.
    pub async fn connect(config: &Config) -> anyhow::Result<Self> {
        let ids: Vec<_> = providers::ALL.iter().map(|provider| provider.id()).collect();
        let publisher = RabbitPublisher::new(
            rabbit_settings(config, "bench"),
            role_topology(config, Role::Run, &ids),
            TopologyMode::Apply,
            DelayLevels::new(Duration::from_secs(1)),
            Pace::Bursts,
        );
        tokio::spawn(Arc::clone(&publisher).run(CancellationToken::new()));
        while !publisher.ready() {
            sleep(Duration::from_millis(10)).await;
        }
        let connection =
            Connection::connect(config.amqp.url.expose(), ConnectionProperties::default()).await?;
        let broker = Self { channel: connection.create_channel().await?, connection, publisher };
        broker.declare(UPDATES_QUEUE, []).await?;
        broker.declare(RELAYED_QUEUE, []).await?;
        for id in ids {
            broker.declare(&format!("floor.{id}"), []).await?;
        }
        let full = [
            ("x-max-length", AMQPValue::LongLongInt(1)),
            ("x-overflow", AMQPValue::LongString("reject-publish".into())),
        ];
        broker.declare(FULL_QUEUE, full).await?;
        broker.bind(UPDATES_QUEUE).await?;
        Ok(broker)
    }

    /// Declares a quorum queue.
    async fn declare(
        &self,
        queue: &str,
        more: impl IntoIterator<Item = (&'static str, AMQPValue)>,
    ) -> anyhow::Result<()> {
        let mut arguments = FieldTable::default();
        for (name, value) in more {
            arguments.insert(name.into(), value);
        }
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        self.channel.queue_declare(queue.into(), options, arguments).await?;
        Ok(())
    }

    /// Subscribes a queue to all updates.
    pub async fn bind(&self, queue: &str) -> anyhow::Result<()> {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        self.channel.queue_bind(queue.into(), UPDATES.into(), "#".into(), options, arguments).await?;
        Ok(())
    }

    /// Takes the subscription back.
    pub async fn unbind(&self, queue: &str) -> anyhow::Result<()> {
        let arguments = FieldTable::default();
        self.channel.queue_unbind(queue.into(), UPDATES.into(), "#".into(), arguments).await?;
        Ok(())
    }

    /// How many messages wait in a queue.
    pub async fn depth(&self, queue: &str) -> anyhow::Result<usize> {
        let options = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        let declared = self.channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
        Ok(usize::try_from(declared.message_count())?)
    }

    /// How many messages wait in all of these.
    pub async fn depths(&self, queues: &[String]) -> anyhow::Result<usize> {
        let mut sum = 0;
        for queue in queues {
            sum += self.depth(queue).await?;
        }
        Ok(sum)
    }

    /// Waits until exactly so many messages are in these queues. Never fewer, never more: else what was measured is not
    /// what happened.
    pub async fn expect(&self, queues: &[String], count: usize) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let depth = self.depths(queues).await?;
            if depth == count {
                return Ok(());
            }
            let hopeless = depth > count || Instant::now() > end;
            ensure!(!hopeless, "expected {count} messages in {queues:?}, there are {depth}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Empties queues.
    pub async fn purge(&self, queues: &[String]) -> anyhow::Result<()> {
        for queue in queues {
            self.channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await?;
        }
        Ok(())
    }

    /// Publishes one message, as Milepost does.
    pub async fn publish(&self, outbound: Outbound) -> anyhow::Result<()> {
        Ok(self.publisher.publish(outbound).await?)
    }

    /// Publishes them all, many at once.
    pub async fn fill(&self, messages: impl Iterator<Item = Outbound>) -> anyhow::Result<()> {
        let publishing = stream::iter(messages).map(|message| self.publish(message));
        let mut publishing = publishing.buffer_unordered(AT_ONCE);
        while let Some(published) = publishing.next().await {
            published?;
        }
        Ok(())
    }

    /// Takes what comes to a queue, without acknowledgements, on a channel of its own.
    pub async fn listen(&self, queue: &str) -> anyhow::Result<(Channel, Consumer)> {
        let channel = self.connection.create_channel().await?;
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
        Ok((channel, consumer))
    }
}
