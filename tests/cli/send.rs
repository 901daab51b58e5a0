//! `milepost send`: what is sent, and where to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use milepost::cli::Exit;
use milepost::cli::send::delivered::{Delivered, ProviderReply, SendOutcome, Which};
use milepost::cli::send::tally::SendTally;
use milepost::cli::send::{run_into, target};
use milepost::domain::provider::ProviderId;
use reqwest::header::HeaderName;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::time::Instant;

use crate::fake::{Receiver, Request, args, sent, serve};

const FIRST_BODY: &str = r#"{"at":"2025-01-01T00:00:07Z","id":"0000000000000007-0","status":"NEW"}"#;

#[tokio::test]
async fn a_signed_webhook_reaches_the_providers_path_and_is_accepted() {
    let (receiver, address) = Receiver::started(&[(200, "")]).await;
    let (exit, lines) = sent(&args(&format!("http://{address}"))).await;
    assert_eq!(exit, Exit::Done);
    let line = json!({"number": 0, "step": 0, "sample": "new", "duplicate": false, "outcome": "accepted", "code": 200, "receipt": "receipt-1", "error": null, "tries": 1});
    assert_eq!(lines, [line]);
    let request = Request {
        path: "/webhooks/fake/default".to_owned(),
        content_type: "application/json".to_owned(),
        signature: "372b221aa51e7580885b609f8ca9126f0cc71288b95aa5d9d2dad5b3cdb6fc12".to_owned(),
        mine: String::new(),
        body: FIRST_BODY.to_owned(),
    };
    assert_eq!(receiver.requests(), [request]);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_bytes_and_another_one_others() {
    let (receiver, address) = Receiver::started(&[(200, "")]).await;
    let mut args = args(&format!("http://{address}"));
    (args.count, args.concurrency) = (3, 1);
    for seed in [7, 7, 8] {
        args.seed = Some(seed);
        assert_eq!(sent(&args).await.0, Exit::Done);
    }
    let requests = receiver.requests();
    let [first, second, third] = [&requests[0..3], &requests[3..6], &requests[6..9]];
    assert_eq!(first, second);
    let bodies =
        |requests: &[Request]| requests.iter().map(|request| request.body.clone()).collect::<Vec<_>>();
    assert_eq!(
        bodies(first),
        [
            FIRST_BODY,
            r#"{"at":"2025-01-01T00:00:07Z","id":"0000000000000007-1","status":"NEW"}"#,
            r#"{"at":"2025-01-01T00:00:07Z","id":"0000000000000007-2","status":"NEW"}"#,
        ]
    );
    assert_eq!(bodies(third)[0], r#"{"at":"2025-01-01T00:00:08Z","id":"0000000000000008-0","status":"NEW"}"#);
}

#[tokio::test]
async fn a_file_is_sent_as_it_is_signed_with_the_secret_of_a_file() {
    let (receiver, address) = Receiver::started(&[(200, "")]).await;
    let directory = std::env::temp_dir().join(format!("milepost-cli-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let (body, secret) = (directory.join("body"), directory.join("secret"));
    std::fs::write(&body, "not json {").expect("a file");
    std::fs::write(&secret, "other secret\r\n").expect("a file");
    let mut args = args(&format!("http://{address}/else/where?x=1"));
    (args.file, args.secret_file, args.auth) = (Some(body), Some(secret), Some("basic".to_owned()));
    let exit = sent(&args).await.0;
    std::fs::remove_dir_all(&directory).expect("removed");
    assert_eq!(exit, Exit::Done);
    let request = &receiver.requests()[0];
    assert_eq!((request.path.as_str(), request.body.as_str()), ("/else/where", "not json {"));
    assert_eq!(request.signature, "dade9204ad9c3a7bf8f8503d7d9a855a8d869b4b0da921e2cd708faa1cfb15d6");
}

#[tokio::test]
async fn samples_are_listed_and_chosen_by_name() {
    let (receiver, address) = Receiver::started(&[(200, "")]).await;
    let mut args = args(&format!("http://{address}"));
    args.list = true;
    let mut out = Vec::new();
    assert_eq!(run_into(&args, &mut out).await.expect("listed"), Exit::Done);
    assert_eq!(
        out,
        b"new\nmoved\ndone\n--journey whole: new, done\n--journey reopened: new, done, new, moved, done\n"
    );
    assert_eq!(receiver.requests(), []);
    (args.list, args.sample) = (false, Some("done".to_owned()));
    assert_eq!(sent(&args).await.0, Exit::Done);
    let body = r#"{"at":"2025-01-01T00:00:07Z","id":"0000000000000007-0","status":"DONE"}"#;
    assert_eq!(receiver.requests()[0].body, body);
}

#[tokio::test]
async fn invalid_arguments_are_a_misuse_and_send_nothing() {
    let away = args("http://192.0.2.1/");
    let mut basic = args("http://127.0.0.1:1/");
    basic.auth = Some("basic".to_owned());
    let mut scheme = args("http://127.0.0.1:1/");
    scheme.auth = Some("api_key".to_owned());
    let mut sample = args("http://127.0.0.1:1/");
    sample.sample = Some("old".to_owned());
    let mut secret = args("http://127.0.0.1:1/");
    secret.secret = Some(String::new());
    let mut journey = args("http://127.0.0.1:1/");
    journey.journey = Some(Some("short".to_owned()));
    let mut header = args("http://127.0.0.1:1/");
    header.header = Some(HeaderName::from_static("x-mine"));
    for (args, says) in [
        (away, "a secret is needed"),
        (basic, "a secret is needed"),
        (scheme, "fake has only --auth hmac or basic or header"),
        (sample, "fake has no such sample"),
        (journey, "fake has no such journey"),
        (header, "an account of fake has no header of its own to choose"),
        (secret, "the secret is empty"),
    ] {
        let mut out = Vec::new();
        let error = run_into(&args, &mut out).await.expect_err("a misuse");
        assert!(error.downcast_ref::<clap::Error>().is_some(), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(out, b"");
    }
}

#[test]
fn targets() {
    let resolved = |url| {
        let url = target::parse(url).expect("a URL");
        target::resolve(url, ProviderId::new("telyport"), &"shop-1".parse().expect("an account")).to_string()
    };
    assert_eq!(resolved("http://127.0.0.1:8080"), "http://127.0.0.1:8080/webhooks/telyport/shop-1");
    assert_eq!(resolved("https://hooks.example/"), "https://hooks.example/webhooks/telyport/shop-1");
    assert_eq!(resolved("http://localhost/IntergrationAPI"), "http://localhost/IntergrationAPI");
    assert!(target::parse("ftp://127.0.0.1").is_err());
    assert!(target::parse("127.0.0.1:8080").is_err());
    assert!(target::parse("http://me:word@127.0.0.1").is_err());
    let loopback = |url| target::is_loopback(&target::parse(url).expect("a URL"));
    assert!(
        loopback("http://127.9.9.9") && loopback("http://[::1]:1/x") && loopback("http://localhost:8080")
    );
    assert!(
        !loopback("http://10.0.0.1") && !loopback("http://localhost.example") && !loopback("http://[::2]")
    );
}

#[tokio::test]
async fn so_many_at_once_and_no_more() {
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (seen, barrier) = (Arc::clone(&most), Arc::new(Barrier::new(4)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    serve(listener, move |_| {
        let (at_once, most, barrier) = (Arc::clone(&at_once), Arc::clone(&most), Arc::clone(&barrier));
        async move {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Goes on only when four are here.
            barrier.wait().await;
            at_once.fetch_sub(1, Ordering::SeqCst);
            Response::new(Full::default())
        }
    });
    let mut args = args(&format!("http://{address}"));
    (args.count, args.concurrency) = (12, 4);
    let (exit, lines) = sent(&args).await;
    assert_eq!((exit, lines.len(), seen.load(Ordering::SeqCst)), (Exit::Done, 12, 4));
}

#[test]
fn a_run_is_summed_up() {
    let delivered = |number, outcome, tries| Delivered {
        which: Which { number, step: 0, sample: Some("new"), duplicate: false },
        outcome,
        reply: ProviderReply::Answer { code: 401, receipt: None, body: b"no"[..].into() },
        tries,
        elapsed: Duration::from_millis(1234),
        last_try: Duration::from_millis(number + 1),
    };
    let mut tally = SendTally::new(Instant::now());
    for number in 0..200 {
        tally.add(&delivered(number, SendOutcome::Accepted, if number < 3 { 2 } else { 1 }));
    }
    assert!(tally.all_accepted());
    tally.add(&delivered(200, SendOutcome::Refused, 1));
    tally.add(&delivered(201, SendOutcome::GaveUp, 40));
    assert!(!tally.all_accepted());
    assert_eq!(tally.to_string(), "200 accepted, 4 resent, 1 refused, 1 gave up");
    tally.leave_out(3);
    assert_eq!(tally.to_string(), "200 accepted, 4 resent, 1 refused, 1 gave up, 3 not sent");
    let summary = tally.summary().to_string();
    assert!(summary.contains("accepted within 100.0 ms (p50), 198.0 ms (p99)"), "{summary}");
    assert!(
        summary
            .ends_with("; the first not accepted: #200 new                 refused  1 try, 1234 ms: 401: no"),
        "{summary}"
    );
}
