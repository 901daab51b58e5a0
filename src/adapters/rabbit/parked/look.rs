//! One channel's way through a parked queue.
//!
//! No prefetch is as large as a queue may be, and what was handed out and not acknowledged counts against it. So the
//! way goes in windows: when one window's messages are all held, its consumer is cancelled (it keeps what it has) and
//! the next one begins.

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::Instant;

use super::ParkedError;
use crate::ports::Tag;

/// As few messages as one window holds.
const SMALLEST_WINDOW: u32 = 2000;
/// A broker that loses our channel gives its consumers' messages back in the order of their names, as long as there are
/// at most 32 of them (an Erlang map keeps its keys sorted so far).
const MOST_WINDOWS: u32 = 30;

/// One channel's way through the queue.
pub(super) struct Look {
    pub(super) channel: Channel,
    consumer: Option<Consumer>,
    windows: u32,
    /// The last tag before this window.
    before_window: Tag,
    last: Tag,
    /// Messages that a window holds.
    window: u16,
    /// Messages of this window that are held.
    held: u16,
    /// Whether any message was acknowledged.
    pub(super) acked: bool,
    /// Messages yet to be seen.
    pub(super) unseen: u32,
    pub(super) began: Instant,
}

impl Look {
    /// At the beginning of a queue of `unseen` messages.
    pub(super) fn new(channel: Channel, unseen: u32) -> Self {
        let window = (unseen / MOST_WINDOWS + 1).max(SMALLEST_WINDOW);
        Self {
            channel,
            consumer: None,
            windows: 0,
            before_window: 0,
            last: 0,
            window: u16::try_from(window).unwrap_or(u16::MAX),
            held: 0,
            acked: false,
            unseen,
            began: Instant::now(),
        }
    }

    /// Cancel safe, but for a moment between two windows: then what follows is given back by the channel's end.
    pub(super) async fn next(&mut self, queue: &str) -> Result<Delivery, ParkedError> {
        if self.held == self.window {
            self.end_window().await?;
        }
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => self.begin_window(queue).await?,
        };
        // The broker ends a consumer when its queue goes away.
        let message = self.consumer.insert(consumer).next().await.ok_or(ParkedError::Ended)??;
        self.last = message.delivery_tag;
        self.held += 1;
        self.unseen -= 1;
        Ok(message)
    }

    /// What the broker puts back it takes by the consumers' names in turn, so these sort as they were.
    async fn begin_window(&mut self, queue: &str) -> Result<Consumer, ParkedError> {
        self.channel.basic_qos(self.window, BasicQosOptions { global: false }).await?;
        let name = format!("milepost-parked-{:06}", self.windows);
        (self.windows, self.before_window, self.held) = (self.windows + 1, self.last, 0);
        let options = BasicConsumeOptions::default();
        Ok(self.channel.basic_consume(queue.into(), name.into(), options, FieldTable::default()).await?)
    }

    async fn end_window(&mut self) -> Result<(), ParkedError> {
        if let Some(consumer) = self.consumer.take() {
            self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
        }
        Ok(())
    }

    /// Takes a message off the queue.
    pub(super) async fn ack(&mut self, tag: Tag) -> Result<(), ParkedError> {
        self.channel.basic_ack(tag, BasicAckOptions::default()).await?;
        self.acked = true;
        if tag > self.before_window {
            self.held -= 1;
        }
        Ok(())
    }
}
