//! Where one request ends and the next begins, however the bytes come.

use milepost::adapters::http::framing::{Framing, Seen};
use proptest::prelude::*;

/// What is seen in all of `bytes`, byte by byte: how many heads begin, and whether one is ambiguous.
fn followed(bytes: &[u8]) -> (usize, bool, bool) {
    let mut framing = Framing::default();
    let seen: Vec<_> = bytes.iter().map(|byte| framing.read(&[*byte])).collect();
    let heads = seen.iter().filter(|seen| seen.head_begins).count();
    (heads, seen.iter().any(|seen| seen.ambiguous), framing.in_head())
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /webhooks/acme HTTP/1.1\r\nhost: m\r\n{headers}\r\n{body}")
}

#[test]
fn a_body_is_never_read_as_a_head() {
    let inner = post("content-length: 9\r\ntransfer-encoding: chunked\r\n", "");
    let length = inner.len();
    let bodies = [
        post(&format!("content-length: {length}\r\n"), &inner),
        post(&format!("Content-Length:{length}\r\n"), &inner),
        post(&format!("CONTENT-LENGTH: \t 000{length} \r\n"), &inner),
        post("transfer-encoding: chunked\r\n", &format!("{length:x}\r\n{inner}\r\n0\r\n\r\n")),
        post(
            "Transfer-Encoding: Chunked\r\n",
            &format!("{length:X};why=\"a,b\";abc\r\n{inner}\r\n000\r\n\r\n"),
        ),
        post(
            "transfer-encoding: gzip, chunked\r\n",
            &format!("{length:x} \r\n{inner}\r\n0\r\na: b\r\nc: d\r\n\r\n"),
        ),
    ];
    for body in bodies {
        assert_eq!(followed(body.as_bytes()), (1, false, false), "{body}");
        // What follows is a head again.
        let next = format!("{body}{}", &inner[..inner.len() - 2]);
        assert_eq!(followed(next.as_bytes()), (2, false, true), "{body}");
        let whole = format!("{body}{inner}");
        assert_eq!(followed(whole.as_bytes()), (2, true, false), "{body}");
    }
}

#[test]
fn two_ways_to_say_a_length_are_seen_in_either_order_and_spelling() {
    for headers in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "Transfer-Encoding:chunked\r\nx: y\r\nContent-Length:0\r\n",
        "TRANSFER-ENCODING: identity\r\nCONTENT-LENGTH: 4\r\n",
        "content-length: 4\ntransfer-encoding: chunked\n",
        "content-length: many\r\n",
        "content-length: 4, 4\r\n",
        "content-length: -4\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999999\r\n",
    ] {
        assert!(followed(post(headers, "").as_bytes()).1, "{headers}");
    }
    let zeros = format!("content-length: {}4\r\n", "0".repeat(100));
    assert!(followed(post(&zeros, "").as_bytes()).1, "a length too long to be kept");
    for headers in [
        "content-length: 0\r\n",
        "content-length: 0\r\ncontent-length: 0\r\n",
        "x-transfer-encoding: chunked\r\ncontent-length: 0\r\n",
        "x: content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "content-lengths: x\r\n",
        "",
    ] {
        assert!(!followed(post(headers, "").as_bytes()).1, "{headers}");
    }
}

#[test]
fn empty_lines_before_a_head_are_no_head() {
    let mut framing = Framing::default();
    assert_eq!(framing.read(b"\r\n\r\n"), Seen::default());
    assert!(!framing.in_head());
    assert_eq!(framing.read(b"P"), Seen { head_begins: true, ambiguous: false });
    assert!(framing.in_head());
    assert_eq!(framing.read(b"OST / HTTP/1.1\r\n\r"), Seen::default());
    assert!(framing.in_head());
    assert_eq!(framing.read(b"\n"), Seen::default());
    assert!(!framing.in_head());
}

/// A request, and whether it says its length in two ways.
fn any_request() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let body = prop::collection::vec(any::<u8>(), 0..200);
    let header = prop::sample::select(vec![
        "",
        "accept: */*\r\n",
        "x-content-length: 7\r\n",
        "te: chunked\r\n",
        "user-agent: a b c\r\n",
    ]);
    (body, prop::collection::vec(header, 0..4), 0..3_u8, 1..50_usize).prop_map(
        |(body, headers, kind, size)| {
            let mut head = format!("POST /x HTTP/1.1\r\n{}", headers.concat());
            let mut sent = Vec::new();
            if kind > 0 {
                head += "Transfer-Encoding: chunked\r\n";
                for chunk in body.chunks(size) {
                    sent.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                    sent.extend(chunk);
                    sent.extend(b"\r\n");
                }
                sent.extend(b"0\r\n\r\n");
            } else {
                head += &format!("Content-Length: {}\r\n", body.len());
                sent = body;
            }
            if kind == 2 {
                head += "Content-Length: 5\r\n";
            }
            ([head.as_bytes(), b"\r\n", &sent].concat(), kind == 2)
        },
    )
}

proptest! {
    #[test]
    fn requests_are_told_apart_however_they_are_cut(
        requests in prop::collection::vec(any_request(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let ambiguous = requests.iter().any(|(_, ambiguous)| *ambiguous);
        prop_assert_eq!(followed(&bytes), (requests.len(), ambiguous, false));

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut framing = Framing::default();
        let seen: Vec<_> = cuts.windows(2).map(|cut| framing.read(&bytes[cut[0]..cut[1]])).collect();
        prop_assert_eq!(seen.iter().any(|seen| seen.ambiguous), ambiguous);
        prop_assert!(!framing.in_head());
        prop_assert!(framing.read(b"G").head_begins, "what follows is a head");
    }

    #[test]
    fn nothing_panics(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..20)) {
        let mut framing = Framing::default();
        for piece in pieces {
            framing.read(&piece);
        }
    }
}
