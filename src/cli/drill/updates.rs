//! What subscribers get during a drill, and after it.

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use crate::adapters::rabbit::updates_log::{LogEvent, Start, UpdatesLog};
use crate::operator::why::Publication;

/// Follows the updates log until it is dropped. What comes is bounded by what a drill sends.
pub struct Updates {
    coming: UnboundedReceiver<Publication>,
    following: JoinHandle<()>,
}

impl Updates {
    /// From `now` on.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn follow(amqp: &str, now: Timestamp) -> anyhow::Result<Self> {
        let mut log = UpdatesLog::new(amqp, Start::At(now), now)?;
        // The broker is there: it is read from the beginning of the drill, or not at all.
        match log.next().await? {
            LogEvent::Waiting(outage) => return Err(outage).context("the updates cannot be read"),
            LogEvent::Attached | LogEvent::Update(_) => {}
        }
        let (pass, coming) = unbounded_channel();
        let following = tokio::spawn(async move {
            while let Ok(event) = log.next().await {
                let LogEvent::Update(update) = event else { continue };
                let Ok(publication) = serde_json::from_slice(&update.body) else { continue };
                if pass.send(publication).is_err() {
                    break;
                }
            }
        });
        Ok(Self { coming, following })
    }

    pub fn ready(&mut self) -> Option<Publication> {
        self.coming.try_recv().ok()
    }

    /// The next one, waited for.
    pub async fn next(&mut self) -> Option<Publication> {
        self.coming.recv().await
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        self.following.abort();
    }
}
