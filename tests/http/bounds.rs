//! Every size, wait and count has an end, and what was held is given back.

use std::time::Duration;

use crate::support::{Setup, UNPROVEN, metric, signature, signed, start, within};

const SHORT: Duration = Duration::from_millis(100);

fn chunked(path: &str, body: &[u8]) -> Vec<u8> {
    let signature = signature(body);
    let head = format!("POST {path} HTTP/1.1\r\nhost: m\r\ntransfer-encoding: chunked\r\n{signature}\r\n");
    let chunks = body.chunks(7).flat_map(|chunk| {
        [format!("{:x}\r\n", chunk.len()).into_bytes(), chunk.to_vec(), b"\r\n".to_vec()].concat()
    });
    head.into_bytes().into_iter().chain(chunks).chain(*b"0\r\n\r\n").collect()
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_taken() {
    let (server, publisher) = start(Setup { provider: "cap", ..Setup::default() }).await;
    let body = [b'x'; 1000];
    assert_eq!(server.exchange(signed("/webhooks/cap", "", &body)).await.code, 200);
    assert_eq!(server.exchange(chunked("/webhooks/cap", &body)).await.code, 200);
    assert!(publisher.taken().iter().all(|envelope| envelope.body[..] == body));
    assert_eq!(publisher.taken().len(), 2);
}

#[tokio::test]
async fn a_body_announced_over_the_cap_is_refused_before_it_is_sent() {
    let (server, publisher) = start(Setup { provider: "announced", ..Setup::default() }).await;
    for length in ["1001", "1000000000000"] {
        let head = format!(
            "POST /webhooks/announced HTTP/1.1\r\nhost: m\r\ncontent-length: {length}\r\n{UNPROVEN}\r\n"
        );
        let reply = server.exchange(head).await;
        assert_eq!((reply.code, reply.body.as_str()), (413, "the body is too large\n"));
        assert_eq!(reply.header("connection"), Some("close"));
        reply.receipt();
    }
    assert_eq!(publisher.taken(), []);
}

#[tokio::test]
async fn a_chunked_body_over_the_cap_is_refused() {
    let (server, publisher) = start(Setup { provider: "chunks", ..Setup::default() }).await;
    let reply = server.exchange(chunked("/webhooks/chunks", &[b'x'; 1001])).await;
    assert_eq!((reply.code, reply.body.as_str()), (413, "the body is too large\n"));
    reply.receipt();
    assert_eq!(publisher.taken(), []);
    assert_eq!(metric(r#"milepost_webhooks_rejected_total{provider="chunks",reason="too_large"}"#), Some(1));
}

#[tokio::test]
async fn a_sender_of_far_too_much_still_gets_to_read_its_answer() {
    let (server, _publisher) = start(Setup { provider: "flood", ..Setup::default() }).await;
    let reply = server.exchange(signed("/webhooks/flood", "", &vec![b'x'; 8_000_000])).await;
    assert_eq!(reply.code, 413);
}

#[tokio::test]
async fn a_slow_body_is_answered_408() {
    let mut setup = Setup { provider: "slow", ..Setup::default() };
    setup.limits.body_timeout = SHORT;
    let (server, publisher) = start(setup).await;
    let mut client = server.connect().await;
    let head =
        format!("POST /webhooks/slow HTTP/1.1\r\nhost: m\r\ncontent-length: 8\r\n{UNPROVEN}\r\n{{\"id\"");
    client.send(head).await;
    let reply = client.reply().await;
    assert_eq!((reply.code, reply.body.as_str()), (408, "the body did not arrive in time\n"));
    assert_eq!(reply.header("connection"), Some("close"));
    reply.receipt();
    client.sees_the_end().await;
    assert_eq!(publisher.taken(), []);
}

#[tokio::test]
async fn a_connection_that_never_finishes_its_headers_is_closed() {
    let mut setup = Setup { provider: "silent", ..Setup::default() };
    setup.limits.header_timeout = SHORT;
    let (server, _publisher) = start(setup).await;
    let mut client = server.connect().await;
    client.send("POST /webhooks/silent HTTP/1.1\r\nhost:").await;
    client.sees_the_end().await;
    server.connect().await.sees_the_end().await;
}

#[tokio::test]
async fn beyond_the_requests_in_flight_the_answer_is_503() {
    let mut setup = Setup { provider: "busy", held: true, ..Setup::default() };
    setup.limits.max_requests_in_flight = 1;
    let (server, publisher) = start(setup).await;
    let mut first = server.connect().await;
    first.send(signed("/webhooks/busy", "", b"{}")).await;
    publisher.has_taken(1).await;

    let reply = server.exchange(signed("/webhooks/busy", "", b"{}")).await;
    assert_eq!((reply.code, reply.header("retry-after")), (503, Some("7")));
    assert_eq!(reply.body, "cannot store it now, send it again\n");
    reply.receipt();
    assert_eq!(
        metric(r#"milepost_http_requests_total{provider="busy",code="503",result="saturated"}"#),
        Some(1)
    );

    publisher.release(2);
    assert_eq!(first.reply().await.code, 200);
    assert_eq!(server.exchange(signed("/webhooks/busy", "", b"{}")).await.code, 200);
    assert_eq!(publisher.taken().len(), 2);
}

#[tokio::test]
async fn beyond_the_bytes_in_flight_the_answer_is_503() {
    let mut setup = Setup { provider: "heavy", held: true, ..Setup::default() };
    setup.limits.max_bytes_in_flight = 1005;
    let (server, publisher) = start(setup).await;
    let mut first = server.connect().await;
    first.send(signed("/webhooks/heavy", "", b"123456")).await;
    publisher.has_taken(1).await;

    // 999 bytes are left: too few for a body of the cap.
    assert_eq!(server.exchange(signed("/webhooks/heavy", "", &[b'x'; 1000])).await.code, 503);
    assert_eq!(server.exchange(chunked("/webhooks/heavy", &[b'x'; 1000])).await.code, 503);
    let mut second = server.connect().await;
    second.send(signed("/webhooks/heavy", "", &[b'x'; 999])).await;
    publisher.has_taken(2).await;
    assert_eq!(server.exchange(signed("/webhooks/heavy", "", b"1")).await.code, 503);
    assert_eq!(server.exchange(chunked("/webhooks/heavy", b"1")).await.code, 503);
    let full = metric(r#"milepost_webhooks_rejected_total{provider="heavy",reason="saturated"}"#);
    assert_eq!(full, Some(4));

    publisher.release(3);
    assert_eq!(first.reply().await.code, 200);
    assert_eq!(second.reply().await.code, 200);
    assert_eq!(server.exchange(chunked("/webhooks/heavy", b"{}")).await.code, 200);
}

#[tokio::test]
async fn a_sender_that_leaves_inside_its_body_costs_nothing() {
    let mut setup = Setup { provider: "leaver", ..Setup::default() };
    setup.limits.max_requests_in_flight = 1;
    setup.limits.max_bytes_in_flight = 1000;
    let (server, publisher) = start(setup).await;
    let answered = async |code: u16| {
        within(async { while server.exchange(signed("/webhooks/leaver", "", b"{}")).await.code != code {} })
            .await;
    };
    let mut leaver = server.connect().await;
    let head =
        format!("POST /webhooks/leaver HTTP/1.1\r\nhost: m\r\ncontent-length: 1000\r\n{UNPROVEN}\r\n{{");
    leaver.send(head).await;
    answered(503).await;
    drop(leaver);
    answered(200).await;
    assert_eq!(publisher.taken().last().unwrap().body, "{}");
    let broken = r#"milepost_webhooks_rejected_total{provider="leaver",reason="broken_body"}"#;
    assert_eq!(metric(broken), Some(1));
}

#[tokio::test]
async fn a_sender_that_leaves_before_the_confirm_costs_nothing() {
    let mut setup = Setup { provider: "hasty", held: true, ..Setup::default() };
    setup.limits.max_requests_in_flight = 1;
    let (server, publisher) = start(setup).await;
    let mut hasty = server.connect().await;
    hasty.send(signed("/webhooks/hasty", "", b"{}")).await;
    publisher.has_taken(1).await;
    drop(hasty);

    // Refused until the server has noticed that the first one left; its confirm never comes.
    let mut next = within(async {
        loop {
            let mut next = server.connect().await;
            next.send(signed("/webhooks/hasty", "", b"{}")).await;
            tokio::select! {
                reply = next.reply() => assert_eq!(reply.code, 503),
                () = publisher.has_taken(2) => break next,
            }
        }
    })
    .await;
    publisher.release(1);
    assert_eq!(next.reply().await.code, 200);
}
