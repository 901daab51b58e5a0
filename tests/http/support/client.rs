//! HTTP in bytes, so that a test decides what is sent when.

use std::collections::BTreeMap;

use milepost::domain::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{MILLIS_HEX, MOMENT, SECRET, within};

/// A connection to the server, spoken to in bytes.
pub struct Client(pub TcpStream);

impl Client {
    pub async fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        within(self.0.write_all(&bytes.into())).await.unwrap();
    }

    /// The same, where the server may have closed the connection.
    pub async fn try_send(&mut self, bytes: &[u8]) {
        let _ = within(self.0.write_all(bytes)).await;
    }

    /// The next answer.
    pub async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("an answer")
    }

    /// The next answer; `None` when the server closes the connection.
    pub async fn try_reply(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let code = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: BTreeMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        within(self.0.read_exact(&mut body)).await.ok()?;
        Some(Reply { code, headers, body: String::from_utf8(body).unwrap() })
    }

    /// Asserts that the server closes the connection without another byte.
    pub async fn sees_the_end(&mut self) {
        let mut rest = Vec::new();
        within(self.0.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// Waits until the server closes the connection, and ignores what it sends before.
    pub async fn waits_for_the_end(&mut self) {
        let mut sink = [0; 1024];
        while self.0.read(&mut sink).await.is_ok_and(|read| read > 0) {}
    }

    /// Asserts that nothing arrives for a moment.
    pub async fn hears_nothing(&mut self) {
        let byte = timeout(MOMENT, self.0.read_u8()).await;
        assert!(byte.is_err(), "the server spoke, or hung up: {byte:?}");
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub code: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The receipt, asserted to be a UUIDv7 of [`NOW`].
    pub fn receipt(&self) -> uuid::Uuid {
        let receipt = self.header("milepost-receipt").expect("every answer has its receipt");
        assert!(receipt.starts_with(MILLIS_HEX), "{receipt}");
        receipt.parse().unwrap()
    }
}

/// A request as a provider sends it: signed, with `extra` header lines (each ended by CR LF).
pub fn signed(path: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    signed_with(SECRET, path, extra, body)
}

/// The same, signed with another secret.
pub fn signed_with(secret: &str, path: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: m\r\ncontent-length: {length}\r\n{extra}");
    [head.as_bytes(), signature_with(secret, body).as_bytes(), b"\r\n", body].concat()
}

/// A request that announces a body of `length` bytes, and sends the first `sent` of them.
pub fn unfinished(path: &str, length: usize, sent: usize) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: m\r\ncontent-length: {length}\r\n{UNPROVEN}\r\n");
    [head.into_bytes(), vec![b'x'; sent]].concat()
}

/// A header line of the shape of a signature: whether it is one shows only with the body.
pub const UNPROVEN: &str =
    "x-signature: 0000000000000000000000000000000000000000000000000000000000000000\r\n";

/// The header line that signs `body`.
pub fn signature(body: &[u8]) -> String {
    signature_with(SECRET, body)
}

fn signature_with(secret: &str, body: &[u8]) -> String {
    let mac = Secret::new(secret.as_bytes()).unwrap().hmac_sha256(body);
    format!("x-signature: {}\r\n", hex::encode(mac))
}
