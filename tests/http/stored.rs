//! What is stored of a webhook, and what the log says of it.

use milepost::domain::envelope::{Envelope, TraceContext};
use milepost::domain::history::History;
use milepost::domain::provider::ProviderId;

use crate::support::{Setup, log, signed, start};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn the_envelope_has_the_exact_bytes_and_what_is_known_of_them() {
    let (server, publisher) = start(Setup { provider: "exact", ..Setup::default() }).await;
    let body: Vec<u8> = (0..=255).collect();
    let headers = format!(
        "content-type: application/json; charset=utf-8\r\ntraceparent: {TRACEPARENT}\r\ntracestate: a=1,b=2\r\n"
    );
    let reply = server.exchange(signed("/webhooks/exact/shop-1", &headers, &body)).await;

    let expected = Envelope {
        receipt: reply.receipt().to_string().parse().expect("a receipt"),
        provider: ProviderId::new("exact"),
        account: "shop-1".parse().unwrap(),
        content_type: Some("application/json; charset=utf-8".to_owned()),
        attempt: 0,
        crashes: 0,
        replay: None,
        reason: None,
        history: History::default(),
        trace: TraceContext {
            traceparent: Some(TRACEPARENT.to_owned()),
            tracestate: Some("a=1,b=2".to_owned()),
        },
        body: body.into(),
    };
    assert_eq!(publisher.taken(), [expected]);
}

#[tokio::test]
async fn two_requests_in_one_millisecond_have_two_receipts() {
    let (server, _publisher) = start(Setup { provider: "twice", ..Setup::default() }).await;
    let first = server.exchange(signed("/webhooks/twice", "", b"{}")).await;
    let second = server.exchange(signed("/webhooks/twice", "", b"{}")).await;
    assert_ne!(first.receipt(), second.receipt());
}

#[tokio::test]
async fn a_header_that_cannot_be_passed_on_is_left_out() {
    let (server, publisher) = start(Setup { provider: "headers", ..Setup::default() }).await;
    let stored = async |headers: String| {
        assert_eq!(server.exchange(signed("/webhooks/headers", &headers, b"{}")).await.code, 200);
        publisher.taken().pop().unwrap()
    };
    for broken in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
    ] {
        let envelope = stored(format!("traceparent: {broken}\r\ntracestate: a=1\r\n")).await;
        assert_eq!((envelope.trace, broken), (TraceContext::default(), broken));
    }
    let states = [(512, true), (513, false)];
    for (length, kept) in states {
        let state = "s".repeat(length);
        let trace = stored(format!("traceparent: {TRACEPARENT}\r\ntracestate: {state}\r\n")).await.trace;
        assert_eq!(trace.traceparent.as_deref(), Some(TRACEPARENT));
        assert_eq!(trace.tracestate, kept.then_some(state));
    }
    for (length, kept) in [(255, true), (256, false)] {
        let content_type = "t".repeat(length);
        let envelope = stored(format!("content-type: {content_type}\r\n")).await;
        assert_eq!(envelope.content_type, kept.then_some(content_type));
    }
}

#[tokio::test]
async fn invariant_9_the_log_accounts_for_each_request_and_shows_nothing_of_it() {
    let (log, _guard) = log();
    let (server, _publisher) = start(Setup { provider: "logged", ..Setup::default() }).await;
    let logged = || -> serde_json::Value {
        let text = log.take();
        for private in ["s3cret", "Jane Doe", "intruder", "x-signature", "c0ffee"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
        let line = text.lines().find(|line| line.contains("webhook")).expect("a line");
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        // Of a refusal there is who had it.
        let fields = line["fields"].as_object_mut().unwrap();
        if let Some(peer) = fields.remove("peer") {
            assert!(peer.as_str().unwrap().starts_with("127.0.0.1:"), "{peer}");
            assert_eq!(fields.remove("count"), Some(1.into()));
        }
        // The span around it was looked at as well, and is no part of a line of Milepost's own.
        line.as_object_mut().unwrap().retain(|name, _| name != "span" && name != "spans");
        line
    };

    let body = br#"{"name":"Jane Doe"}"#;
    let reply = server.exchange(signed("/webhooks/logged/shop-1", "", body)).await;
    assert_eq!(
        logged(),
        serde_json::json!({"level": "DEBUG", "fields": {"message": "webhook accepted", "provider": "logged",
            "receipt.id": reply.receipt().to_string(), "account": "shop-1", "code": 200}})
    );
    let reply = server.exchange(signed("/webhooks/logged/intruder", "x-token: c0ffee\r\n", body)).await;
    assert_eq!(
        logged(),
        serde_json::json!({"level": "INFO", "fields": {"message": "webhook rejected", "provider": "logged",
            "receipt.id": reply.receipt().to_string(), "code": 404, "reason": "unknown_account"}})
    );
    let reply = server.exchange(signed("/webhooks/logged/lost", "", body)).await;
    assert_eq!(
        logged(),
        serde_json::json!({"level": "WARN", "fields": {"provider": "logged", "account": "lost", "code": 503,
            "message": "webhook not taken, through no fault of its sender", "reason": "no_secret",
            "receipt.id": reply.receipt().to_string()}})
    );
}
