//! Publishes that are made together, queued together.
//!
//! lapin's thread writes what is queued as soon as it is woken. Publishes queued one by one, with work between them, each
//! cost a wake and a write here and a read in the broker. A worker makes many in a row, from one task: so a task of its own
//! queues all there is, once the task that published has nothing more to do. A lone publish goes at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use lapin::PublisherConfirm;
use tokio::sync::oneshot;

use super::channel::{AmqpMessage, PublishChannel};
use crate::ports::PublishError;

type BurstSent = Result<PublisherConfirm, PublishError>;
type BurstSending = Pin<Box<dyn Future<Output = BurstSent> + Send>>;

/// Publishes in bursts on one channel.
pub(super) struct Bursts {
    channel: Arc<PublishChannel>,
    /// What was published since the last burst. The first one in has it sent.
    waiting: Mutex<Vec<(AmqpMessage, oneshot::Sender<BurstSent>)>>,
    /// One burst is queued at a time, so that what was published first goes first.
    turn: Mutex<()>,
}

impl Bursts {
    pub(super) fn new(channel: Arc<PublishChannel>) -> Self {
        Self { channel, waiting: Mutex::default(), turn: Mutex::default() }
    }

    /// See [`PublishChannel::publish`].
    pub(super) async fn publish(self: &Arc<Self>, message: AmqpMessage) -> BurstSent {
        let (sent, confirm) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting();
            waiting.push((message, sent));
            waiting.len() == 1
        };
        if first {
            tokio::spawn(Arc::clone(self).send());
        }
        confirm.await.unwrap_or(Err(PublishError::Unconfirmed))
    }

    /// Queues all that waits, and hands out what the broker will confirm.
    async fn send(self: Arc<Self>) {
        for (sending, sent) in self.queue() {
            // One that took too long is not waited for any more.
            drop(sent.send(sending.await));
        }
    }

    /// They are written in order, so waiting for one after the other is one wake for the burst, and until all are queued
    /// none is needed.
    fn queue(&self) -> Vec<(BurstSending, oneshot::Sender<BurstSent>)> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut *self.waiting());
        let mut context = Context::from_waker(Waker::noop());
        let mut queued = Vec::with_capacity(waiting.len());
        for (message, sent) in waiting {
            let channel = Arc::clone(&self.channel);
            let mut sending: BurstSending = Box::pin(async move { channel.publish(message).await });
            match sending.as_mut().poll(&mut context) {
                Poll::Pending => queued.push((sending, sent)),
                Poll::Ready(confirm) => drop(sent.send(confirm)),
            }
        }
        queued
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(AmqpMessage, oneshot::Sender<BurstSent>)>> {
        // A panic elsewhere cannot leave a vector half-written.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
