//! A URL that says another kind of Redis than there is; and one that changes to another kind.

use std::sync::Arc;
use std::time::Duration;

use milepost::adapters::live_url::LiveUrl;
use milepost::adapters::redis::{LedgerReader, RedisConnection, RedisLedger, RedisSettings};
use milepost::domain::claim::{Claim, Mark};
use milepost::ports::Ledger as _;
use serde_json::Value;
use tokio::task::block_in_place;

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, claim};
use crate::support::process::Program;
use crate::support::redis_group::RedisGroup;
use crate::support::servers::{Vhost, redis_url};

/// What a worker and the doctor say of it.
async fn is_named(vhost: &Vhost, url: &str, words: &str) {
    let check = Program::milepost("topology check --json").env("MILEPOST_AMQP_URL", &vhost.amqp_url);
    let (code, stdout, stderr) = check.env("MILEPOST_REDIS_URL", url).output().await;
    let report: Value = serde_json::from_str(stdout.first().expect("a line")).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let redis = findings.iter().find(|finding| finding["check"] == "redis").expect("it is looked at");
    assert_eq!((code, redis["level"].as_str()), (Some(1), Some("fail")), "{redis} {stderr:?}");
    assert!(redis["says"].as_str().is_some_and(|says| says.contains(words)), "{redis}");

    let worker = Program::worker(TELYPORT, &vhost.amqp_url).env("MILEPOST_REDIS_URL", url).spawn();
    let line = worker.says(words).await;
    assert_eq!(line["level"], "ERROR", "{line}");
    assert_eq!(worker.ask("/readyz").await.0, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_of_another_kind_than_the_url_says_is_refused_by_name() {
    let vhost = Vhost::new().await;
    let group = block_in_place(|| RedisGroup::cluster("mistaken"));
    is_named(&vhost, &group.servers["r1"], "is a node of a Redis Cluster").await;
    let shared = redis_url();
    let (_, host) = shared.split_once("://").expect("a URL");
    let host = host.trim_end_matches('/');
    is_named(&vhost, &format!("redis-cluster://{host}"), "says that there is a Cluster").await;
    is_named(&vhost, &format!("redis-sentinel://{host}"), "says that Sentinels name the primary").await;

    // A URL that changes leads from one kind to another, and what is under way goes on.
    let (sender, url) = LiveUrl::new(&shared);
    let settings = RedisSettings { url, response_timeout: Duration::from_secs(2) };
    let ledger = Arc::new(RedisLedger::new(RedisConnection::new(&settings).expect("a URL")));
    let following = Arc::clone(&ledger);
    tokio::spawn(async move { following.follow().await });
    let Claim::Granted(grant) = ledger.claim(&claim()).await.expect("answers") else { panic!("not granted") };
    assert!(ledger.mark(&grant.event, Mark::Published(None)).await.expect("answers"));
    sender.send(group.url.as_str().into()).expect("it is followed");
    let settings = RedisSettings { url: group.url.as_str().into(), ..settings };
    let inspector = LedgerReader::new(RedisConnection::new(&settings).expect("a URL"));
    eventually("claims are the Cluster's", || async {
        let request = claim();
        ledger.claim(&request).await.expect("answers");
        let found = inspector.deliveries(&request.delivery.delivery_id).await.expect("answers");
        (!found.is_empty()).then_some(())
    })
    .await;
}
