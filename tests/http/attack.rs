//! An unauthenticated sender with 1,000 slow connections and 100 new ones a second costs the other providers no refusal.
//!
//! `make attack` measures what it costs in time.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use milepost::config::{Sources, load};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::support::{Client, Server, Setup, metric, signed, start, unfinished, within};

const SLOW: usize = 1_000;
const NEW_A_SECOND: u32 = 100;
/// Others' webhooks: so many senders, each on a connection of its own that it keeps, and as many that connect each time.
const SENDERS: usize = 8;
const EACH: usize = 25;
const PAUSE: Duration = Duration::from_millis(80);

/// Both ends of each connection are this process's, so that it needs more open files than it may be allowed: the scene
/// plays in a process of its own.
#[test]
fn slow_senders_to_one_provider_cost_the_others_no_refusal() {
    let binary = std::env::current_exe().unwrap();
    let scene = "ulimit -n 8192 || ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" --exact attack::scene --ignored";
    let played = Command::new("sh").args(["-c", scene]).arg(binary).status();
    assert!(played.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "started by the test above, with enough open files"]
async fn scene() {
    let defaults = load(&Sources::default(), &[]).unwrap().config.http.limits;
    let mut setup =
        Setup { provider: "attacked", beside: Some("spared"), limits: defaults, ..Setup::default() };
    // Fewer than the attacker has.
    setup.limits.max_connections = 512;
    let (server, _publisher) = start(setup).await;
    let server = Arc::new(server);

    let attacker = tokio::spawn(attack(server.address));
    let evicted = || metric(r#"milepost_connections_ended_total{reason="evicted"}"#);
    within(async {
        while evicted() < Some(400) {
            sleep(Duration::from_millis(20)).await; // The interval of a poll.
        }
    })
    .await;
    let mut senders = JoinSet::new();
    for sender in 0..2 * SENDERS {
        senders.spawn(refused(Arc::clone(&server), sender < SENDERS));
    }
    let refused: usize = senders.join_all().await.iter().sum();
    assert_eq!(refused, 0);
    assert!(!attacker.is_finished());
    attacker.abort();
}

async fn attack(address: SocketAddr) {
    let mut all = JoinSet::new();
    for kind in 0..SLOW {
        all.spawn(slow(address, kind));
    }
    let mut turn = interval(Duration::from_secs(1) / NEW_A_SECOND);
    for kind in 0.. {
        turn.tick().await;
        all.spawn(slow(address, kind));
    }
}

/// One slow connection, in one of four ways, for as long as it is let.
async fn slow(address: SocketAddr, kind: usize) {
    let Ok(stream) = TcpStream::connect(address).await else { return };
    let mut client = Client(stream);
    let path = "/webhooks/attacked";
    match kind % 4 {
        0 => {}
        1 => client.try_send(b"POST /webhooks/attacked HTTP/1.1\r\nhost:").await,
        2 => client.try_send(&unfinished(path, 262_144, 1)).await,
        _ => client.try_send(&unfinished(path, 262_144, 60_000)).await,
    }
    client.waits_for_the_end().await;
}

/// Sends webhooks of the other provider, on one connection or on one for each, and counts those that are not accepted. A
/// connection that breaks is a refusal.
async fn refused(server: Arc<Server>, kept: bool) -> usize {
    let mut refused = 0;
    let mut client = server.connect().await;
    for _ in 0..EACH {
        if !kept {
            client = server.connect().await;
        }
        client.try_send(&signed("/webhooks/spared", "", b"{\"id\":1}")).await;
        let code = client.try_reply().await.map(|reply| reply.code);
        refused += usize::from(code != Some(200));
        sleep(PAUSE).await;
    }
    refused
}
