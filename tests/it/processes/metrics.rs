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
