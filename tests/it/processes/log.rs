//! What the log says, and what it leaves out.

use serde_json::Value;

use crate::support::eventually;
use crate::support::fixtures::{TELYPORT, account};
use crate::support::fleet::{Subscriber, rejecting};
use crate::support::process::{Process, Program, SECRET};
use crate::support::proxy::Proxy;
use crate::support::servers::{Vhost, client};

/// The lines that are worse than information: what is said, and by whom.
fn complaints(process: &Process) -> Vec<(String, String)> {
    let lines = process.stderr.all();
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |line: &Value, key: &str| line[key].as_str().expect("text").to_owned();
    lines
        .filter(|line| line["level"] != "INFO")
        .map(|line| (text(&line, "target"), text(&line, "message")))
        .collect()
}

#[tokio::test]
async fn a_sound_start_logs_no_warning_and_an_outage_logs_our_words() {
    let vhost = Vhost::new().await;
    let mut broker = Proxy::to(&vhost.amqp_url);
    broker.open();
    // The other tests' deadline is below the confirm timeout, which is worth a warning.
    let worker = Program::worker(TELYPORT, &broker.url())
        .env("MILEPOST__WORKER__PROCESSING_DEADLINE_MS", "10000")
        .env("MILEPOST__WORKER__CLAIM_LEASE_MS", "15000")
        .spawn();
    worker.ready().await;
    assert_eq!(complaints(&worker), []);
    broker.cut();
    worker.says("publishing: connection lost").await;
    worker.says("not subscribing: nothing can be published").await;
    let strangers: Vec<_> =
        complaints(&worker).into_iter().filter(|(target, _)| !target.starts_with("milepost")).collect();
    assert_eq!(strangers, []);
}

#[tokio::test]
async fn a_queue_that_refuses_updates_is_named_in_the_log_and_readiness_has_a_note() {
    let vhost = Vhost::new().await;
    let receiver = Program::receiver(&vhost.amqp_url).spawn();
    let worker = Program::worker(TELYPORT, &vhost.amqp_url)
        .env("MILEPOST_AMQP_MANAGEMENT_URL", &vhost.management)
        .spawn();
    receiver.ready().await;
    worker.ready().await;
    assert!(!worker.ask("/readyz").await.1.contains("notes"));
    let _full = Subscriber::bind(&vhost.amqp_url, "theirs-full", rejecting(1)).await;
    let to = receiver.webhooks().await;
    let send = format!("send telyport --count 3 --to http://{to} --account {}", account());
    let refused = async || {
        let (code, ..) = Program::milepost(&send).env("MILEPOST_SEND_SECRET", SECRET).output().await;
        assert_eq!(code, Some(0));
        let (code, report) = worker.ask("/readyz").await;
        report.contains(r#""notes":["a subscriber refuses updates"]"#).then_some(code)
    };
    assert_eq!(eventually("an update is refused", refused).await, 200);
    let line = worker.says("updates are refused, and this may be why").await;
    assert_eq!(line["subject"], "queue theirs-full");
}

/// A developer who tries a signature by hand needs to see why it is refused.
#[tokio::test]
async fn a_fleet_in_memory_logs_what_it_refuses() {
    let fleet = Program::milepost("run --http 127.0.0.1:0 --admin 127.0.0.1:0").spawn();
    let line = fleet.stderr.with("webhooks on http://").await;
    let (_, address) = line.split_once("http://").expect("an address");
    let (address, _) = address.split_once('/').expect("a path");
    let post =
        client().post(format!("http://{address}/webhooks/telyport")).header("x-telyport-signature", "00");
    assert_eq!(post.body("{}").send().await.expect("an answer").status().as_u16(), 401);
    let line = fleet.stderr.with("webhook rejected").await;
    assert!(line.contains("malformed_credential") || line.contains("wrong_credential"), "{line}");
}
