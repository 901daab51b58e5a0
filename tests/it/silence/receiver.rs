//! What a receiver answers while its broker is away or silent: in the provider's own words, at once.

use std::time::{Duration, Instant};

use milepost::domain::samples::SampleSource;
use milepost::providers::{DELIVERECT, HUBRISE};

use crate::support::eventually;
use crate::support::fixtures::account;
use crate::support::process::{Process, Program};
use crate::support::proxy::Proxy;
use crate::support::sender::post;
use crate::support::servers::{Vhost, client};

const AWAY: &str = r#"milepost_broker_connected{role="publish"} 0"#;
const BACK: &str = r#"milepost_broker_connected{role="publish"} 1"#;

/// Posts a webhook of `provider`: it gets that provider's 503.
async fn is_refused(receiver: &Process, provider: &dyn SampleSource) {
    let answer = post(&client(), &receiver.webhooks().await, provider, &account(), "{}").await;
    let answer = answer.expect("the receiver answers");
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    assert_eq!(answer.text().await.expect("a body"), "cannot store it now, send it again\n");
}

/// The same, and it does not wait for a confirm that will not come.
async fn is_refused_at_once(receiver: &Process, provider: &dyn SampleSource) {
    let began = Instant::now();
    is_refused(receiver, provider).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{}: {:?}", provider.id(), began.elapsed());
}

#[tokio::test]
async fn a_receiver_that_was_ready_once_stays_so_and_answers_503_at_once() {
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let receiver = Program::receiver(&proxy.url())
        .env("MILEPOST__AMQP__CONNECT_TIMEOUT_MS", "500")
        .env("MILEPOST__AMQP__CONFIRM_TIMEOUT_MS", "3000")
        .spawn();
    receiver.ready().await;
    assert_eq!(receiver.ask("/readyz").await.0, 200);
    proxy.cut();
    receiver.measures(AWAY).await;
    let (code, report) = receiver.ask("/readyz").await;
    assert_eq!((code, report.contains(r#""broker":true"#)), (200, true), "{report}");
    let runs = || async {
        let clock = "milepost_refusing_since_timestamp_seconds";
        (receiver.metric(clock, &[r#"provider="telyport""#]).await > 0.0).then_some(())
    };
    eventually("the loss clock runs before anything was refused", runs).await;
    is_refused_at_once(&receiver, &HUBRISE).await;
    is_refused_at_once(&receiver, &DELIVERECT).await;

    proxy.open();
    receiver.measures(BACK).await;
    proxy.silence();
    // It has to be found out once.
    is_refused(&receiver, &HUBRISE).await;
    is_refused_at_once(&receiver, &HUBRISE).await;
    is_refused_at_once(&receiver, &DELIVERECT).await;
    let (code, report) = receiver.ask("/readyz").await;
    assert_eq!(code, 200, "{report}");
}
