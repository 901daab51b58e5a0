//! What the orchestrator and the scraper get as an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use milepost::adapters::http::admin::AdminPort;
use milepost::telemetry::health::{HEARTBEAT_LIMIT, Heartbeat, Readiness};

use crate::support::{Reply, Server, Setup, within};

async fn start(readiness: Readiness, heartbeats: Vec<Arc<Heartbeat>>) -> (Server, Arc<Readiness>) {
    let readiness = Arc::new(readiness);
    let admin = AdminPort::new(|| "milepost_draining 0\n".to_owned(), Arc::clone(&readiness), heartbeats);
    (Server::start(admin, &Setup::default()).await, readiness)
}

async fn get(server: &Server, path: &str) -> Reply {
    server.exchange(format!("GET {path} HTTP/1.1\r\nhost: m\r\n\r\n")).await
}

#[tokio::test]
async fn readiness_names_each_condition_and_whether_it_holds() {
    let connected = Arc::new(AtomicBool::new(false));
    let broker = Arc::clone(&connected);
    let readiness = Readiness::new().requires("broker", move || broker.load(Ordering::Relaxed));
    let (server, readiness) = start(readiness.requires("topology", || true), vec![]).await;

    let reply = get(&server, "/readyz").await;
    assert_eq!((reply.code, reply.header("content-type")), (503, Some("application/json")));
    assert_eq!(
        reply.body,
        r#"{"ready":false,"conditions":{"broker":false,"draining":false,"topology":true}}"#
    );
    connected.store(true, Ordering::Relaxed);
    let reply = get(&server, "/readyz").await;
    assert_eq!(reply.code, 200);
    assert_eq!(reply.body, r#"{"ready":true,"conditions":{"broker":true,"draining":false,"topology":true}}"#);
    readiness.drain();
    let reply = get(&server, "/readyz").await;
    assert_eq!(reply.code, 503);
    assert_eq!(reply.body, r#"{"ready":false,"conditions":{"broker":true,"draining":true,"topology":true}}"#);
}

#[tokio::test]
async fn a_note_is_said_and_keeps_nothing_from_being_ready() {
    let (server, _) =
        start(Readiness::new().notes("it rains", || true).notes("it snows", || false), vec![]).await;
    let reply = get(&server, "/readyz").await;
    assert_eq!(reply.code, 200);
    assert_eq!(reply.body, r#"{"ready":true,"conditions":{"draining":false},"notes":["it rains"]}"#);
}

#[tokio::test]
async fn a_process_is_alive_while_each_of_its_loops_beats() {
    let steady = Arc::new(Heartbeat::new("receiver", HEARTBEAT_LIMIT));
    let stopped = Arc::new(Heartbeat::new("worker", Duration::from_secs(1)));
    let (server, _readiness) = start(Readiness::new(), vec![steady, Arc::clone(&stopped)]).await;
    assert_eq!(get(&server, "/livez").await.body, "ok");

    let stale = within(async {
        loop {
            let reply = get(&server, "/livez").await;
            if reply.code != 200 {
                break reply;
            }
        }
    })
    .await;
    assert_eq!((stale.code, stale.body.as_str()), (503, "stalled: worker"));
    stopped.beat();
    assert_eq!(get(&server, "/livez").await.body, "ok");
}

#[tokio::test]
async fn the_metrics_and_nothing_else_are_served() {
    let (server, _readiness) = start(Readiness::new(), vec![]).await;
    let reply = get(&server, "/metrics").await;
    assert_eq!((reply.code, reply.body.as_str()), (200, "milepost_draining 0\n"));
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(get(&server, "/livez").await.body, "ok");
    assert_eq!(get(&server, "/webhooks/acme").await.code, 404);
    let reply = server.exchange("POST /metrics HTTP/1.1\r\nhost: m\r\n\r\n").await;
    assert_eq!((reply.code, reply.header("allow")), (405, Some("GET, HEAD")));
}
