//! Invariant 9: no secret, and no body, in a log, a metric, a span or a parked header; with every log line and every
//! trace switched on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lapin::options::BasicGetOptions;
use milepost::domain::authentication::AuthScheme;
use milepost::domain::provider::ProviderId;
use milepost::domain::samples::{SampleSource, SignedWebhook, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::{EXPRESS_247, TELYPORT as TELYPORT_PROVIDER};
use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::eventually;
use crate::support::fixtures::{EXPRESS, TELYPORT, account};
use crate::support::fleet::telyport_body;
use crate::support::process::{Process, Program};
use crate::support::proxy::Proxy;
use crate::support::servers::{Vhost, client};

/// Everything that must not be seen has this in it, or is a signature made with it.
const SENTINEL: &str = "sentinel";

fn with_secrets(program: Program) -> Program {
    let accounts = |provider| format!("MILEPOST__PROVIDERS__{provider}__ACCOUNTS");
    program
        .env(&format!("{}__{}__SECRETS", accounts("TELYPORT"), account()), r#"["sentinel-hmac"]"#)
        .env(&format!("{}__{}__SECRETS", accounts("247EXPRESS"), account()), r#"["sentinel-key"]"#)
        .env(&format!("{}__BASIC-{}__AUTH", accounts("247EXPRESS"), account()), "basic")
        .env(
            &format!("{}__BASIC-{}__SECRETS", accounts("247EXPRESS"), account()),
            r#"["user:sentinel-password"]"#,
        )
        .env("MILEPOST__LOG__FILTER", "trace")
}

fn sign(
    provider: &dyn SampleSource,
    body: impl Into<Bytes>,
    scheme: AuthScheme,
    secret: &str,
) -> SignedWebhook {
    let secret = Secret::new(secret.as_bytes()).expect("not empty");
    provider.sign(body.into(), &Signing { scheme, header: None, secret: &secret })
}

fn telyport(body: impl Into<Bytes>, secret: &str) -> SignedWebhook {
    sign(&TELYPORT_PROVIDER, body, AuthScheme::Hmac, secret)
}

fn express(body: &str, scheme: AuthScheme, secret: &str) -> SignedWebhook {
    sign(&EXPRESS_247, body.to_owned(), scheme, secret)
}

async fn post(receiver: &Process, path: &str, webhook: SignedWebhook) -> (u16, String) {
    let url = format!("http://{}/webhooks/{path}", receiver.webhooks().await);
    let mut request = client().post(url);
    for (name, value) in webhook.headers {
        request = request.header(name, value);
    }
    let answer = request.body(webhook.body).send().await.expect("the receiver answers");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

const ORDER: &str = r#"{"ApiKey":"","OrderCode":"sentinel-order","Status":"sentinel-status","TransactionId":"sentinel-id","Mailman":"sentinel-name","Time":"sentinel-time"}"#;
const NO_ORDER: &str = r#"{"ApiKey":"","Status":"21","sentinel-field":"sentinel-value"}"#;

/// Webhooks of every fate.
async fn post_all(receiver: &Process) {
    let (to_telyport, to_express) = (format!("telyport/{}", account()), format!("247express/{}", account()));
    let body = telyport_body("sentinel-order", "sentinel-id", "sentinel-status");
    let nameless =
        r#"{"event":"ORDER.STATUS_UPDATED","data":{"status":"sentinel"},"webhookEventID":"sentinel"}"#;
    for (webhook, code) in [
        (telyport(body.clone(), "sentinel-hmac"), 200),
        (telyport("{\"sentinel\": malformed", "sentinel-hmac"), 200),
        (telyport(nameless, "sentinel-hmac"), 200),
        (telyport(body.clone(), "sentinel-of-another"), 401),
        (
            SignedWebhook {
                headers: vec![("x-hmac-sha256".to_owned(), "sentinel".to_owned())],
                body: body.into(),
            },
            401,
        ),
    ] {
        assert_eq!(post(receiver, &to_telyport, webhook).await.0, code);
    }
    for (webhook, refused) in [
        (express(ORDER, AuthScheme::ApiKey, "sentinel-key"), false),
        (express(NO_ORDER, AuthScheme::ApiKey, "sentinel-key"), false),
        (express(ORDER, AuthScheme::ApiKey, "sentinel-of-another"), true),
        (SignedWebhook { headers: vec![], body: Bytes::from_static(b"[\"sentinel\"]") }, true),
    ] {
        let (code, answer) = post(receiver, &to_express, webhook).await;
        assert_eq!((code, answer.contains(r#""IsError":true"#)), (200, refused), "{answer}");
        assert!(!answer.contains(SENTINEL), "{answer}");
    }
    for (secret, code) in [("user:sentinel-password", 200), ("user:sentinel-of-another", 401)] {
        let webhook = express(ORDER, AuthScheme::Basic, secret);
        assert_eq!(post(receiver, &format!("247express/basic-{}", account()), webhook).await.0, code);
    }
    let unknown = telyport("sentinel", "sentinel-hmac");
    assert_eq!(post(receiver, "telyport/sentinel-account?sentinel=1", unknown.clone()).await.0, 404);
    assert_eq!(post(receiver, "sentinel-provider", unknown).await.0, 404);
}

/// What must not be seen: the sentinel, and what is made from secrets that hold it.
fn forbidden() -> Vec<String> {
    let body = telyport_body("sentinel-order", "sentinel-id", "sentinel-status");
    let signature = telyport(body, "sentinel-hmac").headers.remove(0).1;
    let basic = STANDARD.encode("user:sentinel-password");
    vec![SENTINEL.to_owned(), signature, basic]
}

fn assert_clean(what: &str, text: &str) {
    let text = text.to_lowercase();
    for forbidden in forbidden() {
        let line = text.lines().find(|line| line.contains(&forbidden.to_lowercase()));
        assert_eq!(line, None, "{what} shows {forbidden}");
    }
}

async fn settled(worker: &Process, outcome: &str, count: f64) {
    let label = format!(r#"outcome="{outcome}""#);
    eventually(&format!("{outcome}: {count}"), || async {
        (worker.metric("milepost_messages_settled_total", &[&label]).await == count).then_some(())
    })
    .await;
}

/// Takes the parked messages, and looks at all of them but their bodies, which are kept whole.
async fn assert_parked_headers_are_clean(vhost: &Vhost, provider: ProviderId, count: usize) {
    let channel = vhost.channel().await;
    let queue = format!("milepost.parked.{provider}");
    for _ in 0..count {
        let options = BasicGetOptions { no_ack: true };
        let parked = channel.basic_get(queue.as_str().into(), options).await.expect("the queue is there");
        let parked = parked.expect("a parked message");
        assert_clean("a parked header", &format!("{:?}", parked.properties));
        let body = String::from_utf8_lossy(&parked.data).into_owned();
        assert!(body.contains(SENTINEL), "the body is not whole: {body}");
        assert!(!body.contains("sentinel-key"), "a credential is stored");
    }
}

#[tokio::test]
async fn no_secret_and_no_body_is_in_a_log_a_metric_a_span_or_a_parked_header() {
    let (vhost, collector) = (Vhost::new().await, Collector::start().await);
    let spawn =
        |program| with_secrets(program).env("MILEPOST__TRACING__OTLP_ENDPOINT", &collector.endpoint).spawn();
    let mut receiver = spawn(Program::receiver(&vhost.amqp_url));
    let mut telyport = spawn(Program::worker(TELYPORT, &vhost.amqp_url));
    let mut express = spawn(Program::worker(EXPRESS, &vhost.amqp_url));
    for process in [&receiver, &telyport, &express] {
        process.ready().await;
    }
    post_all(&receiver).await;
    settled(&telyport, "published", 1.0).await;
    settled(&telyport, "parked", 2.0).await;
    settled(&express, "published", 2.0).await;
    settled(&express, "parked", 1.0).await;
    assert_parked_headers_are_clean(&vhost, TELYPORT, 2).await;
    assert_parked_headers_are_clean(&vhost, EXPRESS, 1).await;
    receiver.stderr.with("webhook accepted").await;
    for process in [&mut receiver, &mut telyport, &mut express] {
        assert_clean("a metric", &process.ask("/metrics").await.1);
        process.signal("TERM");
        assert_eq!(process.exit().await, Some(0));
        let lines = process.stderr.all();
        assert_clean("a log line", &lines.join("\n"));
        assert_eq!(process.stdout.all(), [""; 0]);
        for line in lines {
            let line: Value = serde_json::from_str(&line).expect("a line of JSON");
            let (level, target) = (line["level"].as_str(), line["target"].as_str().unwrap_or_default());
            let quiet = !target.starts_with("lapin") || matches!(level, Some("WARN" | "ERROR"));
            assert!(quiet, "lapin's frames are not for logs: {line}");
        }
    }
    let spans = collector.spans();
    assert!(spans.len() > 20, "they end with their processes: {spans:#?}");
    assert_clean("a span", &format!("{spans:#?}"));
}

#[tokio::test]
async fn a_broker_that_is_away_does_not_bring_its_password_into_the_log() {
    let broker = Proxy::to("amqp://sentinel-user:sentinel-password@127.0.0.1:5672/sentinel");
    let mut receiver = with_secrets(Program::receiver(&broker.url())).spawn();
    receiver.stderr.with("cannot publish yet").await;
    receiver.ask("/readyz").await;
    receiver.signal("TERM");
    assert_eq!(receiver.exit().await, Some(0));
    assert_clean("a log line", &receiver.stderr.all().join("\n"));
}
