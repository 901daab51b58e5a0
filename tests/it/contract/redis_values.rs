//! What is kept in Redis: the fields of a delivery, how long they are kept, and the scripts themselves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use deadpool_redis::redis::{FromRedisValue, cmd};
use milepost::adapters::redis::{RedisConnection, RedisSettings};
use milepost::domain::claim::{Claim, ClaimRequest, Grant, Mark};
use milepost::domain::envelope::Replay;
use milepost::domain::state::DeliveryState;
use milepost::domain::verdict::ParkReason;
use milepost::ports::Ledger as _;

use crate::support::fixtures::{claim, redelivery, resend, retrying};
use crate::support::servers::{redis_ledger, redis_url};

pub(super) async fn ask<T: FromRedisValue>(words: &[&str]) -> T {
    let settings =
        RedisSettings { url: redis_url().as_str().into(), response_timeout: Duration::from_secs(5) };
    let connection = RedisConnection::new(&settings).expect("a URL");
    let mut lease = connection.get().await.expect("Redis answers");
    let mut command = cmd(words[0]);
    command.arg(&words[1..]).query_async(&mut lease.connection).await.expect("an answer")
}

pub(super) fn granted(claim: Claim) -> Grant {
    match claim {
        Claim::Granted(grant) => *grant,
        other => panic!("not granted: {other:?}"),
    }
}

/// The delivery's key.
fn key(request: &ClaimRequest) -> String {
    format!("mp:{{telyport:{}:{}}}", request.delivery.account, request.delivery.delivery_id)
}

async fn fields(request: &ClaimRequest) -> BTreeMap<String, String> {
    ask(&["HGETALL", &key(request)]).await
}

#[tokio::test]
async fn a_ledger_gives_redis_a_script_that_it_forgot() {
    let ledger = redis_ledger();
    let grant = granted(ledger.claim(&claim()).await.unwrap());
    // Other tests may give it a script at once: then this shows nothing, but never fails.
    let () = ask(&["SCRIPT", "FLUSH"]).await;
    granted(ledger.claim(&claim()).await.unwrap());
    let () = ask(&["SCRIPT", "FLUSH"]).await;
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
}

/// The fields are what an operator reads in Redis, and what docs/ARCHITECTURE.md lists.
#[tokio::test]
async fn a_delivery_is_one_hash_with_named_fields() {
    let ledger = redis_ledger();
    let mut first = claim();
    first.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let grant = granted(ledger.claim(&first).await.unwrap());
    let (name, receipt) = (&grant.event.name, first.copy.receipt.digits().to_string());
    let claimed = fields(&first).await;
    let names: Vec<_> = claimed.keys().map(|field| &field[..1]).collect();
    assert_eq!(names, ["b", "c", "e", "h", "i", "n", "t"], "{claimed:?}");
    assert!(claimed["h"].starts_with(&format!("{name},0,")), "{claimed:?}");
    assert_eq!(claimed["n"], grant.place.sequence.to_string());
    assert_eq!(claimed["c"], ",c,1739365639201,F");
    assert_eq!(claimed[&format!("e{name}")], format!("{receipt},{},F", grant.place.sequence));
    assert!(ledger.mark(&grant.event, Mark::Published(Some(standing()))).await.unwrap());
    let done = fields(&first).await;
    let names: Vec<_> = done.keys().map(|field| &field[..1]).collect();
    assert_eq!(names, ["b", "c", "e", "h", "i", "n", "s", "t"], "{done:?}");
    assert_eq!(done["h"], "", "nothing is in hand");
    assert_eq!(done["s"], standing().to_string());
}

/// Beyond 64 bytes Redis keeps a hash in a form that takes three times the memory.
#[tokio::test]
async fn no_value_is_too_long_for_the_compact_form() {
    let ledger = redis_ledger();
    let mut first = claim();
    (first.traceparent, first.copy.attempt, first.copy.crashes) =
        (Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()), 12, 3);
    let mut second = resend(&first);
    second.identity.provider_event_id = Some("event-2".to_owned());
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(Some(standing()))).await.unwrap());
    for mark in [retrying(13), Mark::Parked(ParkReason::RetriesExhausted), Mark::Released] {
        let mut copy = redelivery(&second);
        copy.copy.replay = Some(Replay::Normal);
        let grant = granted(ledger.claim(&copy).await.unwrap());
        assert!(ledger.mark(&grant.event, mark).await.unwrap());
        let longest = fields(&first).await.into_iter().max_by_key(|(_, value)| value.len()).unwrap();
        assert!(longest.1.len() <= 64, "{longest:?}");
    }
    let encoding: String = ask(&["OBJECT", "ENCODING", &key(&first)]).await;
    assert_eq!(encoding, "listpack");
}

/// It costs nothing where nothing is repeated.
#[tokio::test]
async fn a_repeat_leaves_its_receipt_and_the_first_receipt_leaves_none() {
    let ledger = redis_ledger();
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.mark(&grant.event, Mark::Published(Some(standing()))).await.unwrap());
    assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Done);
    let before = fields(&first).await;
    assert!(before.keys().all(|field| !field.starts_with('r')), "{before:?}");
    let again = resend(&first);
    assert_eq!(ledger.claim(&again).await.unwrap(), Claim::Done);
    let (digits, name) = (again.copy.receipt.digits().to_string(), &grant.event.name);
    let mut expected = before;
    expected.insert(format!("r{}", &digits[30..]), format!("{}{name}", &digits[..30]));
    assert_eq!(fields(&first).await, expected);
}

/// A delivery that never expired would stay for ever.
#[tokio::test]
async fn a_delivery_that_is_lost_between_claim_and_mark_is_kept_again_with_its_ttl() {
    let ledger = redis_ledger();
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    let _: u32 = ask(&["DEL", &key(&first)]).await;
    assert!(ledger.mark(&grant.event, Mark::Published(Some(standing()))).await.unwrap());
    let left: i64 = ask(&["PTTL", &key(&first)]).await;
    let left = Duration::from_millis(left.try_into().expect("it expires"));
    assert!(left > first.ttl / 2 && left <= first.ttl, "{left:?}");
}

/// How long it is kept is said only now and then, and so is never less than it should be.
#[tokio::test]
async fn a_delivery_is_kept_for_its_time_after_its_last_claim() {
    let ledger = redis_ledger();
    let mut first = claim();
    first.ttl = Duration::from_secs(2);
    let (mut claims, began) = (0, Instant::now());
    while began.elapsed() < Duration::from_millis(1500) {
        claims += 1;
        let mut next = resend(&first);
        next.identity.provider_event_id = Some(format!("event {claims}"));
        let asked = Instant::now();
        let grant = granted(ledger.claim(&next).await.unwrap());
        assert!(ledger.mark(&grant.event, Mark::Published(None)).await.unwrap());
        let left: u64 = ask(&["PTTL", &key(&first)]).await;
        let kept = Duration::from_millis(left + 1) + asked.elapsed();
        assert!(kept >= first.ttl && left <= 2_250, "{left} and {:?}", asked.elapsed());
    }
    assert!(claims > 10, "{claims}");
}

fn standing() -> DeliveryState {
    let zeros = "A".repeat(24);
    format!("1739365639201000,c,1739365639201,F,0,{zeros}").parse().expect("a state")
}
