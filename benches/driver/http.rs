//! Senders of webhooks, as lean as can be: what they use is missing to what is measured. Each has one connection, and
//! sends its next request when the last one is answered.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::figures::{Figures, Meter, Reading, percentiles};
use crate::material::{Kind, secret};

/// A request, ready to be sent.
pub struct Request {
    head: Vec<u8>,
    body: Bytes,
}

/// The run's webhooks as requests, signed for Milepost and (`x-signature`) for the floor: both get the same bytes.
pub fn requests(kind: &Kind, count: usize, tag: &str) -> Vec<Request> {
    let request = |webhook: crate::material::Webhook| {
        let path = format!("/webhooks/{}/{}", webhook.provider.id(), webhook.account);
        let signed = webhook.signed();
        let signature = hex::encode(secret().hmac_sha256(&signed.body));
        let length = signed.body.len();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             x-signature: {signature}\r\n"
        );
        for (name, value) in &signed.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        Request { head: head.into_bytes(), body: signed.body }
    };
    kind.webhooks(count, tag).map(request).collect()
}

/// Sends them all over `connections`. The first tenth warms up and is not measured.
pub async fn send(
    addr: SocketAddr,
    requests: &[Request],
    connections: usize,
    meter: &Meter,
) -> anyhow::Result<Figures> {
    let run = Rc::new(Run {
        requests,
        warm_up: requests.len() / 10,
        next: Cell::new(0),
        begun: Cell::new(None),
        latencies: RefCell::new(Vec::with_capacity(requests.len())),
    });
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    try_join_all(streams.into_iter().map(|stream| run.sender(stream, meter))).await?;
    let ended = meter.read()?;
    let begun = run.begun.get().context("nothing was measured")?;
    let mut figures = meter.figures(&begun, &ended, requests.len() - run.warm_up)?;
    (figures.p50, figures.p99) = percentiles(run.latencies.take());
    Ok(figures)
}

struct Run<'a> {
    requests: &'a [Request],
    warm_up: usize,
    next: Cell<usize>,
    begun: Cell<Option<Reading>>,
    latencies: RefCell<Vec<Duration>>,
}

impl Run<'_> {
    async fn sender(&self, mut stream: TcpStream, meter: &Meter) -> anyhow::Result<()> {
        let mut answer = [0; 4096];
        loop {
            let index = self.next.replace(self.next.get() + 1);
            let Some(request) = self.requests.get(index) else { return Ok(()) };
            if index == self.warm_up {
                self.begun.set(Some(meter.read()?));
            }
            let sent = Instant::now();
            write(&mut stream, request).await?;
            read(&mut stream, &mut answer).await?;
            if index >= self.warm_up {
                self.latencies.borrow_mut().push(sent.elapsed());
            }
        }
    }
}

/// Head and body in one system call, as a rule.
async fn write(stream: &mut TcpStream, request: &Request) -> anyhow::Result<()> {
    let (mut head, mut body) = (request.head.as_slice(), &request.body[..]);
    while !body.is_empty() {
        let written = stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]).await?;
        ensure!(written > 0, "the connection was closed");
        let of_head = written.min(head.len());
        head = &head[of_head..];
        body = &body[written - of_head..];
    }
    Ok(())
}

/// Reads one answer, which must be a 200.
async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<()> {
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..]).await?;
        ensure!(read > 0, "the connection was closed: {:?}", String::from_utf8_lossy(&buffer[..length]));
        length += read;
        let text = std::str::from_utf8(&buffer[..length])?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        ensure!(head.starts_with("HTTP/1.1 200 "), "not accepted: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap_or("0").parse::<usize>()? {
            return Ok(());
        }
    }
}
