//! Redis that has fewer replicas than it insists on takes no write: workers pause, and it is said why.

use serde_json::Value;
use tokio::task::block_in_place;

use crate::support::eventually;
use crate::support::fixtures::TELYPORT;
use crate::support::process::Program;
use crate::support::redis_group::RedisGroup;
use crate::support::servers::Vhost;

#[tokio::test(flavor = "multi_thread")]
async fn too_few_replicas_fail_the_check_and_are_named_by_a_worker_until_there_are_enough() {
    let (group, vhost) = (block_in_place(|| RedisGroup::sentinel("noreplicas")), Vhost::new().await);
    let insist =
        async |number| group.ask::<String>("r1", &["CONFIG", "SET", "min-replicas-to-write", number]).await;
    assert_eq!(insist("3").await.as_deref(), Some("OK"));

    let check = || async {
        let program = Program::milepost("topology check --json").env("MILEPOST_AMQP_URL", &vhost.amqp_url);
        let (_, stdout, stderr) = program.env("MILEPOST_REDIS_URL", &group.url).output().await;
        let report: Value = serde_json::from_str(stdout.first().expect("a line")).expect("JSON");
        let findings = report["findings"].as_array().expect("a list");
        let writes = findings.iter().find(|finding| finding["check"] == "redis_writes");
        writes.unwrap_or_else(|| panic!("{stdout:?} {stderr:?}")).clone()
    };
    let writes = check().await;
    assert_eq!(writes["level"], "fail", "{writes}");
    assert!(writes["says"].as_str().is_some_and(|says| says.contains("NOREPLICAS")), "{writes}");
    assert!(
        writes["remedy"].as_str().is_some_and(|remedy| remedy.contains("min-replicas-to-write")),
        "{writes}"
    );

    let worker = Program::worker(TELYPORT, &vhost.amqp_url).env("MILEPOST_REDIS_URL", &group.url).spawn();
    let line = worker.says("not subscribing: the ledger does not answer").await;
    assert!(line["error"].as_str().is_some_and(|error| error.contains("NOREPLICAS")), "{line}");
    let refused = || worker.metric("milepost_redis_refusals_total", &[r#"code="NOREPLICAS""#]);
    assert!(refused().await > 0.0);
    assert_eq!(worker.ask("/readyz").await.0, 503);

    assert_eq!(insist("0").await.as_deref(), Some("OK"));
    worker.ready().await;
    eventually("the check finds all well", || async { (check().await["level"] == "ok").then_some(()) }).await;
}
