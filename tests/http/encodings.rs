//! Compressed bodies are refused, whichever bytes the signature is over: what would be stored is not what a worker reads.

use milepost::domain::answer::{Answer, RejectionKind};
use milepost::domain::authentication::AuthScheme;

use crate::support::{Setup, UNPROVEN, metric, signature, signed, start};

const PLAIN: &[u8] = b"{}";
/// `{}`, by Python's gzip.
const GZIP: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];
/// `{}`, by Python's zlib.
const DEFLATE: &[u8] = &[120, 156, 171, 174, 5, 0, 1, 117, 0, 249];

fn refused(provider: &str) -> Option<u64> {
    metric(&format!(
        r#"milepost_webhooks_rejected_total{{provider="{provider}",reason="unsupported_encoding"}}"#
    ))
}

/// A compressed body whose signature is over `over`.
fn compressed(path: &str, encoding: &str, body: &[u8], over: &[u8]) -> Vec<u8> {
    let (length, signature) = (body.len(), signature(over));
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: m\r\ncontent-length: {length}\r\n{encoding}{signature}\r\n");
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_compressed_body_is_refused_with_either_signature() {
    let (server, publisher) = start(Setup { provider: "compressed", ..Setup::default() }).await;
    let mut count = 0;
    for (encoding, body) in [
        ("content-encoding: gzip\r\n", GZIP),
        ("Content-Encoding: GZip\r\n", GZIP),
        ("content-encoding: x-gzip\r\n", GZIP),
        ("content-encoding: deflate\r\n", DEFLATE),
        ("content-encoding: br\r\n", PLAIN),
        ("content-encoding: identity, gzip\r\n", GZIP),
        ("content-encoding: identity\r\ncontent-encoding: gzip\r\n", GZIP),
    ] {
        for over in [body, PLAIN] {
            let reply = server.exchange(compressed("/webhooks/compressed", encoding, body, over)).await;
            assert_eq!(
                (reply.code, reply.body.as_str()),
                (415, "send the body uncompressed\n"),
                "{encoding}"
            );
            assert_eq!(reply.header("accept-encoding"), Some("identity"));
            reply.receipt();
            count += 1;
            assert_eq!(refused("compressed"), Some(count));
        }
    }
    assert_eq!(publisher.taken(), []);
}

#[tokio::test]
async fn identity_is_no_encoding() {
    let (server, publisher) = start(Setup { provider: "plain", ..Setup::default() }).await;
    for encoding in
        ["content-encoding: identity\r\n", "content-encoding: \r\n", "content-encoding: Identity , \r\n"]
    {
        assert_eq!(server.exchange(signed("/webhooks/plain", encoding, PLAIN)).await.code, 200, "{encoding}");
    }
    assert_eq!(publisher.taken().len(), 3);
}

/// Of a bomb nothing is inflated, and nothing is even read.
#[tokio::test]
async fn a_compressed_body_is_refused_before_it_is_read() {
    let (server, _publisher) = start(Setup { provider: "bomb", ..Setup::default() }).await;
    let head = format!(
        "POST /webhooks/bomb HTTP/1.1\r\nhost: m\r\ncontent-length: 1000\r\ncontent-encoding: gzip\r\n{UNPROVEN}\r\n"
    );
    assert_eq!(server.exchange(head).await.code, 415);
    // Who has no credential learns nothing of it.
    let head =
        "POST /webhooks/bomb HTTP/1.1\r\nhost: m\r\ncontent-length: 9\r\ncontent-encoding: gzip\r\n\r\n";
    assert_eq!(server.exchange(head).await.code, 401);
}

/// HubRise deletes what is answered with 4xx.
fn like_hubrise(_: Option<AuthScheme>, outcome: Result<(), RejectionKind>) -> Answer {
    Answer::empty(if outcome.is_ok() { 200 } else { 503 })
}

#[tokio::test]
async fn it_is_refused_in_the_providers_own_words() {
    let setup = Setup { provider: "own-words", answers: like_hubrise, ..Setup::default() };
    let (server, _publisher) = start(setup).await;
    let request = compressed("/webhooks/own-words", "content-encoding: gzip\r\n", GZIP, GZIP);
    let reply = server.exchange(request).await;
    assert_eq!((reply.code, reply.header("retry-after")), (503, Some("7")));
    assert_eq!(refused("own-words"), Some(1));
}
