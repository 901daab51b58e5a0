//! The floor under a worker: consume ▸ confirmed publish ▸ acknowledge, quorum queue to quorum queue, as many in flight
//! as the prefetch lets it. Nothing is decoded, counted or remembered: what any worker that loses nothing has to do at
//! least.
//!
//! `floor-relay AMQP_URL FROM EXCHANGE KEY PREFETCH [UPDATE]` says `ready` once it consumes. The exchange without a name
//! leads to the queue that the routing key names. With UPDATE, one of Milepost's, it publishes that for each message,
//! with the receipt of the message in it; without, the message as it came.

mod says;
mod update;

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use futures_util::{FutureExt as _, TryStreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, Connection, ConnectionProperties};

use self::update::Update;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, from, exchange, key, prefetch, update @ ..] = arguments.as_slice() else {
        anyhow::bail!("expected AMQP_URL FROM EXCHANGE KEY PREFETCH [UPDATE]")
    };
    let update = update.first().map(|json| Update::read(json)).transpose()?;
    // Two connections, as for a worker: the broker reads each in a process of its own.
    let (incoming, outgoing) = (connect(url).await?, connect(url).await?);
    let (consuming, publishing) = (incoming.create_channel().await?, outgoing.create_channel().await?);
    publishing.confirm_select(ConfirmSelectOptions::default()).await?;
    consuming.basic_qos(prefetch.parse()?, BasicQosOptions::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries = consuming.basic_consume(from.as_str().into(), "".into(), options, arguments).await?;
    println!("ready");
    // In order, so that one acknowledgement covers all that are confirmed. Each publish queues its frames in its first
    // poll, and this one task polls them, so no two do at once.
    let mut under_way = FuturesOrdered::new();
    loop {
        tokio::select! {
            biased;
            Some(confirmed) = under_way.next(), if !under_way.is_empty() => {
                let mut last = confirmed?;
                while let Some(Some(confirmed)) = under_way.next().now_or_never() {
                    last = confirmed?;
                }
                // Its frame is queued in the first poll; nothing is to be gained by waiting.
                let _ = consuming.basic_ack(last, BasicAckOptions { multiple: true }).now_or_never();
            }
            delivery = deliveries.try_next() => {
                let mut next = delivery?;
                while let Some(delivery) = next {
                    under_way.push_back(relay(&publishing, exchange, key, delivery, update.as_ref()));
                    next = deliveries.try_next().now_or_never().transpose()?.flatten();
                }
            }
        }
    }
}

async fn connect(url: &str) -> lapin::Result<Connection> {
    Connection::connect(url, ConnectionProperties::default()).await
}

/// Publishes a message, or an update in its place. Returns its tag once the broker has it.
async fn relay(
    channel: &Channel,
    exchange: &str,
    key: &str,
    delivery: Delivery,
    update: Option<&Update>,
) -> anyhow::Result<u64> {
    let options = BasicPublishOptions::default();
    let Delivery { delivery_tag, properties, data, .. } = delivery;
    let (properties, data) = match update {
        Some(update) => update.of(&properties)?,
        None => (properties, data),
    };
    let confirm =
        channel.basic_publish(exchange.into(), key.into(), options, &data, properties).await?.await?;
    anyhow::ensure!(matches!(confirm, Confirmation::Ack(_)), "the broker did not take it");
    Ok(delivery_tag)
}
