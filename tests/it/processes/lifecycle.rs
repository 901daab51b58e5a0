//! From start to end: ready when it can work, and drained on SIGTERM.

use milepost::domain::authentication::AuthScheme;
use milepost::domain::samples::{SampleSource as _, SignedWebhook, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, account};
use crate::support::fleet::telyport_body;
use crate::support::process::{Process, Program, SECRET};
use crate::support::proxy::Proxy;
use crate::support::servers::{Vhost, client, depth, redis_url};

fn webhook(delivery: &str) -> SignedWebhook {
    let secret = Secret::new(SECRET.as_bytes()).expect("not empty");
    let signing = Signing { scheme: AuthScheme::Hmac, header: None, secret: &secret };
    TELYPORT_PROVIDER.sign(telyport_body(delivery, "e", "NEW").into(), &signing)
}

async fn post(receiver: &Process, webhook: SignedWebhook) -> reqwest::Response {
    let url = format!("http://{}/webhooks/telyport/{}", receiver.webhooks().await, account());
    let mut request = client().post(url);
    for (name, value) in webhook.headers {
        request = request.header(name, value);
    }
    request.body(webhook.body).send().await.expect("the receiver answers")
}

#[tokio::test]
async fn a_receiver_without_a_broker_listens_and_becomes_ready_when_there_is_one() {
    let vhost = Vhost::new().await;
    let mut broker = Proxy::to(&vhost.amqp_url);
    let mut receiver = Program::receiver(&broker.url()).spawn();
    let url = receiver.webhooks().await;
    receiver.stderr.with("cannot publish yet").await;
    assert_eq!(receiver.ask("/livez").await, (200, "ok".to_owned()));
    let not_ready = r#"{"ready":false,"conditions":{"broker":false,"draining":false}}"#;
    assert_eq!(receiver.ask("/readyz").await, (503, not_ready.to_owned()));
    let answer = post(&receiver, webhook("D1")).await;
    assert_eq!(answer.status().as_u16(), 503);
    assert_eq!(answer.headers()["retry-after"], "5");
    assert_eq!(answer.headers()["milepost-receipt"].len(), 36);

    broker.open();
    receiver.ready().await;
    assert_eq!(receiver.webhooks().await, url, "it is the same process");
    assert_eq!(post(&receiver, webhook("D1")).await.status().as_u16(), 200);
    assert_eq!(depth(&vhost.channel().await, "milepost.webhooks.telyport").await, 1);
    receiver.signal("TERM");
    assert_eq!(receiver.exit().await, Some(0));
}

/// A worker that holds messages it cannot finish, because its Redis is away.
async fn stuck_worker(vhost: &Vhost, redis: &mut Proxy, drain_deadline_ms: &str) -> Process {
    let receiver = Program::receiver(&vhost.amqp_url).spawn();
    receiver.ready().await;
    redis.open();
    let worker = Program::worker(TELYPORT, &vhost.amqp_url)
        .env("MILEPOST_REDIS_URL", &redis.url())
        .env("MILEPOST__WORKER__DRAIN_DEADLINE_MS", drain_deadline_ms)
        .spawn();
    worker.ready().await;
    redis.cut();
    for number in 0..3 {
        assert_eq!(post(&receiver, webhook(&format!("D{number}"))).await.status().as_u16(), 200);
    }
    eventually("the worker holds all three", || async {
        (worker.metric("milepost_paused", &[r#"reason="redis""#]).await == 3.0).then_some(())
    })
    .await;
    assert_eq!(waiting(vhost).await, 0);
    worker
}

async fn waiting(vhost: &Vhost) -> u32 {
    depth(&vhost.channel().await, "milepost.webhooks.telyport").await
}

#[tokio::test]
async fn a_drain_gives_back_what_it_cannot_finish_within_its_deadline() {
    let vhost = Vhost::new().await;
    let mut redis = Proxy::to(&redis_url());
    let mut worker = stuck_worker(&vhost, &mut redis, "2000").await;
    worker.signal("TERM");
    let (code, report) = eventually("it says that it drains", || async {
        let (code, report) = worker.ask("/readyz").await;
        report.contains(r#""draining":true"#).then_some((code, report))
    })
    .await;
    assert_eq!(code, 503, "{report}");
    let began = std::time::Instant::now();
    assert_eq!(worker.exit().await, Some(0));
    assert!(began.elapsed().as_secs() < 10, "it took {:?}", began.elapsed());
    eventually("the messages are back", || async { (waiting(&vhost).await == 3).then_some(()) }).await;
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_at_once() {
    let vhost = Vhost::new().await;
    let mut redis = Proxy::to(&redis_url());
    let mut worker = stuck_worker(&vhost, &mut redis, "600000").await;
    worker.signal("TERM");
    worker.stderr.with("draining").await;
    worker.signal("TERM");
    let began = std::time::Instant::now();
    assert_eq!(worker.exit().await, Some(1));
    assert!(began.elapsed().as_secs() < 10, "it took {:?}", began.elapsed());
    eventually("the messages are back", || async { (waiting(&vhost).await == 3).then_some(()) }).await;
}

#[tokio::test]
async fn a_receiver_that_only_verifies_names_what_is_missing_and_declares_nothing() {
    let vhost = Vhost::new().await;
    let mut receiver = Program::receiver(&vhost.amqp_url).env("MILEPOST__TOPOLOGY__MODE", "verify").spawn();
    let line = receiver.stderr.with("cannot publish yet").await;
    assert!(line.contains("exchange milepost.unrouted: "), "{line}");
    assert_eq!(receiver.ask("/readyz").await.0, 503);
    assert_eq!(vhost.list("queues").await, serde_json::json!([]));
    let exchanges = vhost.list("exchanges").await.to_string();
    assert!(!exchanges.contains("milepost"), "{exchanges}");

    let apply = Program::milepost("topology apply").env("MILEPOST_AMQP_URL", &vhost.amqp_url);
    let (code, _, stderr) = apply.output().await;
    assert_eq!(code, Some(0), "{stderr:?}");
    receiver.ready().await;
    receiver.signal("TERM");
    assert_eq!(receiver.exit().await, Some(0));
}
