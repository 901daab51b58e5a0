//! The spool, in memory and in Redis.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use milepost::adapters::clock::SystemClock;
use milepost::adapters::memory::MemorySpool;
use milepost::adapters::redis::{RedisSettings, RedisSpool};
use milepost::domain::envelope::{Envelope, TraceContext};
use milepost::domain::provider::ProviderId;
use milepost::ports::{Next, Spool, SpoolError, SpoolLimits, Spooled, spooled_bytes};
use uuid::Uuid;

use crate::support::eventually;
use crate::support::fixtures::envelope;
use crate::support::servers::OwnServers;

const LIMITS: SpoolLimits = SpoolLimits { max_entries: 100, max_bytes: 1 << 20 };
const LEASE: Duration = Duration::from_secs(30);

/// Two processes' ways to one spool, of this provider.
struct Both(Arc<dyn Spool>, Arc<dyn Spool>, ProviderId);

/// A spool that no other test has.
fn memory(limits: SpoolLimits) -> Both {
    let one = MemorySpool::new(limits, Arc::new(SystemClock));
    let other = one.beside();
    Both(Arc::new(one), Arc::new(other), ProviderId::new("memory"))
}

fn redis(servers: &OwnServers, limits: SpoolLimits) -> Both {
    let provider = ProviderId::new(Uuid::new_v4().simple().to_string().leak());
    let spool = || Arc::new(redis_spool(&servers.redis_url, provider, limits));
    Both(spool(), spool(), provider)
}

pub fn redis_spool(url: &str, provider: ProviderId, limits: SpoolLimits) -> RedisSpool {
    let settings = RedisSettings { url: url.into(), response_timeout: Duration::from_secs(5) };
    RedisSpool::new(&settings, provider, limits, Duration::from_secs(10)).expect("a Redis URL")
}

fn webhook(provider: ProviderId, body: impl Into<Bytes>) -> Envelope {
    Envelope { content_type: None, ..envelope(provider, body) }
}

async fn entry(spool: &dyn Spool, confirmed: Option<&Spooled>) -> Spooled {
    match spool.next(LEASE, confirmed).await.expect("it answers") {
        Next::Entry(spooled) => *spooled,
        other => panic!("no entry: {other:?}"),
    }
}

async fn is_empty(spool: &dyn Spool) -> bool {
    let state = spool.look().await.expect("it answers");
    (state.entries, state.bytes, state.oldest) == (0, 0, None)
}

async fn comes_out_as_it_went_in(Both(spool, _, provider): Both) {
    assert!(is_empty(spool.as_ref()).await);
    let every_byte: Vec<u8> = (0..=255).collect();
    let traced = TraceContext {
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        tracestate: Some("a=1".to_owned()),
    };
    let first = Envelope {
        content_type: Some("text/plain".to_owned()),
        trace: traced,
        ..webhook(provider, every_byte)
    };
    let second = webhook(provider, "");
    for webhook in [&first, &second] {
        spool.append(webhook).await.expect("durable");
    }
    let state = spool.look().await.expect("it answers");
    assert_eq!((state.entries, state.bytes), (2, spooled_bytes(&first) + spooled_bytes(&second)));
    assert!(state.oldest.is_some_and(|age| age < Duration::from_secs(60)), "{state:?}");

    let taken = entry(spool.as_ref(), None).await;
    assert_eq!(taken.webhook, first);
    assert_eq!(entry(spool.as_ref(), None).await.webhook, first, "it stays until it is confirmed");
    let taken = entry(spool.as_ref(), Some(&taken)).await;
    assert_eq!(taken.webhook, second);
    assert!(matches!(spool.next(LEASE, Some(&taken)).await, Ok(Next::Empty)));
    assert!(
        matches!(spool.next(LEASE, Some(&taken)).await, Ok(Next::Empty)),
        "removed twice is removed once"
    );
    assert!(is_empty(spool.as_ref()).await);
}

#[tokio::test]
async fn a_webhook_comes_out_of_memory_as_it_went_in() {
    comes_out_as_it_went_in(memory(LIMITS)).await;
}

#[tokio::test]
async fn a_webhook_comes_out_of_redis_as_it_went_in() {
    let servers = OwnServers::proving_redis("spool-entry");
    comes_out_as_it_went_in(redis(&servers, LIMITS)).await;
}

async fn keeps_its_limits(both: impl Fn(SpoolLimits) -> Both) {
    let Both(spool, _, provider) = both(SpoolLimits { max_entries: 2, ..LIMITS });
    let one = webhook(provider, "one");
    for _ in 0..2 {
        spool.append(&one).await.expect("there is room");
    }
    assert_eq!(spool.append(&one).await, Err(SpoolError::Full));
    let taken = entry(spool.as_ref(), None).await;
    entry(spool.as_ref(), Some(&taken)).await;
    spool.append(&one).await.expect("there is room again");

    let size = spooled_bytes(&one);
    let Both(spool, _, _) = both(SpoolLimits { max_bytes: 2 * size, ..LIMITS });
    let larger = webhook(provider, "one and more");
    spool.append(&one).await.expect("there is room");
    assert_eq!(spool.append(&larger).await, Err(SpoolError::Full));
    spool.append(&one).await.expect("what is smaller still fits");
    assert_eq!(spool.look().await.expect("it answers").bytes, 2 * size);
}

#[tokio::test]
async fn a_spool_in_memory_keeps_its_limits() {
    keeps_its_limits(memory).await;
}

#[tokio::test]
async fn a_spool_in_redis_keeps_its_limits() {
    let servers = OwnServers::proving_redis("spool-limits");
    keeps_its_limits(|limits| redis(&servers, limits)).await;
}

async fn one_drains_at_a_time(Both(spool, other, provider): Both) {
    let bodies = ["a", "b", "c", "d"];
    for body in bodies {
        spool.append(&webhook(provider, body)).await.expect("durable");
    }
    let first = entry(spool.as_ref(), None).await;
    assert!(matches!(other.next(LEASE, None).await, Ok(Next::Busy)));
    let second = entry(spool.as_ref(), Some(&first)).await;
    spool.release(Some(&second)).await.expect("it answers");
    // Redis ends the lease a millisecond later.
    let third = eventually("the lease was given back", || async {
        match other.next(LEASE, None).await.expect("it answers") {
            Next::Entry(spooled) => Some(*spooled),
            _ => None,
        }
    })
    .await;
    assert_eq!(third.webhook.body, bodies[2]);
    assert!(matches!(spool.next(LEASE, None).await, Ok(Next::Busy)));
    other.release(None).await.expect("it answers");
    // A lease that is over holds up nothing, and what its drainer confirms later is removed all the same.
    let short = Duration::from_millis(1);
    let slow = eventually("the lease is given again", || async {
        match spool.next(short, None).await.expect("it answers") {
            Next::Entry(spooled) => Some(*spooled),
            _ => None,
        }
    })
    .await;
    assert_eq!(slow.webhook.body, bodies[2]);
    let quick = eventually("the lease is over", || async {
        match other.next(LEASE, None).await.expect("it answers") {
            Next::Entry(spooled) => Some(*spooled),
            _ => None,
        }
    })
    .await;
    assert_eq!(quick.webhook.body, bodies[2]);
    let last = entry(other.as_ref(), Some(&quick)).await;
    assert_eq!(last.webhook.body, bodies[3]);
    assert!(matches!(spool.next(LEASE, Some(&slow)).await, Ok(Next::Busy)));
    assert_eq!(spool.look().await.expect("it answers").entries, 1, "another's entry stays");
}

#[tokio::test]
async fn one_drains_a_spool_in_memory_at_a_time() {
    one_drains_at_a_time(memory(LIMITS)).await;
}

#[tokio::test]
async fn one_drains_a_spool_in_redis_at_a_time() {
    let servers = OwnServers::proving_redis("spool-lease");
    one_drains_at_a_time(redis(&servers, LIMITS)).await;
}

async fn many_append_at_once(Both(spool, _, provider): Both) {
    let webhooks: Vec<_> = (0..100).map(|number| webhook(provider, number.to_string())).collect();
    let appended = join_all(webhooks.iter().map(|webhook| spool.append(webhook))).await;
    assert!(appended.iter().all(Result::is_ok), "{appended:?}");
    let mut confirmed = None;
    for webhook in &webhooks {
        let taken = entry(spool.as_ref(), confirmed.as_ref()).await;
        assert_eq!(&taken.webhook, webhook, "in the order in which they came");
        confirmed = Some(taken);
    }
    spool.release(confirmed.as_ref()).await.expect("it answers");
    assert!(is_empty(spool.as_ref()).await);
}

#[tokio::test]
async fn many_append_to_memory_at_once() {
    many_append_at_once(memory(LIMITS)).await;
}

#[tokio::test]
async fn many_append_to_redis_at_once() {
    let servers = OwnServers::proving_redis("spool-many");
    many_append_at_once(redis(&servers, LIMITS)).await;
}
