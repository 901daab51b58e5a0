//! Publishing a burst of messages of one kind, and what RabbitMQ used for it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation, Connection, ConnectionProperties, Consumer, ExchangeKind};
use tokio::time::{sleep, timeout};

use super::message::Variant;
use crate::figures::as_f64;
use crate::process::cpu;
use crate::servers::Servers;

const STREAM: &str = "costs.stream";
const QUEUE: &str = "costs.queue";
const CONSUMED: &str = "costs.consumed";
const BOTH: [(&str, &str); 2] = [("costs.both.stream", "stream"), ("costs.both.queue", "quorum")];
const EXCHANGE: &str = "costs";
/// A routing key as updates have.
const KEY: &str = "telyport.default.pickup.assigned";
const IN_FLIGHT: usize = 256;
/// What RabbitMQ does after its last confirm belongs to the burst.
const AFTERWARDS: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    Stream,
    Queue,
    /// It is handed to a consumer and acknowledged too.
    Consumed,
    /// To both, by a topic exchange: as an update.
    Both,
}

pub const DESTINATIONS: [Destination; 4] =
    [Destination::Stream, Destination::Queue, Destination::Consumed, Destination::Both];

impl Destination {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Queue => "quorum queue",
            Self::Consumed => "quorum queue, consumed",
            Self::Both => "stream and quorum queue",
        }
    }

    fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::Stream => ("", STREAM),
            Self::Queue => ("", QUEUE),
            Self::Consumed => ("", CONSUMED),
            Self::Both => (EXCHANGE, KEY),
        }
    }
}

pub struct Bench {
    // Channels end with it.
    _connections: [Connection; 2],
    publishing: Channel,
    consuming: Channel,
    consumer: Consumer,
    broker: u32,
    burst: usize,
}

impl Bench {
    pub async fn connect(servers: &Servers, burst: usize) -> anyhow::Result<Self> {
        let connect = || Connection::connect(&servers.amqp_url, ConnectionProperties::default());
        let connections = [connect().await?, connect().await?];
        let publishing = connections[0].create_channel().await?;
        let consuming = connections[1].create_channel().await?;
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let arguments = FieldTable::default();
        publishing.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, arguments).await?;
        for (queue, kind) in [(STREAM, "stream"), (QUEUE, "quorum"), (CONSUMED, "quorum")] {
            declare(&publishing, queue, kind).await?;
        }
        for (queue, kind) in BOTH {
            declare(&publishing, queue, kind).await?;
            let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
            publishing.queue_bind(queue.into(), EXCHANGE.into(), "#".into(), options, arguments).await?;
        }
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        consuming.basic_qos(IN_FLIGHT.try_into()?, BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = consuming.basic_consume(CONSUMED.into(), "".into(), options, arguments).await?;
        Ok(Self { _connections: connections, publishing, consuming, consumer, broker: servers.broker, burst })
    }

    /// Microseconds of RabbitMQ's CPU a message, in one burst.
    pub async fn cost(&mut self, destination: Destination, variant: &Variant) -> anyhow::Result<f64> {
        let before = cpu(self.broker)?;
        let sending = send(&self.publishing, destination, variant, self.burst);
        if destination == Destination::Consumed {
            tokio::try_join!(sending, take(&self.consuming, &mut self.consumer, self.burst))?;
        } else {
            sending.await?;
        }
        sleep(AFTERWARDS).await;
        let used = cpu(self.broker)? - before;
        Ok(used.as_secs_f64() * 1e6 / as_f64(self.burst))
    }

    /// Empties what can be emptied, so that no burst finds longer queues than another.
    pub async fn purge(&self) -> anyhow::Result<()> {
        for queue in [QUEUE, BOTH[1].0] {
            self.publishing.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
        }
        Ok(())
    }
}

async fn declare(channel: &Channel, queue: &str, kind: &str) -> anyhow::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
    if kind == "stream" {
        arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(200_000_000));
        arguments.insert("x-stream-max-segment-size-bytes".into(), AMQPValue::LongLongInt(50_000_000));
    }
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue.into(), options, arguments).await?;
    Ok(())
}

/// Publishes so many, so many of them in flight, until all are confirmed.
async fn send(
    channel: &Channel,
    destination: Destination,
    variant: &Variant,
    count: usize,
) -> anyhow::Result<()> {
    let (exchange, key) = destination.route();
    let body = vec![b'x'; variant.bytes];
    let mut under_way = FuturesUnordered::new();
    let mut left = count;
    while left > 0 || !under_way.is_empty() {
        if left > 0 && under_way.len() < IN_FLIGHT {
            left -= 1;
            let (options, properties) = (BasicPublishOptions::default(), variant.properties.clone());
            under_way
                .push(channel.basic_publish(exchange.into(), key.into(), options, &body, properties).await?);
            continue;
        }
        let confirm = under_way.next().await.context("nothing is under way")??;
        ensure!(matches!(confirm, Confirmation::Ack(_)), "the broker did not take it");
    }
    Ok(())
}

/// Takes so many, and acknowledges several at once, as a worker does.
async fn take(channel: &Channel, consumer: &mut Consumer, count: usize) -> anyhow::Result<()> {
    for taken in 1..=count {
        let delivery = timeout(PATIENCE, consumer.next()).await.context("it does not come")?;
        let tag = delivery.context("the queue is gone")??.delivery_tag;
        if taken.is_multiple_of(16) || taken == count {
            channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
        }
    }
    Ok(())
}
