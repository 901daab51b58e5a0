//! A role is not ready until nothing fails.

use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use milepost::adapters::rabbit::topology::{AUDIT, PARKED, parked_queue};
use serde_json::Value;

use super::Servers;
use crate::support::eventually;
use crate::support::fixtures::TELYPORT;
use crate::support::process::Program;
use crate::support::servers::{Vhost, channel};

#[tokio::test]
async fn the_gate_holds_a_role_back_until_the_broker_is_in_order() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let unbind = |queue: String, exchange: &'static str, key: &'static str| async {
        let channel = channel(&vhost.amqp_url).await;
        let table = FieldTable::default();
        channel.queue_unbind(queue.into(), exchange.into(), key.into(), table).await.expect("unbound");
    };
    // Neither `verify` nor anything else of the role's sees that a binding is missing.
    unbind(parked_queue(TELYPORT), PARKED, "telyport").await;
    let receiver = || {
        Program::receiver(&servers.amqp)
            .env("MILEPOST_AMQP_MANAGEMENT_URL", servers.management.as_deref().expect("there is one"))
            .env("MILEPOST__TOPOLOGY__MODE", "verify")
    };
    receiver().spawn().ready().await;

    let held = receiver().env("MILEPOST__TOPOLOGY__GATE", "true").spawn();
    let line = held.says("topology gate: not ready").await;
    assert_eq!(
        (line["check"].as_str(), line["remedy"].as_str()),
        (Some("bindings"), Some("milepost topology apply"))
    );
    eventually("the broker is no longer what it waits for", || async {
        let (code, body) = held.ask("/readyz").await;
        let conditions: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((code, &conditions["conditions"]["topology"]), (503, &Value::Bool(false)));
        (conditions["conditions"]["broker"] == true).then_some(())
    })
    .await;

    servers.apply().await;
    held.ready().await;
    // A fleet at work is not taken away.
    held.says("topology gate: open").await;
    unbind(parked_queue(TELYPORT), PARKED, "telyport").await;
    assert_eq!(held.ask("/readyz").await.0, 200);
}

/// What operators did is no webhook's concern, so no worker waits for the stream of it.
#[tokio::test]
async fn a_worker_that_only_verifies_does_without_the_audit_log() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let channel = channel(&vhost.amqp_url).await;
    channel.queue_delete(AUDIT.into(), QueueDeleteOptions::default()).await.expect("deleted");
    let worker = Program::worker(TELYPORT, &servers.amqp).env("MILEPOST__TOPOLOGY__MODE", "verify").spawn();
    worker.ready().await;
    let said = servers.check().await;
    let missing =
        said.findings.iter().find(|finding| finding["subject"].as_str().is_some_and(|it| it.contains(AUDIT)));
    assert!(missing.is_some(), "the doctor misses it: {said:?}");
}

#[tokio::test]
async fn who_applies_the_topology_is_in_the_audit_log() {
    let vhost = Vhost::new().await;
    let servers = Servers::sound(&vhost).await;
    let (code, _, errors) = servers.program("topology apply --operator alice").output().await;
    assert_eq!(code, Some(0), "{errors:?}");
    let (code, lines, errors) = servers.program("audit --json --who alice").output().await;
    assert_eq!(code, Some(0), "{errors:?}");
    let entries: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [begun, ended] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((&begun["act"], &begun["phase"]), (&"apply-topology".into(), &"begun".into()));
    let result = ended["result"].as_str().expect("text");
    assert!(
        ended["phase"] == "ended" && result.starts_with("declared ") && result.contains(" queues"),
        "{ended}"
    );
}
