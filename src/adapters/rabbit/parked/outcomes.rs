//! What becomes of replays, overheard: a queue of our own beside the real ones, for as long as we listen.

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Connection, Consumer};
use serde::Deserialize;

use super::ParkedError;
use crate::adapters::rabbit::delay;
use crate::adapters::rabbit::envelope::{HeaderTable, REASON};
use crate::adapters::rabbit::topology::{PARKED, UPDATES, is_sink, text};
use crate::domain::provider::ProviderId;

/// What we have not listened to in time is dropped, oldest first: we must never hold up a publish.
const MOST_UNHEARD: i64 = 100_000;

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayOutcome {
    Published,
    /// It will be tried again, or is parked.
    Failed,
}

/// Hears what becomes of one provider's webhooks. A duplicate, or one that is ignored, is published nowhere.
pub struct Outcomes(Consumer);

impl Outcomes {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the broker does not let us.
    pub async fn of(connection: &Connection, provider: ProviderId) -> Result<Self, ParkedError> {
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MOST_UNHEARD));
        arguments.insert("x-overflow".into(), text("drop-head"));
        let queue = channel.queue_declare("".into(), options, arguments).await?.name().clone();
        let mut sources = vec![(PARKED.to_owned(), provider.to_string())];
        // A sink's messages publish nothing, and wait as a matter of course: only a failure can be heard.
        if !is_sink(provider) {
            sources.push((UPDATES.to_owned(), format!("{provider}.#")));
            sources
                .extend((0..delay::LEVELS).map(|level| (delay::level_name(level), format!("#.{provider}"))));
        }
        for (source, key) in sources {
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue.clone(), source.into(), key.into(), options, none).await?;
        }
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        Ok(Self(channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?))
    }

    /// The next outcome, and the receipt of whose it is. Cancel safe.
    ///
    /// # Errors
    /// When the broker ended it.
    pub async fn next(&mut self) -> Result<(String, ReplayOutcome), ParkedError> {
        loop {
            let message = self.0.next().await.ok_or(ParkedError::Ended)??;
            if let Some(heard) = heard(&message) {
                return Ok(heard);
            }
        }
    }
}

fn heard(message: &Delivery) -> Option<(String, ReplayOutcome)> {
    if message.exchange.as_str() == UPDATES {
        let event: PublishedUpdate = serde_json::from_slice(&message.data).ok()?;
        return Some((event.data.receipt_id, ReplayOutcome::Published));
    }
    let headers = HeaderTable(message.properties.headers().as_ref());
    // On the delay levels there are also copies that wait for another's claim: these carry no reason.
    let failed = message.exchange.as_str() == PARKED || headers.text(REASON).is_some();
    let receipt = message.properties.message_id().as_ref().map(ShortString::to_string)?;
    failed.then_some((receipt, ReplayOutcome::Failed))
}

#[derive(Deserialize)]
struct PublishedUpdate {
    data: PublishedData,
}

#[derive(Deserialize)]
struct PublishedData {
    receipt_id: String,
}
