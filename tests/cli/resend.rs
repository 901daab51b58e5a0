//! `milepost send`: what becomes of a webhook that is not accepted at first.

use std::sync::Arc;
use std::time::Duration;

use milepost::adapters::tls::install_crypto_provider;
use milepost::cli::Exit;
use milepost::cli::send::delivered::{SendOutcome, Which};
use milepost::cli::send::post::Poster;
use milepost::domain::answer::Answer;
use milepost::domain::samples::SignedWebhook;
use serde_json::json;
use tokio::sync::Notify;

use crate::fake::{Receiver, STRICT, args, closed_port, sent};

#[tokio::test]
async fn what_the_receiver_cannot_store_is_sent_again_with_the_same_bytes() {
    let (receiver, address) = Receiver::started(&[(503, "later"), (200, "")]).await;
    let (exit, lines) = sent(&args(&format!("http://{address}"))).await;
    assert_eq!(exit, Exit::Done);
    let line = json!({"number": 0, "step": 0, "sample": "new", "duplicate": false, "outcome": "accepted", "code": 200, "receipt": "receipt-2", "error": null, "tries": 2});
    assert_eq!(lines, [line]);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1]);
}

#[tokio::test]
async fn other_answers_that_time_may_mend_are_sent_again_too() {
    let tries = async |code| {
        let (receiver, address) = Receiver::started(&[(code, ""), (200, "")]).await;
        let exit = sent(&args(&format!("http://{address}"))).await.0;
        (exit, receiver.requests().len())
    };
    let all = tokio::join!(tries(408), tries(429), tries(500), tries(302), tries(202));
    let again = (Exit::Done, 2);
    assert_eq!(all, (again, again, again, again, again));
}

#[tokio::test]
async fn a_receiver_that_is_down_is_tried_until_it_is_up() {
    install_crypto_provider();
    let (socket, address) = closed_port();
    let which = Which { number: 5, step: 0, sample: None, duplicate: false };
    let failed = Arc::new(Notify::new());
    let on_resend = Arc::clone(&failed);
    let poster = Poster::new(
        format!("http://{address}/").parse().expect("a URL"),
        Answer::empty(200),
        Duration::from_mins(1),
        Arc::new(move |resend| {
            assert_eq!(resend.which, which);
            assert!(resend.wait <= Duration::from_secs(2));
            on_resend.notify_one();
        }),
    )
    .expect("a poster");
    let receiver = Receiver::new(&[(200, "")]);
    let webhook = SignedWebhook {
        headers: vec![("x-fake-signature".to_owned(), "s".to_owned())],
        body: b"{}"[..].into(),
    };
    let (delivered, ()) = tokio::join!(poster.deliver(which, &webhook), async {
        failed.notified().await;
        receiver.serve(socket.listen(16).expect("listening"));
    });
    assert_eq!((delivered.which, delivered.outcome), (which, SendOutcome::Accepted));
    assert!(delivered.tries >= 2, "{}", delivered.tries);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn what_is_never_accepted_is_given_up_and_fails_the_command() {
    let (_socket, address) = closed_port();
    let mut args = args(&format!("http://{address}"));
    args.give_up = Duration::ZERO;
    let (exit, lines) = sent(&args).await;
    assert_eq!(exit, Exit::Failed);
    let line = json!({"number": 0, "step": 0, "sample": "new", "duplicate": false, "outcome": "gave_up", "code": null, "receipt": null,
        "error": "Connection refused (os error 111)", "tries": 1});
    assert_eq!(lines, [line]);

    args.give_up = Duration::from_secs(1);
    let (exit, lines) = sent(&args).await;
    assert_eq!((exit, &lines[0]["outcome"]), (Exit::Failed, &json!("gave_up")));
    // Between the first try and the one at the end of the time given there may be others.
    assert!(lines[0]["tries"].as_u64() >= Some(2), "{}", lines[0]);
}

#[tokio::test]
async fn a_refusal_is_final() {
    for code in [400, 401, 404, 405, 413] {
        let (receiver, address) = Receiver::started(&[(code, "no")]).await;
        let (exit, lines) = sent(&args(&format!("http://{address}"))).await;
        assert_eq!(exit, Exit::Failed);
        let line = json!({"number": 0, "step": 0, "sample": "new", "duplicate": false, "outcome": "refused", "code": code, "receipt": "receipt-1", "error": null, "tries": 1});
        assert_eq!(lines, [line]);
        assert_eq!(receiver.requests().len(), 1);
    }
}

#[tokio::test]
async fn where_success_has_a_body_another_body_is_a_refusal() {
    let outcome = async |code, body| {
        let (_receiver, address) = Receiver::started(&[(code, body)]).await;
        let mut args = args(&format!("http://{address}"));
        args.provider = Some(&STRICT);
        args.give_up = Duration::ZERO;
        sent(&args).await.1[0]["outcome"].clone()
    };
    assert_eq!(outcome(200, r#"{"IsError":false}"#).await, json!("accepted"));
    assert_eq!(outcome(200, r#"{"IsError":true}"#).await, json!("refused"));
    assert_eq!(outcome(200, "").await, json!("refused"));
    // The same words under a code that says "not now" are no refusal.
    assert_eq!(outcome(503, r#"{"IsError":true}"#).await, json!("gave_up"));
}
