//! A broker that neither answers nor ends a connection: a partition, a node that hangs, a link that drops everything.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapin::uri::AMQPUri;
use milepost::adapters::rabbit::topology::{Topology, TopologyMode, work_queue};
use milepost::adapters::rabbit::{DelayLevels, Pace, RabbitPublisher, RabbitSettings, connect_to_first};
use milepost::ports::{Outbound, PublishError, Publisher as _};
use tokio_util::sync::CancellationToken;

use crate::support::fixtures::{TELYPORT, envelope};
use crate::support::process::Program;
use crate::support::proxy::Proxy;
use crate::support::servers::{Vhost, depth, rabbit_settings, topology_settings};
use crate::support::{SOON, eventually};

#[tokio::test]
async fn a_connection_on_which_nothing_is_confirmed_is_given_up_and_made_anew() {
    const CONFIRM_TIMEOUT: Duration = Duration::from_millis(500);
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let unit = Duration::from_millis(100);
    let topology = Topology::new(&topology_settings(unit), &[TELYPORT]);
    let settings = RabbitSettings { confirm_timeout: CONFIRM_TIMEOUT, ..rabbit_settings(&proxy.url()) };
    let publisher =
        RabbitPublisher::new(settings, topology, TopologyMode::Apply, DelayLevels::new(unit), Pace::Each);
    let shutdown = CancellationToken::new();
    let _running = shutdown.clone().drop_guard();
    tokio::spawn(Arc::clone(&publisher).run(shutdown));
    eventually("it connects", || async { publisher.ready().then_some(()) }).await;
    let publish = || publisher.publish(Outbound::Raw(envelope(TELYPORT, "{}")));
    assert_eq!(publish().await, Ok(()));

    proxy.silence();
    let began = Instant::now();
    assert_eq!(publish().await, Err(PublishError::Unconfirmed));
    // Nothing more is sent on it: the answer comes at once, and no event is published again and again.
    assert!(!publisher.ready());
    let asked = Instant::now();
    assert_eq!(publish().await, Err(PublishError::Unavailable));
    assert!(asked.elapsed() < CONFIRM_TIMEOUT / 2, "{:?}", asked.elapsed());

    eventually("it connects anew", || async { publisher.ready().then_some(()) }).await;
    assert!(began.elapsed() >= 2 * CONFIRM_TIMEOUT, "{:?}", began.elapsed());
    assert_eq!(publish().await, Ok(()));
    let channel = vhost.channel().await;
    eventually("both are stored", || async {
        (depth(&channel, &work_queue(TELYPORT)).await == 2).then_some(())
    })
    .await;
}

/// Declaring takes each node of a cluster, so that one that hangs would keep every role from being ready.
#[tokio::test]
async fn a_reconnect_declares_only_what_is_missing() {
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let unit = Duration::from_millis(100);
    let topology = Topology::new(&topology_settings(unit), &[TELYPORT]);
    let settings = rabbit_settings(&proxy.url());
    let publisher =
        RabbitPublisher::new(settings, topology, TopologyMode::Apply, DelayLevels::new(unit), Pace::Each);
    let shutdown = CancellationToken::new();
    let _running = shutdown.clone().drop_guard();
    tokio::spawn(Arc::clone(&publisher).run(shutdown));
    let ready = async |yes: bool| {
        eventually("ready or not", || async { (publisher.ready() == yes).then_some(()) }).await;
    };
    ready(true).await;

    // The broker refuses every declaration from here on, be it of what is there.
    vhost.let_configure("^$").await;
    proxy.cut();
    ready(false).await;
    proxy.open();
    ready(true).await;

    proxy.cut();
    ready(false).await;
    let queue = || work_queue(TELYPORT);
    vhost.let_configure(".*").await;
    vhost.channel().await.queue_delete(queue().into(), Default::default()).await.expect("deleted");
    proxy.open();
    ready(true).await;
    assert_eq!(depth(&vhost.channel().await, &queue()).await, 0, "it is there again");
}

/// It answers in the provider's own words itself, instead of the proxy before it; and its loss clock runs.
#[tokio::test]
async fn a_receiver_that_was_ready_once_stays_so_and_answers_503_at_once() {
    let vhost = Vhost::new().await;
    let mut proxy = Proxy::to(&vhost.amqp_url);
    proxy.open();
    let receiver = Program::receiver(&proxy.url()).env("MILEPOST__AMQP__CONNECT_TIMEOUT_MS", "500").spawn();
    receiver.ready().await;
    assert_eq!(receiver.ask("/readyz").await.0, 200);
    proxy.cut();
    let away = r#"milepost_broker_connected{role="publish"} 0"#;
    let says = async |line: &str| receiver.ask("/metrics").await.1.lines().any(|said| said == line);
    eventually("it is noticed", || async { says(away).await.then_some(()) }).await;
    let (code, report) = receiver.ask("/readyz").await;
    assert_eq!((code, report.contains(r#""broker":true"#)), (200, true), "{report}");
    let runs = || async {
        let metrics = receiver.ask("/metrics").await.1;
        let clock = r#"milepost_refusing_since_timestamp_seconds{provider="telyport"} "#;
        let since = metrics.lines().find_map(|line| line.strip_prefix(clock)).expect("the clock").to_owned();
        (since != "0").then_some(())
    };
    eventually("the loss clock runs before anything was refused", runs).await;
}

/// As a broker's name with several addresses has one, of which the first belongs to a node that is gone.
#[tokio::test]
async fn an_address_that_does_not_answer_is_skipped_after_its_share_of_the_time() {
    const LIMIT: Duration = Duration::from_secs(2);
    let vhost = Vhost::new().await;
    let alive: AMQPUri = vhost.amqp_url.parse().expect("a URL");
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut dead = alive.clone();
    dead.authority.port = silent.local_addr().expect("bound").port();
    let began = Instant::now();
    let connecting = connect_to_first(vec![dead, alive], "silence", LIMIT);
    let connected = tokio::time::timeout(SOON, connecting).await.expect("it gives the first one up");
    assert!(connected.expect("the second one").status().connected());
    assert!(began.elapsed() >= LIMIT / 2, "the first one was not tried");
}

/// The nodes of a cluster, of which one is gone and one is silent.
#[tokio::test]
async fn a_role_finds_the_node_that_answers_among_several() {
    let vhost = Vhost::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let hosts = format!("@{},{gone},", silent.local_addr().expect("bound"));
    let receiver = Program::receiver(&vhost.amqp_url.replacen('@', &hosts, 1)).spawn();
    receiver.ready().await;
    receiver.measures(r#"milepost_broker_connected{role="publish"} 1"#).await;
}
