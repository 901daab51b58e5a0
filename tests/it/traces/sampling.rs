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

/// Nothing of our own choosing is sampled here: what is exported has another reason.
#[tokio::test]
async fn what_the_provider_chose_and_what_failed_is_exported_and_nothing_else() {
    let (vhost, collector) = (Vhost::new().await, Collector::start().await);
    let (mut receiver, mut worker) = fleet(&vhost, &collector.endpoint, "0.0").await;
    assert_eq!(post(&receiver, telyport_body("d1", "e1", "NEW"), SECRET, None).await.0, 200);
    assert_eq!(post(&receiver, telyport_body("d2", "e2", "NEW"), SECRET, Some(CHOSEN)).await.0, 200);
    // Nobody but the provider chooses.
    assert_eq!(post(&receiver, telyport_body("d3", "e3", "NEW"), "no", Some(FORGED)).await.0, 401);
    assert_eq!(post(&receiver, b"{\"malformed\"".to_vec(), SECRET, None).await.0, 200);
    settled(&worker, "published", 2.0).await;
    settled(&worker, "parked", 1.0).await;
    // The end of a process brings out whatever there is.
    for process in [&mut receiver, &mut worker] {
        process.signal("TERM");
        assert_eq!(process.exit().await, Some(0));
    }
    let (chosen, others): (Vec<_>, Vec<_>) =
        collector.spans().into_iter().partition(|span| CHOSEN.contains(&span.trace));
    let mut names: Vec<_> = chosen.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "POST /webhooks/{provider}/{account}",
        "process milepost.webhooks.telyport",
        "send milepost.updates",
        "send milepost.webhooks",
    ];
    assert_eq!(names, expected);
    let request = chosen.iter().find(|span| span.kind == SpanKind::Server).expect("a request");
    assert_eq!(request.parent, "b7ad6b7169203331");

    let [failure] = &others[..] else { panic!("{others:#?}") };
    assert_eq!(failure.name, "failure milepost.webhooks.telyport");
    assert_eq!((failure.kind, failure.failed, failure.parent.as_str()), (SpanKind::Internal, true, ""));
    assert_eq!(failure.attribute("error.type"), Some("malformed"));
    let [(trace, span)] = &failure.links[..] else { panic!("{failure:#?}") };
    assert_ne!(*trace, failure.trace);
    // The attempt that it links to is missing, but the log has it.
    let parked = worker.says("\"parked\"").await;
    assert_eq!((parked["trace_id"].as_str(), parked["span_id"].as_str()), (Some(&**trace), Some(&**span)));
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

/// What is not sampled is still one trace, for whoever logs its id or decides by what those before decided.
#[tokio::test]
async fn a_trace_that_nobody_chose_goes_on_to_the_published_update() {
    let (vhost, collector) = (Vhost::new().await, Collector::start().await);
    let (receiver, worker) = fleet(&vhost, &collector.endpoint, "0.0").await;
    let subscriber = Subscriber::bind(&vhost.amqp_url, "test.unsampled", FieldTable::default()).await;
    assert_eq!(post(&receiver, telyport_body("d1", "e1", "NEW"), SECRET, None).await.0, 200);
    let update = super::next(&vhost.channel().await, "test.unsampled").await;
    drop(subscriber);
    let event: Value = serde_json::from_slice(&update.data).expect("JSON");
    let received = event["traceparent"].as_str().expect("a trace");
    assert!(received.ends_with("-00"), "{received}");
    let header = crate::support::fleet::header(&update.properties, "traceparent");
    assert_eq!(header, None, "a header costs the broker too much for a trace that is not kept");
    let (trace, accepted) = (&received[3..35], receiver.says("webhook accepted").await);
    assert_eq!(accepted["trace_id"].as_str(), Some(trace));
    assert_eq!(worker.says("\"processed\"").await["trace_id"], trace);
    assert_eq!(collector.spans().len(), 0);
}
