//! Which webhooks a drill plays, and when: nothing but a function of what was asked and the seed. Times are of the drill, in
//! milliseconds since it began, and not of the fast motion in which it is played.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::cli::sample_secrets::sample_secret;
use crate::cli::send::webhooks::{WebhookBodies, Webhooks};
use crate::domain::authentication::Authentication;
use crate::domain::provider::Decoded;
use crate::domain::samples::{SampleSource, SignedWebhook};
use crate::domain::secret::Secret;
use crate::providers::SAMPLE_SOURCES;

/// The broker is there for so long first.
pub const BEFORE: Duration = Duration::from_mins(1);
/// From one webhook of a delivery to the next.
const PACE_MS: u64 = 12_000;

/// A webhook that a provider sends, and that is to reach subscribers.
pub struct PlannedWebhook {
    pub provider: &'static dyn SampleSource,
    /// Its delivery among the provider's.
    pub number: u64,
    /// Its place in the delivery.
    pub step: u32,
    pub delivery_id: String,
    /// The status, in the provider's words.
    pub raw_status: String,
    /// When it is sent first.
    pub at_ms: u64,
    pub webhook: SignedWebhook,
}

/// The webhooks of `deliveries` deliveries of each provider, the first of them sent first. Deliveries begin evenly from the
/// beginning to the end of the outage; of each provider every second one is cancelled after a few webhooks.
///
/// # Errors
/// When a sample cannot be made into a webhook that its provider's decoder reads.
pub fn plan(
    deliveries: u64,
    outage: Duration,
    seed: u64,
    begun: Timestamp,
    secret: Option<&str>,
) -> anyhow::Result<Vec<PlannedWebhook>> {
    let span = u64::try_from((BEFORE + outage).as_millis())?;
    let mut planned = Vec::new();
    for (place, &provider) in SAMPLE_SOURCES.iter().enumerate() {
        let told = [
            journey(provider, seed, begun, secret, "")?,
            journey(provider, seed, begun, secret, "cancelled")?,
        ];
        // Between one provider's deliveries are the others'.
        let offset = span * u64::try_from(place)? / u64::try_from(SAMPLE_SOURCES.len())?;
        for number in 0..deliveries {
            let webhooks = &told[usize::try_from(number % 2)?];
            for step in 0..webhooks.content.steps() {
                let at_ms = (span * number + offset) / deliveries + u64::from(step) * PACE_MS;
                planned.push(webhook(webhooks, number, step, at_ms)?);
            }
        }
    }
    planned.sort_by_key(|planned| planned.at_ms);
    Ok(planned)
}

/// The webhooks of the provider's first journey whose name ends so.
fn journey(
    provider: &'static dyn SampleSource,
    seed: u64,
    begun: Timestamp,
    secret: Option<&str>,
    ending: &str,
) -> anyhow::Result<Webhooks> {
    let journey = provider.journeys().iter().find(|journey| journey.name.ends_with(ending));
    let journey = journey.with_context(|| format!("{} has no such journey", provider.id()))?;
    let scheme = provider.authentication().first().map(Authentication::scheme);
    let secret = secret.map_or_else(|| sample_secret(provider.id()), str::to_owned);
    Ok(Webhooks {
        provider,
        content: WebhookBodies::of(provider, journey.steps)?,
        scheme: scheme.context("it proves itself in no way")?,
        header: None,
        secret: Secret::new(secret.as_bytes()).context("the secret is empty")?,
        seed,
        begun,
    })
}

fn webhook(webhooks: &Webhooks, number: u64, step: u32, at_ms: u64) -> anyhow::Result<PlannedWebhook> {
    let (provider, webhook) = (webhooks.provider, webhooks.webhook(number, step)?);
    let Ok(Decoded::Update(decoded)) = provider.decode(&webhook.body) else {
        anyhow::bail!("a webhook of {} is no update", provider.id());
    };
    let (delivery_id, raw_status) = (decoded.update.delivery_id, decoded.update.raw_status);
    Ok(PlannedWebhook { provider, number, step, delivery_id, raw_status, at_ms, webhook })
}
