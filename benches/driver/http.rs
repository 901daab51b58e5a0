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
use crate::material::{Webhook, secret};

/// A request, ready to be sent.
pub struct Request {
    head: Vec<u8>,
    body: Bytes,
}

/// An answer.
pub struct Answer<'a> {
    pub status: u16,
    head: &'a str,
}

impl Request {
    /// A webhook, signed for Milepost and (`x-signature`) for the floor: both get the same bytes.
    pub fn of(webhook: Webhook) -> Self {
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
        Self { head: head.into_bytes(), body: signed.body }
    }
}

impl<'a> Answer<'a> {
    /// A header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
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
        streams.push(connect(addr).await?);
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
        let mut buffer = [0; 4096];
        loop {
            let index = self.next.replace(self.next.get() + 1);
            let Some(request) = self.requests.get(index) else { return Ok(()) };
            if index == self.warm_up {
                self.begun.set(Some(meter.read()?));
            }
            let sent = Instant::now();
            let answer = exchange(&mut stream, request, &mut buffer).await?;
            ensure!(answer.status == 200, "not accepted: {}", answer.head);
            if index >= self.warm_up {
                self.latencies.borrow_mut().push(sent.elapsed());
            }
        }
    }
}

/// A connection on which a small request is sent at once.
pub async fn connect(addr: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request and reads its answer.
pub async fn exchange<'a>(
    stream: &mut TcpStream,
    request: &Request,
    buffer: &'a mut [u8],
) -> anyhow::Result<Answer<'a>> {
    write(stream, request).await?;
    let mut length = 0;
    let head = loop {
        let read = stream.read(&mut buffer[length..]).await?;
        ensure!(read > 0, "the connection was closed: {:?}", String::from_utf8_lossy(&buffer[..length]));
        length += read;
        if let Some(head) = whole(&buffer[..length])? {
            break head;
        }
    };
    let head = std::str::from_utf8(&buffer[..head])?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer { status: status.context("no status")?, head })
}

/// How long the head is, once the whole answer is there.
fn whole(answer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some((head, body)) = std::str::from_utf8(answer)?.split_once("\r\n\r\n") else { return Ok(None) };
    let length = Answer { status: 0, head }.header("content-length").unwrap_or("0").parse::<usize>()?;
    Ok((body.len() >= length).then_some(head.len()))
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
