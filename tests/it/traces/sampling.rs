//! Which traces are exported.

use lapin::types::FieldTable;
use serde_json::Value;

use super::{fleet, post};
use crate::support::collector::{Collector, SpanKind};
use crate::support::eventually;
use crate::support::fleet::{Subscriber, telyport_body};
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::Vhost;

const CHOSEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const FORGED: &str = "00-11111111111111111111111111111111-b7ad6b7169203331-01";

async fn settled(worker: &Process, outcome: &str, count: f64) {
    let label = format!(r#"outcome="{outcome}""#);
    eventually(outcome, || async {
        (worker.metric("milepost_messages_settled_total", &[&label]).await == count).then_some(())
    })
    .await;
}

/// A failure in a trace that is not exported is found by its receipt.
#[tokio::test]
async fn with_a_ratio_of_0_only_traces_that_the_provider_sampled_are_exported() {
    let (vhost, collector) = (Vhost::new().await, Collector::start().await);
    let (mut receiver, mut worker) = fleet(&vhost, &collector.endpoint, "0.0").await;
    assert_eq!(post(&receiver, telyport_body("d1", "e1", "NEW"), SECRET, None).await.0, 200);
    assert_eq!(post(&receiver, telyport_body("d2", "e2", "NEW"), SECRET, Some(CHOSEN)).await.0, 200);
    // Only an authentic webhook chooses.
    assert_eq!(post(&receiver, telyport_body("d3", "e3", "NEW"), "no", Some(FORGED)).await.0, 401);
    let (code, receipt) = post(&receiver, b"{\"malformed\"".to_vec(), SECRET, None).await;
    assert_eq!(code, 200);
    settled(&worker, "published", 2.0).await;
    settled(&worker, "parked", 1.0).await;
    // A process exports the spans that are left when it ends.
    for process in [&mut receiver, &mut worker] {
        process.signal("TERM");
        assert_eq!(process.exit().await, Some(0));
    }
    let mut spans = collector.spans();
    spans.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let expected = [
        "POST /webhooks/{provider}/{account}",
        "process milepost.webhooks.telyport",
        "send milepost.updates",
        "send milepost.webhooks",
    ];
    assert_eq!(names, expected);
    assert!(spans.iter().all(|span| CHOSEN.contains(&span.trace)), "{spans:#?}");
    assert_eq!((spans[0].kind, spans[0].parent.as_str()), (SpanKind::Server, "b7ad6b7169203331"));

    let parked = worker.says("\"parked\"").await;
    assert_eq!(parked["receipt.id"].as_str(), Some(receipt.as_str()));
    assert_eq!(parked.get("trace_id"), None);
}

#[tokio::test]
async fn without_a_collector_the_providers_trace_passes_through_and_no_line_has_another() {
    let vhost = Vhost::new().await;
    let receiver =
        Program::receiver(&vhost.amqp_url).env("MILEPOST__LOG__FILTER", "info,milepost=debug").spawn();
    receiver.ready().await;
    assert_eq!(post(&receiver, telyport_body("d1", "e1", "NEW"), SECRET, Some(CHOSEN)).await.0, 200);
    assert_eq!(receiver.says("webhook accepted").await.get("trace_id"), None);
    let stored = super::next(&vhost.channel().await, "milepost.webhooks.telyport").await;
    let header = |name| crate::support::fleet::header(&stored.properties, name);
    assert_eq!(header("traceparent").as_deref(), Some(CHOSEN));
    assert_eq!(receiver.metric("milepost_trace_spans_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_adds_nothing_to_any_message() {
    let (vhost, collector) = (Vhost::new().await, Collector::start().await);
    let (receiver, worker) = fleet(&vhost, &collector.endpoint, "0.0").await;
    let subscriber = Subscriber::bind(&vhost.amqp_url, "test.unsampled", FieldTable::default()).await;
    let unsampled = CHOSEN.replace("-01", "-00");
    assert_eq!(post(&receiver, telyport_body("d1", "e1", "NEW"), SECRET, Some(&unsampled)).await.0, 200);
    let update = super::next(&vhost.channel().await, "test.unsampled").await;
    drop(subscriber);
    let event: Value = serde_json::from_slice(&update.data).expect("JSON");
    assert_eq!(event.get("traceparent"), None);
    assert_eq!(update.properties.headers(), &None);
    assert_eq!(receiver.says("webhook accepted").await.get("trace_id"), None);
    assert_eq!(worker.says("\"processed\"").await.get("trace_id"), None);
    assert_eq!(collector.spans().len(), 0);
}
