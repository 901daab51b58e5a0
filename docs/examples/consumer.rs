//! Consumes Milepost's updates; docs/subscribe.md says why each step is as it is.
//!
//! ```text
//! AMQP_URL=amqp://… consumer QUEUE       what comes to a queue that is bound to updates
//! AMQP_URL=amqp://… consumer --from N    history, from offset N of the stream (0 is the beginning)
//! ```
//!
//! Prints a line for each event: whether it is news about its delivery, and the event without personal data. SIGTERM
//! ends it between two events. A lost connection ends it too: let what supervises it start it again.

// Settings of Milepost itself come from its configuration; a service has its own ways.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::error::Error;

use futures_util::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::signal::unix::{SignalKind, signal};

const PREFETCH: u16 = 64;
const STREAM: &str = "milepost.updates.log";
const OFFSET: &str = "x-stream-offset";
const PERSONAL: [&str; 11] = [
    "courier",
    "position",
    "sender",
    "recipient",
    "recipient_name",
    "origin",
    "destination",
    "proof",
    "tracking_url",
    "extra",
    "extra_as_text",
];

/// Members that are read when they are needed: nothing in `extra`, which is the provider's, costs an update.
type Members = BTreeMap<String, Box<RawValue>>;

/// The latest 100,000 entries. In a service of yours this is a table, written together with the effect.
#[derive(Default)]
struct Recent {
    entries: HashMap<String, i64>,
    keys: VecDeque<String>,
}

impl Recent {
    fn put(&mut self, key: String, value: i64) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.keys.push_back(key);
        }
        if self.keys.len() > 100_000
            && let Some(oldest) = self.keys.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }
}

/// What the service knows.
#[derive(Default)]
struct Service {
    events: Recent,
    sequences: Recent,
}

impl Service {
    /// The effect, once for each event; `None` when it is not an event of Milepost's.
    fn apply(&mut self, body: &[u8]) -> Option<()> {
        let mut event: Members = serde_json::from_slice(body).ok()?;
        let mut data: Members = read(event.get("data")?)?;
        let id: String = read(event.get("id")?)?;
        if !self.events.entries.contains_key(&id) {
            let label = if self.is_news(&event, &data)? { "news" } else { "record" };
            strip_personal_data(&mut data);
            event.insert("data".to_owned(), to_raw_value(&data).ok()?);
            println!("{label} {}", serde_json::to_string(&event).ok()?);
            self.events.put(id, 0);
        }
        Some(())
    }

    /// Whether the event says more about its delivery than was known; if not, it is for the record only.
    fn is_news(&mut self, event: &Members, data: &Members) -> Option<bool> {
        let [source, subject] = ["source", "subject"].map(|name| event.get(name).and_then(|text| read(text)));
        let delivery: [String; 2] = [source?, subject?];
        let delivery = delivery.join(" ");
        let highest = self.sequences.entries.get(&delivery).copied().unwrap_or(-1);
        // The oldest updates that the stream keeps may have no sequence and no order.
        let sequence = data.get("sequence").map_or(Some(highest + 1), |sequence| read(sequence))?;
        let late = data.get("order").is_some_and(|order| order.get() == r#""late""#);
        let news = !late && sequence > highest;
        if news {
            self.sequences.put(delivery, sequence);
        }
        Some(news)
    }
}

fn read<T: DeserializeOwned>(member: &RawValue) -> Option<T> {
    serde_json::from_str(member.get()).ok()
}

fn strip_personal_data(data: &mut Members) {
    data.retain(|name, _| !PERSONAL.contains(&name.as_str()));
    if let Some(mut reason) = data.remove("reason").and_then(|reason| read::<Members>(&reason)) {
        reason.retain(|name, _| name == "code");
        data.extend(to_raw_value(&reason).map(|reason| ("reason".to_owned(), reason)));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut queue, mut options) = (arguments.next().ok_or("which queue?")?, FieldTable::default());
    if queue == "--from" {
        let offset = arguments.next().ok_or("which offset?")?.parse()?;
        options.insert(OFFSET.into(), AMQPValue::LongLongInt(offset));
        queue = STREAM.to_owned();
    }
    let mut terminated = signal(SignalKind::terminate())?;
    let connection =
        Connection::connect(&std::env::var("AMQP_URL")?, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let mut messages = channel
        .basic_consume(queue.as_str().into(), "".into(), BasicConsumeOptions::default(), options)
        .await?;
    eprintln!("consuming from {queue}");
    let mut service = Service::default();
    loop {
        let message = tokio::select! {
            message = messages.next() => message.ok_or("the queue is gone")??,
            _ = terminated.recv() => break,
        };
        if service.apply(&message.data).is_some() {
            message.ack(BasicAckOptions::default()).await?;
        } else {
            // No further try can fix it.
            message.reject(BasicRejectOptions { requeue: false }).await?;
        }
        let headers = message.properties.headers().as_ref();
        if let Some(AMQPValue::LongLongInt(offset)) = headers.and_then(|headers| headers.inner().get(OFFSET))
        {
            eprintln!("next offset: {}", offset + 1);
        }
    }
    connection.close(200, "bye".into()).await?;
    Ok(())
}
