//! Traces of the binaries across the real broker, as an OTLP collector gets them.

mod outage;
mod sampling;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use milepost::domain::authentication::AuthScheme;
use milepost::domain::samples::{SampleSource as _, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::TELYPORT as TELYPORT_PROVIDER;
use serde_json::Value;

use crate::support::collector::{Collector, Span, SpanKind};
use crate::support::fixtures::{TELYPORT, account};
use crate::support::fleet::{Subscriber, rejecting, telyport_body};
use crate::support::process::{Process, Program, SECRET};
use crate::support::servers::{Vhost, client, depth};
use crate::support::{SOON, eventually};

/// The conventions that the spans say they keep to.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// A receiver and Telyport's worker that send their spans to `endpoint`.
async fn fleet(vhost: &Vhost, endpoint: &str, ratio: &str) -> (Process, Process) {
    let traced = |program: Program| {
        program
            .env("MILEPOST__TRACING__OTLP_ENDPOINT", endpoint)
            .env("MILEPOST__TRACING__SAMPLE_RATIO", ratio)
            .env("MILEPOST__LOG__FILTER", "info,milepost=debug")
            .spawn()
    };
    let receiver = traced(Program::receiver(&vhost.amqp_url));
    let worker = traced(Program::worker(TELYPORT, &vhost.amqp_url));
    receiver.ready().await;
    worker.ready().await;
    (receiver, worker)
}

/// Posts a webhook of Telyport's, signed with `secret`; the answer's code and receipt.
async fn post(receiver: &Process, body: Vec<u8>, secret: &str, trace: Option<&str>) -> (u16, String) {
    let secret = Secret::new(secret.as_bytes()).expect("not empty");
    let signing = Signing { scheme: AuthScheme::Hmac, header: None, secret: &secret };
    let signed = TELYPORT_PROVIDER.sign(body.into(), &signing);
    let url = format!("http://{}/webhooks/telyport/{}", receiver.webhooks().await, account());
    let mut request = client().post(url).body(signed.body);
    for (name, value) in signed.headers {
        request = request.header(name, value);
    }
    if let Some(trace) = trace {
        request = request.header("traceparent", trace);
    }
    let answer = request.send().await.expect("the receiver answers");
    let receipt = answer.headers()["milepost-receipt"].to_str().expect("a UUID").to_owned();
    (answer.status().as_u16(), receipt)
}

/// The next message of a queue.
async fn next(channel: &Channel, queue: &str) -> Delivery {
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consuming = channel.basic_consume(queue.into(), "traces".into(), options, FieldTable::default());
    let mut consumer = consuming.await.expect("consumes");
    tokio::time::timeout(SOON, consumer.next()).await.expect("in time").expect("open").expect("no error")
}

fn assert_attributes(span: &Span, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(span.attribute(name), Some(*value), "{name} of {span:#?}");
    }
    assert_eq!(span.schema_url, SCHEMA_URL);
}

#[tokio::test]
async fn one_trace_leads_from_the_http_request_to_the_published_update() {
    let (vhost, collector) = (Vhost::new().await, Collector::start().await);
    let (receiver, worker) = fleet(&vhost, &collector.endpoint, "1.0").await;
    let subscriber = Subscriber::bind(&vhost.amqp_url, "test.traced", FieldTable::default()).await;
    let (code, receipt) = post(&receiver, telyport_body("d1", "e1", "STARTED"), SECRET, None).await;
    assert_eq!(code, 200);
    let update = next(&vhost.channel().await, "test.traced").await;
    drop(subscriber);
    let account = account();

    let request = collector.named("POST /webhooks/{provider}/{account}").await;
    assert_eq!((request.kind, request.parent.as_str()), (SpanKind::Server, ""));
    assert_eq!(request.service, "milepost-receiver");
    assert_attributes(
        &request,
        &[
            ("http.request.method", "POST"),
            ("http.route", "/webhooks/{provider}/{account}"),
            ("http.response.status_code", "200"),
            ("milepost.provider", "telyport"),
            ("milepost.account", account.as_str()),
            ("milepost.receipt", &receipt),
            ("milepost.result", "accepted"),
        ],
    );
    let send = collector.named("send milepost.webhooks").await;
    assert_eq!((send.kind, &send.trace, &send.parent), (SpanKind::Producer, &request.trace, &request.id));
    assert_attributes(
        &send,
        &[
            ("messaging.system", "rabbitmq"),
            ("messaging.operation.name", "send"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", "milepost.webhooks:telyport"),
            ("messaging.destination.template", "milepost.webhooks"),
            ("messaging.rabbitmq.destination.routing_key", "telyport"),
            ("messaging.message.id", &receipt),
        ],
    );
    let process = collector.named("process milepost.webhooks.telyport").await;
    assert_eq!((process.kind, &process.trace, &process.parent), (SpanKind::Consumer, &send.trace, &send.id));
    assert_eq!(process.service, "milepost-worker-telyport");
    assert_attributes(
        &process,
        &[
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", "milepost.webhooks:telyport:milepost.webhooks.telyport"),
            ("messaging.rabbitmq.destination.routing_key", "telyport"),
            ("messaging.message.id", &receipt),
            ("milepost.provider", "telyport"),
            ("milepost.account", account.as_str()),
            ("milepost.attempt", "0"),
            ("milepost.outcome", "published"),
        ],
    );
    let publish = collector.named("send milepost.updates").await;
    assert_eq!(
        (publish.kind, &publish.trace, &publish.parent),
        (SpanKind::Producer, &send.trace, &process.id)
    );
    let event: Value = serde_json::from_slice(&update.data).expect("JSON");
    let key = format!("telyport.{account}.pickup.assigned");
    assert_attributes(
        &publish,
        &[
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", &format!("milepost.updates:{key}")),
            ("messaging.destination.template", "milepost.updates"),
            ("messaging.rabbitmq.destination.routing_key", &key),
            ("messaging.message.id", event["id"].as_str().expect("an id")),
        ],
    );
    assert!([&request, &send, &process, &publish].iter().all(|span| !span.failed));

    // The event says who received it, the message who published it: both are of this trace.
    assert_eq!(event["traceparent"], send.traceparent());
    let header = crate::support::fleet::header(&update.properties, "traceparent");
    assert_eq!(header, Some(publish.traceparent()));

    eventually("both are accounted for", || async {
        let exported = receiver.metric("milepost_trace_spans_total", &[r#"result="exported""#]).await;
        (exported == 2.0).then_some(())
    })
    .await;

    // The log lines name the spans that they are from.
    let accepted = receiver.says("webhook accepted").await;
    assert_eq!((&accepted["trace_id"], &accepted["span_id"]), (&request.trace.into(), &request.id.into()));
    let settled = worker.says("\"processed\"").await;
    assert_eq!((&settled["trace_id"], &settled["span_id"]), (&process.trace.into(), &process.id.into()));
}

#[tokio::test]
async fn every_attempt_is_a_span_of_the_one_trace() {
    let (vhost, collector) = (Vhost::new().await, Collector::start().await);
    let (receiver, _worker) = fleet(&vhost, &collector.endpoint, "1.0").await;
    // A full queue of a subscriber refuses the update.
    let _full = Subscriber::bind(&vhost.amqp_url, "test.full", rejecting(1)).await;
    let channel = vhost.channel().await;
    for _ in 0..5 {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let filling = channel.basic_publish("".into(), "test.full".into(), options, b"{}", properties);
        filling.await.expect("sent");
    }
    eventually("it is full", || async { (depth(&channel, "test.full").await >= 2).then_some(()) }).await;
    assert_eq!(post(&receiver, telyport_body("d1", "e1", "STARTED"), SECRET, None).await.0, 200);
    let attempt = |number: &'static str| {
        collector.span(number, move |span| span.attribute("milepost.attempt") == Some(number))
    };
    let first = attempt("0").await;
    assert!(first.failed);
    assert_attributes(&first, &[("milepost.outcome", "retried"), ("error.type", "publish_refused")]);
    let refused = collector.span("refused", |span| span.parent == first.id).await;
    assert_eq!((refused.name.as_str(), refused.failed), ("send milepost.updates", true));
    assert_attributes(&refused, &[("error.type", "refused")]);

    // Its second attempt fails, too, and the third one goes through.
    let second = attempt("1").await;
    channel.queue_delete("test.full".into(), QueueDeleteOptions::default()).await.expect("deleted");
    let done = collector.span("done", |span| span.attribute("milepost.outcome") == Some("published")).await;
    let sent = collector.named("send milepost.webhooks").await;
    for attempt in [first, second, done] {
        assert_eq!((&attempt.trace, &attempt.parent), (&sent.trace, &sent.id), "{attempt:#?}");
    }
}
