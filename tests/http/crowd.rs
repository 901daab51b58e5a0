//! More connections than there may be: which of them gives way.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::support::{Client, Server, Setup, metric, signed, start, unfinished, within};

/// Longer than a connection counts as young.
const GROWN: Duration = Duration::from_millis(150);

async fn used(server: &Server, path: &str) -> Client {
    let mut client = server.connect().await;
    client.send(signed(path, "", b"{}")).await;
    assert_eq!(client.reply().await.code, 200);
    client
}

/// A connection from another address of this machine.
async fn connect_from(server: &Server, last: u8) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    Client(within(socket.connect(server.address)).await.unwrap())
}

/// 512 silent connections once stalled all other senders for the header timeout.
#[tokio::test]
async fn silent_connections_do_not_block_others() {
    let mut setup = Setup { provider: "silenced", ..Setup::default() };
    setup.limits.max_connections = 8;
    let (server, _publisher) = start(setup).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(server.connect().await);
    }
    for _ in 0..20 {
        assert_eq!(server.exchange(signed("/webhooks/silenced", "", b"{}")).await.code, 200);
    }
    assert!(metric(r#"milepost_connections_ended_total{reason="evicted"}"#) >= Some(33));
}

#[tokio::test]
async fn unproven_connections_are_evicted_first_then_the_longest_idle() {
    let mut setup = Setup { provider: "ranked", ..Setup::default() };
    setup.limits.max_connections = 5;
    let (server, _publisher) = start(setup).await;
    // Two that have proved something and are idle, and three that have not: silent, in a body, refused.
    let mut first = used(&server, "/webhooks/ranked").await;
    let mut second = used(&server, "/webhooks/ranked").await;
    let mut silent = server.connect().await;
    silent.send("POST /webhooks/ranked HTTP").await;
    tokio::time::sleep(GROWN).await;
    let mut in_body = server.connect().await;
    in_body.send(unfinished("/webhooks/ranked", 1000, 1)).await;
    tokio::time::sleep(GROWN).await;
    let mut refused = server.connect().await;
    refused.send(signed("/webhooks/ranked/stranger", "", b"{}")).await;
    assert_eq!(refused.reply().await.code, 404);
    tokio::time::sleep(GROWN).await;

    let mut newcomers = Vec::new();
    for loser in [&mut silent, &mut in_body, &mut refused] {
        newcomers.push(used(&server, "/webhooks/ranked").await);
        loser.sees_the_end().await;
    }
    // Only idle ones are left that have proved something: the one that is idle for longest gives way.
    newcomers.push(used(&server, "/webhooks/ranked").await);
    first.sees_the_end().await;
    second.send(signed("/webhooks/ranked", "", b"{}")).await;
    assert_eq!(second.reply().await.code, 200);
    for mut client in newcomers {
        client.send(signed("/webhooks/ranked", "", b"{}")).await;
        assert_eq!(client.reply().await.code, 200);
    }
}

/// Where no proxy is before us, an address is a sender.
#[tokio::test]
async fn one_peer_has_its_own_connections_give_way() {
    let mut setup = Setup { provider: "peers", ..Setup::default() };
    setup.limits.max_connections_per_peer = Some(2);
    let (server, _publisher) = start(setup).await;
    let mut other = connect_from(&server, 2).await;
    let mut first = server.connect().await;
    tokio::time::sleep(GROWN).await;
    let _second = server.connect().await;
    assert_eq!(server.exchange(signed("/webhooks/peers", "", b"{}")).await.code, 200);
    first.sees_the_end().await;
    other.send(signed("/webhooks/peers", "", b"{}")).await;
    assert_eq!(other.reply().await.code, 200);
}

#[tokio::test]
async fn a_peer_that_stores_something_with_each_of_its_connections_gets_no_more() {
    let mut setup = Setup { provider: "busy-peer", held: true, ..Setup::default() };
    setup.limits.max_connections_per_peer = Some(1);
    let (server, publisher) = start(setup).await;
    let mut first = server.connect().await;
    first.send(signed("/webhooks/busy-peer", "", b"{}")).await;
    publisher.has_taken(1).await;
    server.connect().await.sees_the_end().await;
    let mut other = connect_from(&server, 3).await;
    other.send(signed("/webhooks/busy-peer", "", b"{}")).await;
    publisher.has_taken(2).await;
    publisher.release(2);
    assert_eq!((first.reply().await.code, other.reply().await.code), (200, 200));
    assert!(metric(r#"milepost_connections_ended_total{reason="peer_limit"}"#) >= Some(1));
}
