//! What is kept in Redis: values of older versions, the state and its TTL, and the scripts themselves.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, FromRedisValue, cmd};
use milepost::domain::state::DeliveryState;
use milepost::ports::{Claim, EventRef, Grant, Ledger as _, Settlement};

use crate::support::fixtures::{claim, redelivery, retrying};
use crate::support::servers::{redis_ledger, redis_url};

async fn connection() -> MultiplexedConnection {
    let client = Client::open(redis_url()).expect("a Redis URL");
    client.get_multiplexed_async_connection().await.expect("Redis answers")
}

pub(super) async fn ask<T: FromRedisValue>(words: &[&str]) -> T {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]).query_async(&mut connection().await).await.expect("an answer")
}

pub(super) fn granted(claim: Claim) -> Grant {
    match claim {
        Claim::Granted(grant) => *grant,
        other => panic!("not granted: {other:?}"),
    }
}

fn standing() -> DeliveryState {
    format!(",1000,assigned,0,{}", "0".repeat(48)).parse().expect("a state")
}

/// Cuts an event's value down to the fields that an older version wrote, and puts other words in it.
async fn older(event: &EventRef, fields: usize, changes: &[(usize, &str)]) {
    let value: String = ask(&["GET", &event.key]).await;
    let mut parts: Vec<_> = value.split('|').take(fields).collect();
    for (at, text) in changes {
        parts[*at] = text;
    }
    let () = ask(&["SET", &event.key, &parts.join("|")]).await;
}

#[tokio::test]
async fn a_ledger_gives_redis_a_script_that_it_forgot() {
    let ledger = redis_ledger();
    let grant = granted(ledger.claim(&claim()).await.unwrap());
    // Other tests may give it a script at once: then this shows nothing, but never fails.
    let () = ask(&["SCRIPT", "FLUSH"]).await;
    granted(ledger.claim(&claim()).await.unwrap());
    let () = ask(&["SCRIPT", "FLUSH"]).await;
    assert!(ledger.settle(&grant.event, Settlement::Done(None)).await.unwrap());
}

/// Versions before wrote ten fields, twelve, thirteen and then fourteen.
#[tokio::test]
async fn a_claim_goes_on_from_a_value_of_an_older_version() {
    for fields in [10, 12, 13, 14] {
        let ledger = redis_ledger();
        let first = claim();
        let grant = granted(ledger.claim(&first).await.unwrap());
        // An attempt that failed twice, crashed once and whose lease is over.
        older(&grant.event, fields, &[(1, "2"), (2, "1"), (3, "1")]).await;
        let again = granted(ledger.claim(&redelivery(&first)).await.unwrap());
        assert_eq!((again.attempt, again.crashes, &again.origin), (2, 2, &first.origin), "{fields}");
        assert!(!again.place.overtaken);
        assert!(ledger.settle(&again.event, Settlement::Done(None)).await.unwrap());
        assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Done);
    }
}

#[tokio::test]
async fn a_settlement_goes_on_from_a_value_of_an_older_version() {
    for fields in [10, 12, 13, 14] {
        let ledger = redis_ledger();
        let first = claim();
        let grant = granted(ledger.claim(&first).await.unwrap());
        older(&grant.event, fields, &[]).await;
        assert!(ledger.settle(&grant.event, retrying(3)).await.unwrap(), "{fields}");
        let value: String = ask(&["GET", &grant.event.key]).await;
        let parts: Vec<_> = value.split('|').collect();
        let receipt = first.origin.receipt.to_string();
        assert_eq!((parts.len(), parts[0], parts[1], parts[5]), (14, "R", "3", receipt.as_str()), "{value}");
        assert_eq!((parts[8], parts[12]), (receipt.as_str(), "publish_refused"), "{value}");
        assert_eq!(ledger.claim(&redelivery(&first)).await.unwrap(), Claim::Stale);
    }
}

/// A state that never expired would stay for ever.
#[tokio::test]
async fn a_state_that_is_lost_between_claim_and_settlement_comes_back_with_its_ttl() {
    let ledger = redis_ledger();
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    let state = &grant.event.state;
    let _: u32 = ask(&["DEL", &state.key]).await;
    assert!(ledger.settle(&grant.event, Settlement::Done(Some(standing()))).await.unwrap());
    let left: i64 = ask(&["PTTL", &state.key]).await;
    let left = Duration::from_millis(left.try_into().expect("it expires"));
    assert!(left > state.ttl / 2 && left <= state.ttl, "{left:?}");
}

/// A claim of an event that waited long keeps the state as the first claim did: its update is yet to be published.
#[tokio::test]
async fn every_claim_keeps_the_state_alive() {
    let ledger = redis_ledger();
    let first = claim();
    let grant = granted(ledger.claim(&first).await.unwrap());
    assert!(ledger.settle(&grant.event, retrying(0)).await.unwrap());
    let state = &grant.event.state;
    let _: u32 = ask(&["PEXPIRE", &state.key, "60000"]).await;
    granted(ledger.claim(&redelivery(&first)).await.unwrap());
    let left: i64 = ask(&["PTTL", &state.key]).await;
    assert!(left > 60_000, "{left}");
}
