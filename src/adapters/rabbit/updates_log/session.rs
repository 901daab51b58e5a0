//! One connection's time with the updates log.

use futures_util::StreamExt as _;
use futures_util::future::poll_immediate;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::uri::AMQPUri;
use lapin::{Acker, Connection, Consumer};

use super::CONNECT_TIMEOUT;
use crate::adapters::rabbit::connection::{ConnectError, close};
use crate::adapters::rabbit::places::{connect_to_first, places};

/// Both the argument of a stream's consumer and a header of each of its messages.
const OFFSET: &str = "x-stream-offset";
/// Messages under way to us at once.
const PREFETCH: u16 = 256;
/// Messages acknowledged together, if more are coming; far enough below [`PREFETCH`] that they keep coming.
const ACK_AFTER: u16 = 64;

#[derive(Debug, Clone, Copy)]
pub(super) enum LogPosition {
    First,
    Next,
    /// Seconds since 1970.
    At(u64),
    Offset(u64),
}

impl LogPosition {
    fn argument(self) -> AMQPValue {
        match self {
            Self::First => AMQPValue::LongString("first".into()),
            Self::Next => AMQPValue::LongString("next".into()),
            Self::At(seconds) => AMQPValue::Timestamp(seconds),
            Self::Offset(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
        }
    }
}

/// The offset of a message in its stream; `None` when its queue is no stream.
pub(super) fn offset_of(delivery: &Delivery) -> Option<u64> {
    match delivery.properties.headers().as_ref()?.inner().get(OFFSET)? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
        _ => None,
    }
}

pub(super) struct LogSession {
    connection: Connection,
    consumer: Consumer,
    /// The last message taken, through which it and those before it are acknowledged.
    last: Option<Acker>,
    unacked: u16,
}

impl LogSession {
    pub(super) async fn open(
        uris: &[AMQPUri],
        stream: &str,
        position: LogPosition,
    ) -> Result<Self, ConnectError> {
        let places = places(uris, None).await?;
        let (connection, _) =
            connect_to_first(places, &format!("milepost {stream}"), CONNECT_TIMEOUT).await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert(OFFSET.into(), position.argument());
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(stream.into(), "".into(), options, arguments).await?;
        Ok(Self { connection, consumer, last: None, unacked: 0 })
    }

    /// The next message, or `None`: the session is over. Cancel safe, as nothing is awaited once it has one.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        if self.unacked >= ACK_AFTER {
            self.ack().await;
        }
        let delivery = if let Some(ready) = poll_immediate(self.consumer.next()).await {
            ready
        } else {
            self.ack().await;
            self.consumer.next().await
        };
        let delivery = delivery?.ok()?;
        self.last = Some(delivery.acker.clone());
        self.unacked += 1;
        Some(delivery)
    }

    /// Asks for more. A stream keeps its messages, so nothing else depends on it; should it fail, the session is
    /// over, and the consumer says so.
    async fn ack(&mut self) {
        self.unacked = 0;
        if let Some(acker) = self.last.take() {
            let _ = acker.ack(BasicAckOptions { multiple: true }).await;
        }
    }

    pub(super) async fn close(self) {
        close(&self.connection).await;
    }
}
