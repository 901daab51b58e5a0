//! Senders that announce much, and send little: what has proved nothing takes nothing that another one needs.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::support::{
    Client, FakePublisher, Reply, Server, Setup, metric, signature, signed, start, unfinished, within,
};

/// Connections that have each sent a head and one byte of what they announced.
async fn slow(server: &Server, path: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = server.connect().await;
        client.send(unfinished(path, 1000, 1)).await;
        clients.push(client);
    }
    clients
}

fn rejected(provider: &str, reason: &str) -> u64 {
    metric(&format!(r#"milepost_webhooks_rejected_total{{provider="{provider}",reason="{reason}"}}"#))
        .unwrap_or(0)
}

/// Posts until the answer is `code`.
async fn until(server: &Server, path: &str, code: u16) {
    within(async { while server.exchange(signed(path, "", b"{}")).await.code != code {} }).await;
}

#[tokio::test]
async fn memory_is_counted_as_bytes_arrive_and_not_as_they_are_announced() {
    let mut setup = Setup { provider: "announcing", ..Setup::default() };
    setup.limits.max_bytes_in_flight = 1010;
    let (server, publisher) = start(setup).await;
    let _slow = slow(&server, "/webhooks/announcing", 8).await;
    let reply = server.exchange(signed("/webhooks/announcing", "", &[b'x'; 1000])).await;
    assert_eq!(reply.code, 200);
    assert_eq!(publisher.taken().len(), 1);
}

#[tokio::test]
async fn one_providers_senders_take_nothing_of_another_providers() {
    let mut setup = Setup { provider: "attacked", beside: Some("neighbour"), ..Setup::default() };
    setup.limits.max_requests_in_flight = 4;
    setup.limits.max_bytes_in_flight = 1000;
    let (server, _publisher) = start(setup).await;
    let _slow = slow(&server, "/webhooks/attacked", 20).await;
    for _ in 0..20 {
        let reply = server.exchange(signed("/webhooks/neighbour", "", &[b'x'; 1000])).await;
        assert_eq!(reply.code, 200);
    }
    assert_eq!(rejected("neighbour", "saturated"), 0);
}

/// The same for webhooks that are authentic, and wait for the broker.
#[tokio::test]
async fn one_providers_webhooks_take_nothing_of_another_providers() {
    let mut setup = Setup { provider: "loud", beside: Some("quiet"), held: true, ..Setup::default() };
    setup.limits.max_requests_in_flight = 1;
    let (server, publisher) = start(setup).await;
    let mut loud = server.connect().await;
    loud.send(signed("/webhooks/loud", "", b"{}")).await;
    publisher.has_taken(1).await;
    assert_eq!(server.exchange(signed("/webhooks/loud", "", b"{}")).await.code, 503);
    let mut quiet = server.connect().await;
    quiet.send(signed("/webhooks/quiet", "", b"{}")).await;
    publisher.has_taken(2).await;
    publisher.release(2);
    assert_eq!((loud.reply().await.code, quiet.reply().await.code), (200, 200));
}

#[tokio::test]
async fn a_slow_body_gives_way_to_the_next_request_of_its_provider() {
    let mut setup = Setup { provider: "crowded", ..Setup::default() };
    setup.limits.max_requests_in_flight = 2;
    let (server, publisher) = start(setup).await;
    let [mut oldest, mut other] = slow(&server, "/webhooks/crowded", 2).await.try_into().ok().expect("two");
    // Refused until a slow one is old enough to give way.
    until(&server, "/webhooks/crowded", 200).await;
    let reply = oldest.reply().await;
    assert_evicted(&reply);
    oldest.sees_the_end().await;
    assert_eq!(rejected("crowded", "evicted"), 1);
    // There is room again: the other one keeps its place.
    until(&server, "/webhooks/crowded", 200).await;
    other.hears_nothing().await;
    assert_eq!(rejected("crowded", "evicted"), 1);
    assert_eq!(publisher.taken().len(), 2);
}

/// The sender can retry: 503 with `Retry-After`.
fn assert_evicted(reply: &Reply) {
    assert_eq!((reply.code, reply.header("retry-after")), (503, Some("7")));
    assert_eq!(reply.header("connection"), Some("close"));
    reply.receipt();
}

#[tokio::test]
async fn a_large_slow_body_gives_way_to_the_bytes_of_another_one() {
    let mut setup = Setup { provider: "bulky", ..Setup::default() };
    setup.limits.max_bytes_in_flight = 1500;
    let (server, _publisher) = start(setup).await;
    let mut large = server.connect().await;
    large.send(unfinished("/webhooks/bulky", 1000, 999)).await;
    let mut code = 503;
    within(async {
        while code != 200 {
            code = server.exchange(signed("/webhooks/bulky", "", &[b'x'; 900])).await.code;
        }
    })
    .await;
    assert_evicted(&large.reply().await);
    large.sees_the_end().await;
    // What it held is given back once, and not twice.
    until(&server, "/webhooks/bulky", 200).await;
    let mut next = server.connect().await;
    next.send(unfinished("/webhooks/bulky", 1000, 999)).await;
    assert_eq!(server.exchange(signed("/webhooks/bulky", "", &[b'x'; 502])).await.code, 503);
}

#[tokio::test]
async fn a_webhook_that_is_being_stored_gives_way_to_nothing() {
    let mut setup = Setup { provider: "kept-place", held: true, ..Setup::default() };
    setup.limits.max_requests_in_flight = 1;
    let (server, publisher) = start(setup).await;
    let mut first = server.connect().await;
    first.send(signed("/webhooks/kept-place", "", b"{}")).await;
    publisher.has_taken(1).await;
    first.hears_nothing().await;
    first.hears_nothing().await;
    assert_eq!(server.exchange(signed("/webhooks/kept-place", "", b"{}")).await.code, 503);
    assert_eq!(rejected("kept-place", "saturated"), 1);
    publisher.release(1);
    assert_eq!(first.reply().await.code, 200);
}

/// A body that trickles, `bytes` at a time with a pause after each, until it is whole or refused.
async fn trickled(path: &str, server: &Server, bytes: usize, pause: Duration) -> (u16, Duration) {
    let body = vec![b'x'; 1000];
    let begun = Instant::now();
    let mut client = server.connect().await;
    client
        .send(format!("POST {path} HTTP/1.1\r\nhost: m\r\ncontent-length: 1000\r\n{}\r\n", signature(&body)))
        .await;
    for piece in body.chunks(bytes) {
        client.send(piece).await;
        // `readable` and not `reply`: what the pause breaks off must not take a part of the answer with it.
        if timeout(pause, client.0.readable()).await.is_ok() {
            break;
        }
    }
    (client.reply().await.code, begun.elapsed())
}

#[tokio::test]
async fn a_body_must_keep_its_least_rate() {
    let mut setup = Setup { provider: "rated", ..Setup::default() };
    setup.limits.min_body_rate = NonZeroU32::new(100);
    let (server, publisher): (_, std::sync::Arc<FakePublisher>) = start(setup).await;
    let path = "/webhooks/rated";
    // 20 bytes a second, and 250, of which the whole takes 4 s: longer than the grace.
    let (slow, steady) = tokio::join!(
        trickled(path, &server, 10, Duration::from_millis(500)),
        trickled(path, &server, 50, Duration::from_millis(200)),
    );
    assert_eq!((slow.0, steady.0), (408, 200));
    assert!(slow.1 >= Duration::from_secs(2) && slow.1 < Duration::from_secs(10), "{:?}", slow.1);
    assert_eq!((publisher.taken().len(), rejected("rated", "too_slow")), (1, 1));
}
