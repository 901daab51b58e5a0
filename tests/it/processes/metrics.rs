//! `/metrics` of every binary, as Prometheus's own linter sees it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::process::{Process, Program, RECEIVER, TELYPORT_WORKER};

/// Fails unless `promtool` (Debian's package `prometheus`) has nothing to say.
fn assert_clean(who: &str, metrics: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    promtool.stdin.take().expect("a pipe").write_all(metrics.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{who}: {said}");
}

async fn assert_metrics_are_clean(who: &str, process: &Process) {
    let (code, metrics) = process.ask("/metrics").await;
    assert_eq!(code, 200, "{who}");
    assert!(metrics.contains("milepost_build_info"), "{who}");
    assert_clean(who, &metrics);
}

#[tokio::test]
async fn promtool_finds_nothing_in_the_metrics_of_any_role() {
    for (role, path) in [
        ("receiver", RECEIVER),
        ("worker-telyport", TELYPORT_WORKER),
        ("worker-247express", env!("CARGO_BIN_EXE_milepost-worker-247express")),
        ("worker-deliverect", env!("CARGO_BIN_EXE_milepost-worker-deliverect")),
        ("worker-dash", env!("CARGO_BIN_EXE_milepost-worker-dash")),
        ("worker-hubrise", env!("CARGO_BIN_EXE_milepost-worker-hubrise")),
    ] {
        // Nothing answers there; a role shows its metrics all the same.
        let process = Program::bare(path).env("MILEPOST_AMQP_URL", "amqp://127.0.0.1:1/%2f").spawn();
        assert_metrics_are_clean(role, &process).await;
    }
}

#[tokio::test]
async fn promtool_finds_nothing_in_the_metrics_of_a_fleet_that_works() {
    let fleet = Program::milepost("run --play")
        .env("MILEPOST__LOG__FORMAT", "json")
        .env("MILEPOST__LOG__FILTER", "info")
        .env("MILEPOST_HTTP_ADDR", "127.0.0.1:0")
        .env("MILEPOST_ADMIN_ADDR", "127.0.0.1:0")
        .spawn();
    fleet.stderr.with("listening; Ctrl-C ends it").await;
    assert!(fleet.metric("milepost_http_requests_total", &[r#"result="accepted""#]).await > 0.0);
    assert_metrics_are_clean("run", &fleet).await;
}

/// A request whose body never ends holds one place of its provider's, the bytes that came and its connection.
#[tokio::test]
async fn what_a_receiver_holds_is_shown_beside_its_limits() {
    let fleet = Program::milepost("run")
        .env("MILEPOST__LOG__FORMAT", "json")
        .env("MILEPOST__LOG__FILTER", "info")
        .env("MILEPOST_HTTP_ADDR", "127.0.0.1:0")
        .env("MILEPOST_ADMIN_ADDR", "127.0.0.1:0")
        .env("MILEPOST__HTTP__BODY_TIMEOUT_MS", "60000")
        .env("MILEPOST__HTTP__MIN_BODY_BYTES_PER_SECOND", "0")
        .env("MILEPOST__HTTP__MAX_CONNECTIONS", "77")
        .spawn();
    let to = fleet.webhooks().await;
    let requests = r#"of="requests",provider="telyport""#;
    let bytes = r#"of="bytes",provider="telyport""#;
    let connections = r#"of="connections",provider="unknown""#;
    for (of, limit) in [(requests, "256"), (bytes, "8388608"), (connections, "77")] {
        fleet.measures(&format!("milepost_receiver_limit{{{of}}} {limit}")).await;
    }
    let mut sender = std::net::TcpStream::connect(&to).expect("it listens");
    let head = "POST /webhooks/telyport HTTP/1.1\r\nhost: m\r\ncontent-length: 1000\r\n\
                x-telyport-signature: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\r\n\r\n{";
    sender.write_all(head.as_bytes()).expect("it takes the head");
    for of in [requests, bytes, connections] {
        fleet.measures(&format!("milepost_receiver_used{{{of}}} 1")).await;
    }
    drop(sender);
    for of in [requests, bytes, connections] {
        fleet.measures(&format!("milepost_receiver_used{{{of}}} 0")).await;
    }
    let memory = fleet.metric("milepost_process_resident_memory_bytes", &[]).await;
    assert!((1e6..1e9).contains(&memory), "{memory}");
}
