//! What is not confirmed takes no memory for longer than its connection lasts.

use milepost::providers::TELYPORT;
use tokio::task::JoinSet;

use crate::support::eventually;
use crate::support::fixtures::account;
use crate::support::process::{Process, Program};
use crate::support::proxy::Proxy;
use crate::support::sender::post;
use crate::support::servers::{Vhost, client};

const WEBHOOKS: usize = 64;
const BODY_BYTES: usize = 200 * 1024;
/// A round's bodies have 12.5 MiB, all three 37.5 MiB; what the allocator keeps is within this.
const NOISE_KIB: u64 = 16 * 1024;

/// Sends them all at once; the answers' codes.
async fn round(receiver: &Process) -> Vec<u16> {
    let (http, to) = (client(), receiver.webhooks().await);
    let mut posts = JoinSet::new();
    for _ in 0..WEBHOOKS {
        let (http, to, account) = (http.clone(), to.clone(), account());
        let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(BODY_BYTES));
        posts.spawn(async move {
            let answer = post(&http, &to, &TELYPORT, &account, body).await;
            answer.expect("the receiver answers").status().as_u16()
        });
    }
    posts.join_all().await
}

#[tokio::test]
async fn the_bodies_of_abandoned_publishes_are_freed() {
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let receiver = Program::receiver(&proxy.url())
        .env("MILEPOST__AMQP__CONFIRM_TIMEOUT_MS", "2000")
        .env("MILEPOST__HTTP__MAX_BYTES_IN_FLIGHT", "67108864")
        .spawn();
    receiver.ready().await;
    // What the allocator keeps of a round is in what was there before.
    assert_eq!(round(&receiver).await, [200; WEBHOOKS]);
    let before = receiver.memory_kib();
    for number in 1..=3 {
        proxy.silence();
        assert_eq!(round(&receiver).await, [503; WEBHOOKS]);
        receiver.measures(&format!(r#"milepost_broker_reconnects_total{{role="publish"}} {number}"#)).await;
        receiver.measures(r#"milepost_broker_connected{role="publish"} 1"#).await;
    }
    eventually("the bodies are freed", || async {
        (receiver.memory_kib() < before + NOISE_KIB).then_some(())
    })
    .await;
}
