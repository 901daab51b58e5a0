//! The log of refused webhooks: the first of a kind, and then how many there were.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Setup, log, signed, signed_with, start};

const PAUSE: Duration = Duration::from_secs(1);

/// The lines about refused webhooks that an operator sees: those above debug.
fn seen(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["level"] != "DEBUG" && line["fields"]["reason"].is_string()).collect()
}

#[tokio::test]
async fn the_first_of_a_kind_is_logged_with_its_peer_and_the_others_are_counted() {
    let (log, _guard) = log();
    let mut setup = Setup { provider: "flooded", ..Setup::default() };
    setup.limits.refusal_log_pause = PAUSE;
    let (server, _publisher) = start(setup).await;
    let mut client = server.connect().await;
    let forged = |extra: &str| signed_with("another", "/webhooks/flooded", extra, b"{}");
    let begun = std::time::Instant::now();
    for _ in 0..50 {
        client.send(forged("x-forwarded-for: 192.0.2.1, 192.0.2.7\r\n")).await;
        assert_eq!(client.reply().await.code, 401);
    }
    let lines = seen(&log.take());
    assert!(lines.len() as u64 <= 1 + begun.elapsed().as_secs(), "{}", lines.len());
    let first = &lines[0]["fields"];
    assert_eq!((&first["reason"], &first["count"]), (&"wrong_credential".into(), &1.into()));
    assert!(first["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{first}");
    assert_eq!(first["forwarded_for"], "192.0.2.7");
    let mut counted: u64 = lines.iter().map(|line| line["fields"]["count"].as_u64().unwrap()).sum();

    // Another account, and another reason, is another kind.
    client.send(signed_with("another", "/webhooks/flooded/shop-1", "", b"{}")).await;
    assert_eq!(client.reply().await.code, 401);
    client.send(signed("/webhooks/flooded/stranger", "", b"{}")).await;
    assert_eq!(client.reply().await.code, 404);
    assert_eq!(seen(&log.take()).iter().filter(|line| line["fields"]["count"] == 1).count(), 2);

    // The pause is what is tested.
    tokio::time::sleep(PAUSE).await;
    client.send(forged("x-forwarded-for: nonsense\r\n")).await;
    assert_eq!(client.reply().await.code, 401);
    let lines = seen(&log.take());
    let last = &lines[0]["fields"];
    assert_eq!((lines.len(), last.get("forwarded_for")), (1, None));
    counted += last["count"].as_u64().unwrap();
    assert_eq!(counted, 51);
}
