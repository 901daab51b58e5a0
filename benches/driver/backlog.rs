//! Messages that wait for a retry and messages that are parked, with all that Redis remembers of them: what a bad day
//! leaves behind.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::stream::{self, StreamExt as _};
use milepost::adapters::redis::{RedisConnection, RedisLedger, RedisSettings};
use milepost::domain::claim::{Claim, ClaimRequest, CopyInHand, Mark, Token};
use milepost::domain::envelope::Envelope;
use milepost::domain::history::Failure;
use milepost::domain::identity::DeliveryKey;
use milepost::domain::order::{Moment, StatusOrder};
use milepost::domain::provider::Decoded;
use milepost::domain::verdict::{ParkReason, RetryReason};
use milepost::ports::{Ledger as _, Outbound};

use crate::material::{Kind, Webhook};
use crate::rig::Rig;

/// How many wait, and how many are parked.
pub const EACH: usize = 200_000;

/// Longer than any run: over an hour.
const DUE: Duration = Duration::from_secs(4000);
const AT_ONCE: usize = 256;
/// The attempt that a message waiting that long is at.
const ATTEMPT: u32 = 12;

/// Makes the backlog.
pub async fn make(rig: &Rig, kind: &Kind) -> anyhow::Result<()> {
    let url = rig.config.redis.url.expose();
    let settings = RedisSettings { url: url.into(), response_timeout: Duration::from_secs(5) };
    let ledger = RedisLedger::new(RedisConnection::new(&settings)?);
    let all = kind.webhooks(2 * EACH, "backlog").enumerate();
    let mut putting = stream::iter(all.map(|(index, webhook)| put_away(rig, &ledger, webhook, index)))
        .buffer_unordered(AT_ONCE);
    while let Some(put) = putting.next().await {
        put?;
    }
    Ok(())
}

/// Puts one away as a worker does: every second one is parked.
async fn put_away(rig: &Rig, ledger: &RedisLedger, webhook: Webhook, index: usize) -> anyhow::Result<()> {
    let provider = webhook.provider;
    let envelope = webhook.stored(index);
    let Ok(Decoded::Update(decoded)) = provider.decode(&envelope.body) else {
        anyhow::bail!("a sample is no update")
    };
    let settings = rig.config.provider(provider.id());
    let event_time = decoded.update.event_time.as_ref().map(|time| (time.utc, decoded.time_kind));
    let request = ClaimRequest {
        delivery: DeliveryKey {
            provider: provider.id(),
            account: envelope.account.clone(),
            delivery_id: decoded.update.delivery_id.clone(),
        },
        identity: decoded.identity,
        copy: CopyInHand {
            receipt: envelope.receipt,
            attempt: 0,
            crashes: 0,
            replay: None,
            token: Token(rand::random()),
            lease: rig.config.worker.claim_lease,
        },
        traceparent: None,
        moment: Moment::new(decoded.update.status, event_time, envelope.receipt.received_at()),
        precedence: StatusOrder::new(provider.transitions()).of(decoded.update.status),
        leg: decoded.leg,
        address: None,
        horizon: settings.resend_horizon,
        ttl: settings.dedup_ttl,
    };
    let Claim::Granted(grant) = ledger.claim(&request).await? else { anyhow::bail!("not its first claim") };
    let reason = RetryReason::PublishRefused;
    let envelope = failed(envelope, reason);
    let (outbound, mark) = if index.is_multiple_of(2) {
        (Outbound::Later(envelope, DUE), Mark::Retrying { attempt: ATTEMPT, due: DUE, reason })
    } else {
        let reason = ParkReason::RetriesExhausted;
        (Outbound::Parked(envelope, reason, "the last attempt failed".into()), Mark::Parked(reason))
    };
    rig.broker.publish(outbound).await?;
    let marked = ledger.mark(&grant.event, mark).await.context("marking")?;
    ensure!(marked, "another worker has the event");
    Ok(())
}

fn failed(mut envelope: Envelope, reason: RetryReason) -> Envelope {
    envelope.attempt = ATTEMPT;
    envelope.reason = Some(reason.as_str().to_owned());
    envelope.history.push(Failure {
        at: envelope.receipt.received_at(),
        attempt: ATTEMPT,
        reason: reason.as_str().to_owned(),
        detail: None,
    });
    envelope
}
