//! The life of a connection and of the accept loop.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::support::{DEADLINE, Setup, signed, start, within};

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_connection_is_used_again_after_every_kind_of_answer() {
    let (server, publisher) = start(Setup { provider: "kept", ..Setup::default() }).await;
    let mut client = server.connect().await;
    for (path, code) in [("/webhooks/kept", 200), ("/nowhere", 404), ("/webhooks/kept/stranger", 404)] {
        // The body comes in a second packet, after the answer of a request that does not want it.
        let request = signed(path, "", b"{}");
        let (head, body) = request.split_at(request.len() - 2);
        client.send(head).await;
        if code == 200 {
            client.send(body).await;
        }
        assert_eq!(client.reply().await.code, code);
        if code != 200 {
            client.send(body).await;
        }
    }
    client.send(signed("/webhooks/kept", "", b"{}")).await;
    assert_eq!(client.reply().await.code, 200);
    assert_eq!(publisher.taken().len(), 2);
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_takes_nothing_new() {
    let (server, publisher) = start(Setup { provider: "drained", held: true, ..Setup::default() }).await;
    let mut untouched = server.connect().await;
    let mut idle = server.connect().await;
    idle.send("GET / HTTP/1.1\r\nhost: m\r\n\r\n").await;
    assert_eq!(idle.reply().await.code, 404);
    let mut busy = server.connect().await;
    busy.send(signed("/webhooks/drained", "", b"{}")).await;
    publisher.has_taken(1).await;

    server.stop.cancel();
    idle.sees_the_end().await;
    untouched.sees_the_end().await;
    within(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    assert!(!server.done.is_finished());

    publisher.release(1);
    let reply = busy.reply().await;
    assert_eq!((reply.code, reply.header("connection")), (200, Some("close")));
    busy.sees_the_end().await;
    within(server.done).await.unwrap();
}

#[tokio::test]
async fn stopping_with_a_delay_serves_on_and_closes_each_connection_after_its_answer() {
    let mut setup = Setup { provider: "delayed", ..Setup::default() };
    setup.stopping.delay = DEADLINE;
    let (server, publisher) = start(setup).await;
    let mut before = server.connect().await;
    before.send(signed("/webhooks/delayed", "", b"{}")).await;
    assert_eq!(before.reply().await.header("connection"), None);

    server.stop.cancel();
    before.hears_nothing().await;
    let mut after = server.connect().await;
    for client in [&mut before, &mut after] {
        client.send(signed("/webhooks/delayed", "", b"{}")).await;
        let reply = client.reply().await;
        assert_eq!((reply.code, reply.header("connection")), (200, Some("close")));
        client.sees_the_end().await;
    }
    assert_eq!(publisher.taken().len(), 3);
}

#[tokio::test]
async fn stopping_with_a_delay_ends_when_it_is_over() {
    let mut setup = Setup { provider: "delay-over", ..Setup::default() };
    setup.stopping.delay = SHORT;
    let (server, _publisher) = start(setup).await;
    let mut idle = server.connect().await;
    server.stop.cancel();
    within(server.done).await.unwrap();
    idle.sees_the_end().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let mut setup = Setup { provider: "stuck", held: true, ..Setup::default() };
    setup.stopping.drain = SHORT;
    let (server, publisher) = start(setup).await;
    let mut client = server.connect().await;
    client.send(signed("/webhooks/stuck", "", b"{}")).await;
    publisher.has_taken(1).await;
    server.stop.cancel();
    within(server.done).await.unwrap();
    client.sees_the_end().await;
}

#[tokio::test]
async fn while_every_connection_stores_a_webhook_further_ones_wait_their_turn() {
    let mut setup = Setup { provider: "crowd", held: true, ..Setup::default() };
    setup.limits.max_connections = 1;
    let (server, publisher) = start(setup).await;
    let mut first = server.connect().await;
    first.send(signed("/webhooks/crowd", "", b"{}")).await;
    publisher.has_taken(1).await;

    let mut second = server.connect().await;
    second.send(signed("/webhooks/crowd", "", b"{}")).await;
    second.hears_nothing().await;
    publisher.release(2);
    assert_eq!(first.reply().await.code, 200);
    assert_eq!(second.reply().await.code, 200);
}

#[tokio::test]
async fn an_old_connection_ends_between_two_requests() {
    let mut setup = Setup { provider: "aged", held: true, ..Setup::default() };
    setup.limits.max_connection_age = SHORT;
    let (server, publisher) = start(setup).await;
    let mut client = server.connect().await;
    client.send(signed("/webhooks/aged", "", b"{}")).await;
    publisher.has_taken(1).await;
    client.hears_nothing().await;
    publisher.release(1);
    assert_eq!(client.reply().await.code, 200);
    client.sees_the_end().await;
}

#[tokio::test]
async fn what_is_not_http_or_has_endless_headers_ends_its_connection_only() {
    let (server, publisher) = start(Setup { provider: "noise", ..Setup::default() }).await;
    assert_eq!(server.exchange("\u{16}\u{3}\u{1} not http\r\n\r\n").await.code, 400);
    let padding = format!("x-padding: {}\r\n", "p".repeat(20_000));
    assert_eq!(server.exchange(signed("/webhooks/noise", &padding, b"{}")).await.code, 431);
    assert_eq!(publisher.taken(), []);
    assert_eq!(server.exchange(signed("/webhooks/noise", "", b"{}")).await.code, 200);
}
