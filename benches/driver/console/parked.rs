//! What the console is measured with: parked messages of all providers, four accounts and three failures each, and some updates in
//! the stream.

use anyhow::{Context as _, bail, ensure};
use milepost::domain::envelope::Envelope;
use milepost::domain::history::Failure;
use milepost::domain::provider::Decoded;
use milepost::domain::verdict::ParkReason;
use milepost::ports::Outbound;
use milepost::providers;

use crate::broker::UPDATES_QUEUE;
use crate::material::{self, Kind};
use crate::rig::Rig;

/// As docs/performance.md has it for bodies as providers send them.
const BYTES: usize = 614;
const ACCOUNTS: usize = 4;
const KIND: Kind = Kind { providers: providers::SAMPLE_SOURCES, accounts: ACCOUNTS, bytes: BYTES };
const TAG: &str = "parked";
/// Text of a third of the reasons.
pub const TEXT: &str = "not_json";
const FAILURES: [(ParkReason, &str); 3] = [
    (ParkReason::RetriesExhausted, "publish_refused"),
    (ParkReason::Malformed, TEXT),
    (ParkReason::Contradiction, "delivery_id"),
];
/// Attempts that each message has in its history.
const ATTEMPTS: u32 = 5;
/// Updates in the stream, which a search reads.
const UPDATES: usize = 10_000;

/// Parks so many.
pub async fn fill(rig: &Rig, messages: usize) -> anyhow::Result<()> {
    let parked = KIND.webhooks(messages, TAG).enumerate().map(|(index, webhook)| {
        let (reason, detail) = FAILURES[index / KIND.providers.len() % FAILURES.len()];
        Outbound::Parked(failed(webhook.stored(index)), reason, detail.into())
    });
    rig.broker.fill(parked).await
}

fn failed(mut envelope: Envelope) -> Envelope {
    envelope.attempt = ATTEMPTS;
    let at = envelope.receipt.received_at();
    for attempt in 0..ATTEMPTS {
        envelope.history.push(Failure::new(at, attempt, "publish_refused", None));
    }
    envelope
}

/// Publishes updates of other deliveries, as a worker does.
pub async fn publish_updates(rig: &Rig) -> anyhow::Result<()> {
    let provider = &KIND.providers[..1];
    let kind = Kind { providers: provider, ..KIND };
    let stored = kind.webhooks(UPDATES, "updates").enumerate();
    let workers = rig.milepost_workers(provider, 256).await?;
    rig.broker.fill(stored.map(|(index, webhook)| Outbound::Raw(webhook.stored(index)))).await?;
    rig.broker.expect(&[UPDATES_QUEUE.to_owned()], UPDATES).await?;
    for worker in workers {
        ensure!(worker.stop().await?, "a worker did not end as it should");
    }
    Ok(())
}

/// A parked message in the middle: its provider, and its delivery's id.
pub fn one(messages: usize) -> anyhow::Result<(String, String)> {
    let webhook = KIND.webhooks(messages, TAG).nth(messages / 2).context("there are messages")?;
    let Ok(Decoded::Update(decoded)) = webhook.provider.decode(&webhook.body) else {
        bail!("a sample is no update")
    };
    Ok((webhook.provider.id().to_string(), decoded.update.delivery_id))
}

/// One of the accounts.
pub fn account() -> String {
    material::account(1, ACCOUNTS).to_string()
}

/// How many messages a group has at least, about.
pub fn smallest_group(messages: usize) -> usize {
    messages / (KIND.providers.len() * ACCOUNTS * FAILURES.len())
}
