//! What says its body's length in two ways is refused: a proxy and we could see two different requests in it.

use crate::support::{Setup, metric, signature, signed, start};

const BODY: &[u8] = b"4\r\n{  }\r\n0\r\n\r\n";

#[tokio::test]
async fn content_length_beside_transfer_encoding_is_refused_and_its_connection_ends() {
    let (server, publisher) = start(Setup { provider: "smuggled", ..Setup::default() }).await;
    let length = BODY.len();
    let both = [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n".to_owned(),
    ];
    let refused = |count: u64| {
        let series = r#"milepost_webhooks_rejected_total{provider="smuggled",reason="ambiguous_length"}"#;
        assert_eq!(metric(series), Some(count));
    };
    for (at, lengths) in both.iter().enumerate() {
        let signature = signature(b"{  }");
        let head = format!("POST /webhooks/smuggled HTTP/1.1\r\nhost: m\r\n{lengths}{signature}\r\n");
        let mut client = server.connect().await;
        // On a connection that was good so far, too.
        client.send(signed("/webhooks/smuggled", "", b"{}")).await;
        assert_eq!(client.reply().await.code, 200);
        client.send([head.as_bytes(), BODY, &signed("/webhooks/smuggled", "", b"{}")].concat()).await;
        let reply = client.reply().await;
        assert_eq!(
            (reply.code, reply.body.as_str()),
            (400, "the body's length is said in two ways\n"),
            "{lengths}"
        );
        assert_eq!(reply.header("connection"), Some("close"));
        reply.receipt();
        client.sees_the_end().await;
        refused(at as u64 + 1);
    }
    assert_eq!(publisher.taken().len(), both.len());
}

/// hyper refuses these by itself.
#[tokio::test]
async fn two_lengths_and_encodings_that_end_in_no_chunks_are_refused() {
    let (server, publisher) = start(Setup { provider: "lengths", ..Setup::default() }).await;
    for lengths in [
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2, 3\r\n",
        "content-length: +2\r\n",
        "content-length: 0x2\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: identity\r\n",
        "content-length : 2\r\n",
        "x: y\r\n content-length: 2\r\n",
    ] {
        let signature = signature(b"{}");
        let request = format!("POST /webhooks/lengths HTTP/1.1\r\nhost: m\r\n{lengths}{signature}\r\n{{}}");
        let mut client = server.connect().await;
        client.send(request).await;
        assert_eq!(client.reply().await.code, 400, "{lengths}");
        client.sees_the_end().await;
    }
    assert_eq!(publisher.taken(), []);
}
