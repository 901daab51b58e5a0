//! A proxy keeps its connections to us longer than a request's head may take, and posts into them when it likes.

use std::time::Duration;

use milepost::domain::authentication::AuthScheme;
use milepost::domain::samples::{SampleSource as _, Signing};
use milepost::domain::secret::Secret;
use milepost::providers::TELYPORT;

use crate::support::fleet::telyport_body;
use crate::support::front::{Front, Place};
use crate::support::process::Program;
use crate::support::servers::client;

const SECRET: &str = "of the front's sender";
const HEADER_TIMEOUT_MS: u64 = 200;
const POSTS: usize = 5;

/// haproxy never closes an idle connection here, so only the receiver closes connections.
#[tokio::test]
async fn a_proxy_that_keeps_connections_meets_none_that_is_being_closed() {
    let place = Place::free();
    let addr = |port: u16| format!("127.0.0.1:{port}");
    let _receiver = Program::milepost("run")
        .env("MILEPOST_HTTP_ADDR", &addr(place.webhooks))
        .env("MILEPOST_ADMIN_ADDR", &addr(place.admin))
        .env("MILEPOST__HTTP__HEADER_TIMEOUT_MS", &HEADER_TIMEOUT_MS.to_string())
        .env("MILEPOST__PROVIDERS__TELYPORT__ACCOUNTS__DEFAULT__SECRETS", &format!(r#"["{SECRET}"]"#))
        .spawn();
    let front = Front::with(&[place], "pool-purge-delay 1h").await;
    front.sends_to(0).await;
    let secret = Secret::new(SECRET.as_bytes()).expect("not empty");
    let signing = Signing { scheme: AuthScheme::Hmac, header: None, secret: &secret };
    // One, that keeps its connection to the front: haproxy never sends the first request of one into a connection that it kept.
    let sender = client();
    for number in 0..POSTS {
        let webhook = TELYPORT.sign(telyport_body("D1", &format!("e{number}"), "NEW").into(), &signing);
        let request = sender.post(format!("{}/webhooks/telyport", front.url)).body(webhook.body);
        let request =
            webhook.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "webhook {number}");
        // An answer that is not read to its end costs the sender its connection.
        answer.bytes().await.expect("the whole answer");
        // Idle for longer than a head may take: that is what is tested.
        tokio::time::sleep(Duration::from_millis(2 * HEADER_TIMEOUT_MS)).await;
    }
    let counts = front.counts().await;
    assert_eq!(
        (counts.accepted, counts.connections),
        (POSTS as u64, 1),
        "each webhook on the one connection"
    );
    assert_eq!((counts.answered_5xx, counts.retried, counts.broken), (0, 0, 0));
}
