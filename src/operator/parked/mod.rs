//! Messages that need an operator. Looking takes nothing off a queue and changes no order.

pub mod body;
pub mod discard;
pub mod entry;
pub mod export;
pub mod filter;
pub mod groups;
pub mod mask;
pub mod ramp;
pub mod replay;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use self::entry::Entry;
use self::filter::Filter;
use crate::adapters::rabbit::RabbitSettings;
use crate::adapters::rabbit::parked::{ParkedError, ParkedMessage, ParkedQueue};
use crate::domain::provider::ProviderId;

/// The parked queues that a filter is about. Providers that this installation never ran have none; that is an error
/// only for one asked for by name, or when there is none at all.
pub struct ParkedQueues<'a> {
    settings: &'a RabbitSettings,
    left: std::vec::IntoIter<ProviderId>,
    by_name: bool,
    found: bool,
}

impl<'a> ParkedQueues<'a> {
    /// Those of `filter`.
    #[must_use]
    pub fn new(settings: &'a RabbitSettings, filter: &Filter) -> Self {
        let (by_name, left) = (!filter.provider.is_empty(), filter.providers().into_iter());
        Self { settings, left, by_name, found: false }
    }

    /// The next one, locked.
    ///
    /// # Errors
    /// See [`ParkedError`].
    pub async fn next(&mut self) -> Result<Option<ParkedQueue>, ParkedError> {
        while let Some(provider) = self.left.next() {
            let last = self.left.len() == 0;
            match ParkedQueue::open(self.settings, provider).await {
                Err(ParkedError::NoQueue(_)) if !self.by_name && (self.found || !last) => {}
                Err(error) => return Err(error),
                Ok(queue) => {
                    self.found = true;
                    return Ok(Some(queue));
                }
            }
        }
        Ok(None)
    }
}

/// Looks at everything that passes the filter, in order, and gives it back. Cancelling `stop` ends it early.
///
/// # Errors
/// When a queue cannot be looked at, when `each` fails, and when it is stopped.
pub async fn look(
    settings: &RabbitSettings,
    filter: &Filter,
    stop: &CancellationToken,
    mut each: impl FnMut(Entry, &ParkedMessage) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut queues = ParkedQueues::new(settings, filter);
    while let Some(mut queue) = queues.next().await? {
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    queue.close().await?;
                    bail!("interrupted");
                }
                next = queue.next() => next?,
            };
            let Some(message) = next else { break };
            let entry = Entry::read(&message);
            if filter.accepts(&entry) {
                each(entry, &message)?;
            }
        }
        queue.close().await?;
    }
    Ok(())
}
