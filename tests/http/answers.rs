//! What senders get as an answer.

use milepost::domain::answer::{Answer, RejectionKind};
use milepost::domain::authentication::AuthScheme;
use milepost::ports::PublishError;

use crate::support::{FakePublisher, Reply, Server, Setup, UNPROVEN, metric, signature, signed, start};

const BODY: &[u8] = br#"{"id":1}"#;

/// Asserts one answer and its counters.
fn expect(provider: &str, reply: &Reply, code: u16, reason: &str, body: &str) {
    reply.receipt();
    assert_eq!((reply.code, reply.body.as_str()), (code, body));
    let retry_after = (code == 503).then_some("7");
    assert_eq!(reply.header("retry-after"), retry_after);
    let allow = (code == 405).then_some("POST");
    assert_eq!(reply.header("allow"), allow);
    let requests =
        format!(r#"milepost_http_requests_total{{provider="{provider}",code="{code}",result="{reason}"}}"#);
    assert_eq!(metric(&requests), Some(1), "{requests}");
}

async fn server(provider: &'static str) -> (Server, std::sync::Arc<FakePublisher>) {
    start(Setup { provider, ..Setup::default() }).await
}

#[tokio::test]
async fn invariant_1_a_webhook_is_accepted_only_after_the_broker_confirmed_it() {
    let (server, publisher) = start(Setup { provider: "confirmed", held: true, ..Setup::default() }).await;
    let mut client = server.connect().await;
    client.send(signed("/webhooks/confirmed", "", BODY)).await;
    publisher.has_taken(1).await;
    client.hears_nothing().await;

    publisher.release(1);
    let reply = client.reply().await;
    expect("confirmed", &reply, 200, "accepted", "");
    assert_eq!(publisher.taken()[0].receipt.to_string(), reply.receipt().to_string());
}

#[tokio::test]
async fn what_the_broker_did_not_store_is_answered_503_with_retry_after() {
    let (server, publisher) = server("broken").await;
    for (error, reason) in [
        (PublishError::Refused, "broker_refused"),
        (PublishError::Unavailable, "broker_unavailable"),
        (PublishError::Unconfirmed, "unconfirmed"),
    ] {
        publisher.reply(Err(error));
        let reply = server.exchange(signed("/webhooks/broken", "", BODY)).await;
        expect("broken", &reply, 503, reason, "cannot store it now, send it again\n");
        let rejected = format!(r#"milepost_webhooks_rejected_total{{provider="broken",reason="{reason}"}}"#);
        assert_eq!(metric(&rejected), Some(1));
    }
}

#[tokio::test]
async fn what_is_refused_at_the_door_never_reaches_the_broker() {
    let (server, publisher) = server("door").await;
    let post = |path: &str, extra: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: m\r\ncontent-length: 8\r\n{extra}\r\n{{\"id\":1}}")
            .into_bytes()
    };
    let forged = format!("x-signature: {}\r\n", "0".repeat(64));
    let not_authentic = "not authentic\n";
    let no_such = "no such webhook\n";

    let reply = server.exchange(post("/webhooks/door", "")).await;
    expect("door", &reply, 401, "missing_credential", not_authentic);
    let reply = server.exchange(post("/webhooks/door", &forged)).await;
    expect("door", &reply, 401, "wrong_credential", not_authentic);
    let reply = server.exchange(signed("/webhooks/door/lost", "", BODY)).await;
    expect("door", &reply, 503, "no_secret", "cannot store it now, send it again\n");
    let reply = server.exchange(signed("/webhooks/door/stranger", "", BODY)).await;
    expect("door", &reply, 404, "unknown_account", no_such);
    let reply = server.exchange("GET /webhooks/door HTTP/1.1\r\nhost: m\r\n\r\n").await;
    expect("door", &reply, 405, "wrong_method", "POST only\n");
    assert_eq!(publisher.taken(), []);
}

/// Nothing of the body is needed to refuse these, so nothing of it is waited for.
#[tokio::test]
async fn what_the_headers_prove_false_is_refused_before_the_body_is_sent() {
    let (server, publisher) = server("headers-first").await;
    let head = |extra: &str| {
        format!("POST /webhooks/headers-first HTTP/1.1\r\nhost: m\r\ncontent-length: 8\r\n{extra}\r\n")
    };
    for (extra, reason) in [
        ("", "missing_credential"),
        ("authorization: Bearer s3cret\r\n", "missing_credential"),
        ("x-signature: s3cret\r\n", "wrong_credential"),
        ("x-signature: 00\r\n", "wrong_credential"),
    ] {
        let before = metric(&rejected("headers-first", reason)).unwrap_or(0);
        let reply = server.exchange(head(extra)).await;
        assert_eq!((reply.code, reply.body.as_str()), (401, "not authentic\n"), "{extra}");
        assert_eq!(metric(&rejected("headers-first", reason)), Some(before + 1), "{extra}");
    }
    let lost = head("").replace("/headers-first", "/headers-first/lost");
    assert_eq!(server.exchange(lost).await.code, 503);
    // This one may still be right.
    let mut client = server.connect().await;
    client.send(head(&signature(BODY))).await;
    client.hears_nothing().await;
    client.send(BODY).await;
    assert_eq!(client.reply().await.code, 200);
    assert_eq!(publisher.taken().len(), 1);
}

#[tokio::test]
async fn of_two_signatures_the_second_may_be_the_right_one() {
    let (server, publisher) = server("rotating").await;
    assert_eq!(server.exchange(signed("/webhooks/rotating", UNPROVEN, BODY)).await.code, 200);
    assert_eq!(server.exchange(signed("/webhooks/rotating", &UNPROVEN.repeat(7), BODY)).await.code, 200);
    let many = server.exchange(signed("/webhooks/rotating", &UNPROVEN.repeat(8), BODY)).await;
    expect("rotating", &many, 401, "wrong_credential", "not authentic\n");
    assert_eq!(publisher.taken().len(), 2);
}

fn rejected(provider: &str, reason: &str) -> String {
    format!(r#"milepost_webhooks_rejected_total{{provider="{provider}",reason="{reason}"}}"#)
}

#[tokio::test]
async fn no_account_but_a_configured_one_is_known() {
    let (server, publisher) = server("accounts").await;
    let long = "a".repeat(65);
    for account in ["stranger", "DEFAULT", "def%61ult", "shop-1/default", "shop-1//", &long] {
        let reply = server.exchange(signed(&format!("/webhooks/accounts/{account}"), "", BODY)).await;
        assert_eq!((reply.code, account), (404, account));
        reply.receipt();
    }
    assert_eq!(publisher.taken(), []);
}

#[tokio::test]
async fn an_unknown_path_is_404_under_one_label() {
    let (server, publisher) = server("somebody").await;
    for path in
        ["/", "/webhooks", "/webhooks/", "/webhooks/no-such", "/webhooks/no-such/x", "//webhooks/somebody"]
    {
        let reply = server.exchange(signed(path, "", BODY)).await;
        assert_eq!((reply.code, reply.body.as_str(), path), (404, "no such webhook\n", path));
        reply.receipt();
    }
    assert_eq!(publisher.taken(), []);
    let unknown =
        metric(r#"milepost_http_requests_total{provider="unknown",code="404",result="unknown_provider"}"#);
    assert!(unknown >= Some(6));
    assert_eq!(metric(r#"milepost_webhooks_rejected_total{provider="no-such""#), None);
}

/// A contract like that of the providers that delete what is answered with 4xx, or read only the body.
fn own_words(scheme: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
    let code = match outcome {
        Ok(()) => return Answer::text(200, "OK"),
        Err(RejectionKind::NotAuthentic) => 401,
        Err(_) => 503,
    };
    Answer::json(code, if scheme.is_some() { "{\"known\":true}".into() } else { "{\"known\":false}".into() })
}

#[tokio::test]
async fn once_the_provider_is_known_every_answer_is_in_its_own_words() {
    let mut setup = Setup { provider: "worded", answers: own_words, ..Setup::default() };
    setup.limits.body_timeout = std::time::Duration::from_millis(50);
    let (server, publisher) = start(setup).await;
    let known = "{\"known\":true}";

    let reply = server.exchange(signed("/webhooks/worded", "", BODY)).await;
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    expect("worded", &reply, 200, "accepted", "OK");
    let reply = server.exchange("POST /webhooks/worded HTTP/1.1\r\nhost: m\r\n\r\n").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    expect("worded", &reply, 401, "missing_credential", known);
    let reply = server.exchange("PUT /webhooks/worded HTTP/1.1\r\nhost: m\r\n\r\n").await;
    expect("worded", &reply, 503, "wrong_method", known);
    let reply = server.exchange(signed("/webhooks/worded/stranger", "", BODY)).await;
    expect("worded", &reply, 503, "unknown_account", "{\"known\":false}");
    let unproven = |length: u32| {
        format!("POST /webhooks/worded HTTP/1.1\r\nhost: m\r\ncontent-length: {length}\r\n{UNPROVEN}\r\n{{")
    };
    let reply = server.exchange(unproven(1001)).await;
    expect("worded", &reply, 503, "too_large", known);
    let reply = server.exchange(unproven(2)).await;
    expect("worded", &reply, 503, "too_slow", known);
    assert_eq!(publisher.taken().len(), 1);
}

#[tokio::test]
async fn each_of_a_webhooks_paths_leads_to_its_account() {
    let setup = Setup { provider: "paths", path: Some("/CourierUpdate"), ..Setup::default() };
    let (server, publisher) = start(setup).await;
    for (path, account) in [
        ("/webhooks/paths", "default"),
        ("/webhooks/paths/", "default"),
        ("/webhooks/paths/default", "default"),
        ("/webhooks/paths/shop-1", "shop-1"),
        ("/webhooks/paths/shop-1/", "shop-1"),
        ("/webhooks/paths/shop-1?page=2", "shop-1"),
        ("/CourierUpdate", "default"),
        ("/CourierUpdate/", "default"),
    ] {
        let reply = server.exchange(signed(path, "", BODY)).await;
        assert_eq!((reply.code, path), (200, path));
        let stored = publisher.taken().pop().unwrap();
        assert_eq!(
            (stored.receipt.to_string(), stored.account.as_str()),
            (reply.receipt().to_string(), account)
        );
    }
    assert_eq!(publisher.taken().len(), 8);
}

#[tokio::test]
async fn a_wrong_content_type_is_no_reason_to_refuse() {
    let (server, _publisher) = server("typed").await;
    for content_type in ["", "content-type: text/html\r\n", "content-type: \u{fe}\r\n"] {
        assert_eq!(server.exchange(signed("/webhooks/typed", content_type, BODY)).await.code, 200);
    }
}

#[tokio::test]
async fn the_body_is_asked_for_only_when_it_is_wanted() {
    let (server, _publisher) = server("expectant").await;
    let head = |path: &str| {
        let signature = signature(BODY);
        format!(
            "POST {path} HTTP/1.1\r\nhost: m\r\ncontent-length: 8\r\nexpect: 100-continue\r\n{signature}\r\n"
        )
    };
    let mut client = server.connect().await;
    client.send(head("/webhooks/expectant")).await;
    assert_eq!(client.reply().await.code, 100);
    client.send(BODY).await;
    assert_eq!(client.reply().await.code, 200);

    assert_eq!(server.exchange(head("/webhooks/expectant/stranger")).await.code, 404);
}
