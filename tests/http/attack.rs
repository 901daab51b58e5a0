//! An unauthenticated sender with 1,000 slow connections and 100 new ones a second costs the other providers nothing.
//!
//! `cargo run --example slow_senders` measures what it costs in time.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use milepost::config::{Sources, load};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::support::{Client, Server, Setup, metric, signed, start, unfinished};

const SLOW: usize = 1_000;
const NEW_A_SECOND: u64 = 100;
/// For so long the others send, before the attack and during it.
const MEANWHILE: Duration = Duration::from_secs(4);
/// Others' webhooks: so many senders, each on a connection of its own that it keeps, and as many that connect each time.
const SENDERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(80);

/// Both ends of each connection are this process's, so that it needs more open files than it may be allowed: the scene
/// plays in a process of its own.
#[test]
fn slow_senders_to_one_provider_cost_the_others_no_refusal() {
    let binary = std::env::current_exe().unwrap();
    let scene = "ulimit -n 8192 || ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" --exact attack::scene --ignored --nocapture";
    let played = Command::new("sh").args(["-c", scene]).arg(binary).status();
    assert!(played.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "started by the test above, with enough open files"]
async fn scene() {
    let defaults = load(&Sources::default(), &[]).unwrap().config.http.limits();
    let mut setup =
        Setup { provider: "attacked", beside: Some("spared"), limits: defaults, ..Setup::default() };
    // Fewer than the attacker has.
    setup.limits.max_connections = 512;
    let (server, _publisher) = start(setup).await;
    let server = Arc::new(server);

    let before = Answers::of(&server).await;
    let mut attackers = JoinSet::new();
    for kind in 0..SLOW {
        attackers.spawn(attack(server.address, kind));
    }
    let more = {
        let address = server.address;
        tokio::spawn(async move {
            let (mut turn, mut all) =
                (interval(Duration::from_secs(1) / u32::try_from(NEW_A_SECOND).unwrap()), JoinSet::new());
            for kind in 0.. {
                turn.tick().await;
                all.spawn(attack(address, kind));
            }
        })
    };
    let during = Answers::of(&server).await;
    more.abort();
    println!("median {:?} before, {:?} during", before.median, during.median);
    assert_eq!((before.refused, during.refused), (0, 0));
    assert!(during.fewest >= 5, "a sender had {} answers alone in {MEANWHILE:?}", during.fewest);
    let evicted = metric(r#"milepost_connections_ended_total{reason="evicted"}"#);
    assert!(evicted > Some(400), "the attack was none: {evicted:?}");
}

/// One slow connection, in one of four ways, for as long as it is let.
async fn attack(address: std::net::SocketAddr, kind: usize) {
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

/// What the other providers' senders are told.
struct Answers {
    refused: usize,
    /// Of one sender.
    fewest: usize,
    median: Duration,
}

impl Answers {
    async fn of(server: &Arc<Server>) -> Self {
        let mut senders = JoinSet::new();
        for sender in 0..2 * SENDERS {
            senders.spawn(send(Arc::clone(server), sender < SENDERS));
        }
        let answers = senders.join_all().await;
        let fewest = answers.iter().map(Vec::len).min().unwrap();
        let answers = answers.concat();
        let mut times: Vec<_> = answers.iter().map(|(_, elapsed)| *elapsed).collect();
        times.sort_unstable();
        let refused = answers.iter().filter(|(code, _)| *code != 200).count();
        Self { refused, fewest, median: times[times.len() / 2] }
    }
}

/// Sends webhooks of the other provider, on one connection or on one for each. A connection that breaks is a refusal.
async fn send(server: Arc<Server>, kept: bool) -> Vec<(u16, Duration)> {
    let begun = Instant::now();
    let mut answers = Vec::new();
    let mut client = server.connect().await;
    while begun.elapsed() < MEANWHILE {
        let asked = Instant::now();
        if !kept {
            client = server.connect().await;
        }
        client.try_send(&signed("/webhooks/spared", "", b"{\"id\":1}")).await;
        let code = client.try_reply().await.map_or(0, |reply| reply.code);
        answers.push((code, asked.elapsed()));
        sleep(PAUSE).await;
    }
    answers
}
