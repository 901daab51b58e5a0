//! Milepost's own messages: a few are made at the start of a row, and floors and peers send a copy of one of
//! them. So they send exactly what Milepost sends, also after Milepost changes.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::AMQPValue;
use milepost::ports::Outbound;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::broker::UPDATES_QUEUE;
use crate::http::{self, Request};
use crate::plan::{Load, Row};
use crate::rig::Rig;
use crate::side::Side;
use crate::worker::leave;

/// Enough for all steps of all providers' journeys.
const MESSAGES: usize = 120;
const PREFETCH: u16 = 64;
const PATIENCE: Duration = Duration::from_secs(60);

/// One of Milepost's messages.
pub struct Example {
    /// Its properties, by the names of amqplib.
    pub properties: Value,
    /// Its body, when that is an event.
    pub body: String,
}

impl Example {
    /// A stored webhook of a row.
    pub async fn of_receiver(rig: &Rig, row: &Row) -> anyhow::Result<Self> {
        let queues: Vec<_> =
            row.kind.providers.iter().map(|provider| Side::Milepost.intake(provider.id())).collect();
        let requests: Vec<_> = row.kind.webhooks(MESSAGES, "example").map(Request::of).collect();
        let (program, addr) = rig.milepost_receiver(&[]).await?;
        let programs = [program];
        http::send(addr, &requests, 1, &rig.meter(&programs)).await?;
        rig.broker.expect(&queues, MESSAGES).await?;
        let (channel, mut stored) = rig.broker.listen(&queues[0]).await?;
        let message = stored.next().await.context("the queue is gone")??;
        leave(&channel).await?;
        rig.broker.purge(&queues).await?;
        for program in programs {
            program.stop().await?;
        }
        Ok(Self { properties: named(&message.properties)?, body: String::new() })
    }

    /// An update of a row: the one nearest to the average length.
    pub async fn of_worker(rig: &Rig, row: &Row) -> anyhow::Result<Self> {
        let tag = format!("{}-example", row.name.replace(' ', ""));
        let webhooks = row.kind.webhooks(MESSAGES, &tag).enumerate();
        rig.broker.fill(webhooks.map(|(index, webhook)| Outbound::Raw(webhook.stored(index)))).await?;
        let prefetch = if let Load::Prefetch(prefetch) = row.load { prefetch } else { PREFETCH };
        let (channel, arriving) = rig.broker.listen(UPDATES_QUEUE).await?;
        let programs = rig.milepost_workers(row.kind.providers, prefetch).await?;
        let updates: Vec<Delivery> = timeout(PATIENCE, arriving.take(MESSAGES).try_collect()).await??;
        leave(&channel).await?;
        for program in programs {
            program.stop().await?;
        }
        let average = updates.iter().map(|update| update.data.len()).sum::<usize>() / MESSAGES;
        let nearest = updates.into_iter().min_by_key(|update| update.data.len().abs_diff(average));
        let update = nearest.context("nothing came out")?;
        Ok(Self { properties: named(&update.properties)?, body: String::from_utf8(update.data)? })
    }

    /// As a floor is passed it.
    pub fn json(&self) -> String {
        json!({ "properties": self.properties, "body": self.body }).to_string()
    }

    /// The trace context of the event, if it has one.
    pub fn traceparent(&self) -> Option<String> {
        let event: Value = serde_json::from_str(&self.body).ok()?;
        Some(event.get("traceparent")?.as_str()?.to_owned())
    }
}

/// Properties by the names of amqplib. What the broker adds is not among them.
fn named(properties: &BasicProperties) -> anyhow::Result<Value> {
    let mut named = Map::new();
    let texts = [
        ("contentType", properties.content_type()),
        ("messageId", properties.message_id()),
        ("correlationId", properties.correlation_id()),
        ("type", properties.kind()),
        ("appId", properties.app_id()),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            named.insert(name.to_owned(), text.as_str().into());
        }
    }
    named.insert("persistent".to_owned(), (*properties.delivery_mode() == Some(2)).into());
    if let Some(seconds) = *properties.timestamp() {
        named.insert("timestamp".to_owned(), seconds.into());
    }
    if let Some(headers) = properties.headers() {
        let mut table = Map::new();
        for (name, value) in headers.inner() {
            let value = match value {
                _ if name.as_str().starts_with("x-") => continue,
                AMQPValue::LongString(text) => json!(std::str::from_utf8(text.as_bytes())?),
                AMQPValue::LongLongInt(number) => json!(number),
                other => anyhow::bail!("the header {name} is {other:?}: teach the floors to send that"),
            };
            table.insert(name.to_string(), value);
        }
        named.insert("headers".to_owned(), table.into());
    }
    Ok(named.into())
}
