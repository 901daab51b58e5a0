//! A broker with several addresses: the nodes of a cluster, or a name that has one of each node.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use lapin::uri::AMQPUri;
use milepost::adapters::rabbit::{Place, RabbitSettings, connect_to_first};
use milepost::ports::PublishError;

use super::Connected;
use crate::support::process::Program;
use crate::support::proxy::Proxy;
use crate::support::servers::{Vhost, rabbit_settings};
use crate::support::{SOON, eventually};

/// It takes connections, and says nothing.
fn silent_at(address: &str) -> TcpListener {
    TcpListener::bind(address).expect("a port")
}

/// The URL with these hosts before its own.
fn with_hosts(url: &str, hosts: &[SocketAddr]) -> String {
    let hosts = hosts.iter().map(|host| format!("{host},")).collect::<String>();
    url.replacen('@', &format!("@{hosts}"), 1)
}

/// As a broker's name with several addresses has one, of which the first belongs to a node that is gone.
#[tokio::test]
async fn an_address_that_does_not_answer_is_skipped_after_its_share_of_the_time() {
    const LIMIT: Duration = Duration::from_secs(2);
    let vhost = Vhost::new().await;
    let uri: AMQPUri = vhost.amqp_url.parse().expect("a URL");
    let silent = silent_at("127.0.0.2:0");
    let alive = format!("127.0.0.1:{}", uri.authority.port).parse().expect("an address");
    let addresses = [silent.local_addr().expect("bound"), alive];
    let began = Instant::now();
    let places = addresses.map(|address| Place::new(uri.clone(), address)).to_vec();
    let connecting = connect_to_first(places, "silence", LIMIT);
    let connected = tokio::time::timeout(SOON, connecting).await.expect("it gives the first one up");
    let (connection, link) = connected.expect("the second one");
    assert!(connection.status().connected() && link.address() == alive, "{link:?}");
    assert!(began.elapsed() >= LIMIT / 2, "the first one was not tried");
}

/// The nodes of a cluster, of which one is gone and one is silent.
#[tokio::test]
async fn a_role_finds_the_node_that_answers_among_several() {
    let vhost = Vhost::new().await;
    let silent = silent_at("127.0.0.1:0");
    let gone = silent_at("127.0.0.1:0").local_addr().expect("bound");
    let hosts = [silent.local_addr().expect("bound"), gone];
    let receiver = Program::receiver(&with_hosts(&vhost.amqp_url, &hosts)).spawn();
    receiver.ready().await;
    receiver.measures(r#"milepost_broker_connected{role="publish"} 1"#).await;
}

#[tokio::test]
async fn attempts_at_a_silent_address_leave_nothing_behind() {
    let silent = silent_at("127.0.0.1:0");
    let url = format!("amqp://{}/%2f", silent.local_addr().expect("bound"));
    let receiver = Program::receiver(&url).env("MILEPOST__AMQP__CONNECT_TIMEOUT_MS", "200").spawn();
    eventually("it tried several times", || async {
        let tries = receiver.stderr.all().iter().filter(|line| line.contains("cannot publish yet")).count();
        (tries >= 4).then_some(())
    })
    .await;
    eventually("of all tries, none but the last has a thread", || async {
        (receiver.threads("lapin-io-loop") <= 1).then_some(())
    })
    .await;
}

/// The address in use hangs, for new connections as well: each of several times it is left for the other one, at once.
#[tokio::test]
async fn a_connection_that_was_given_up_is_made_anew_to_another_address() {
    let vhost = Vhost::new().await;
    let mut ways = [Proxy::to(&vhost.amqp_url), Proxy::to(&vhost.amqp_url)];
    ways.iter_mut().for_each(Proxy::open);
    let url = with_hosts(&ways[0].url(), &[ways[1].address()]);
    let confirm_timeout = Duration::from_millis(300);
    let connected = Connected::with(RabbitSettings { confirm_timeout, ..rabbit_settings(&url) });
    connected.is_ready(true).await;
    let mut used = usize::from(ways[1].connections() == 1);
    for round in 0..6 {
        let before = ways[used].connections();
        ways[used].hang();
        assert_eq!(connected.publish().await, Err(PublishError::Unconfirmed), "{round}");
        connected.is_ready(true).await;
        assert_eq!(ways[used].connections(), before, "{round}: the address that hangs was tried again");
        ways[used].resume();
        used = 1 - used;
    }
}
