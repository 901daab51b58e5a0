//! How long an idle connection is kept open, and how long its next request may take to begin.

use std::time::Duration;

use crate::support::{Client, Server, Setup, metric, signed, start};

const SHORT: Duration = Duration::from_millis(100);

/// A connection that has had an answer.
async fn used(server: &Server, path: &str) -> Client {
    let mut client = server.connect().await;
    client.send(signed(path, "", b"{}")).await;
    assert_eq!(client.reply().await.code, 200);
    client
}

/// A proxy keeps its connections to us for a minute or more, and sends when it likes.
#[tokio::test]
async fn an_idle_connection_outlives_the_header_timeout() {
    let mut setup = Setup { provider: "patient", ..Setup::default() };
    setup.limits.header_timeout = SHORT;
    let (server, _publisher) = start(setup).await;
    let mut client = used(&server, "/webhooks/patient").await;
    for _ in 0..3 {
        client.hears_nothing().await;
        client.send(signed("/webhooks/patient", "", b"{}")).await;
        assert_eq!(client.reply().await.code, 200);
    }
}

#[tokio::test]
async fn an_idle_connection_stays_open_after_a_refusal_with_a_late_body() {
    let mut setup = Setup { provider: "refused-late", ..Setup::default() };
    setup.limits.header_timeout = SHORT;
    let (server, _publisher) = start(setup).await;
    let mut client = server.connect().await;
    client.send("POST /nowhere HTTP/1.1\r\nhost: m\r\ncontent-length: 4\r\n\r\n").await;
    assert_eq!(client.reply().await.code, 404);
    client.send("\r\n\r\n").await;
    client.hears_nothing().await;
    client.send(signed("/webhooks/refused-late", "", b"{}")).await;
    assert_eq!(client.reply().await.code, 200);
}

#[tokio::test]
async fn an_idle_connection_ends_after_its_own_timeout() {
    let before = metric(r#"milepost_connections_ended_total{reason="idle"}"#).unwrap_or(0);
    let mut setup = Setup { provider: "idle", ..Setup::default() };
    setup.limits.idle_timeout = SHORT;
    let (server, _publisher) = start(setup).await;
    used(&server, "/webhooks/idle").await.sees_the_end().await;
    assert!(metric(r#"milepost_connections_ended_total{reason="idle"}"#) > Some(before));
}

#[tokio::test]
async fn the_next_request_of_a_connection_has_the_header_timeout_again() {
    let mut setup = Setup { provider: "half", ..Setup::default() };
    setup.limits.header_timeout = SHORT;
    let (server, _publisher) = start(setup).await;
    let mut client = used(&server, "/webhooks/half").await;
    client.hears_nothing().await;
    client.send("P").await;
    client.sees_the_end().await;
    // It may begin right behind the request before it, too.
    let mut client = server.connect().await;
    client.send([&signed("/webhooks/half", "", b"{}")[..], b"POST /"].concat()).await;
    assert_eq!(client.reply().await.code, 200);
    client.sees_the_end().await;
    assert!(metric(r#"milepost_connections_ended_total{reason="header_timeout"}"#) > Some(1));
}

/// An idle connection is not closed for its age: a proxy could be about to use it. The next answer says so.
#[tokio::test]
async fn an_old_connection_ends_with_its_next_answer() {
    let mut setup = Setup { provider: "old", ..Setup::default() };
    setup.limits.max_connection_age = SHORT;
    let (server, _publisher) = start(setup).await;
    let mut client = server.connect().await;
    client.hears_nothing().await;
    client.send(signed("/webhooks/old", "", b"{}")).await;
    let reply = client.reply().await;
    assert_eq!((reply.code, reply.header("connection")), (200, Some("close")));
    client.sees_the_end().await;
}
