//! `POST /webhooks/{provider}[/{account}]` and the paths the providers' own documents name.
//!
//! Whatever happens is answered as the provider understands it, with `Milepost-Receipt`; the bounds on time, size and
//! load are here, so that nothing beyond them reaches the pipeline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use metrics::Gauge;
use tokio::time::timeout;
use tracing::Span;

use super::load::{self, Bound};
use super::record::Answered;
use super::refusing::Refusing;
use super::{Handler, HttpLimits, Response, span};
use crate::domain::answer::{Answer, Rejection};
use crate::domain::authentication::Headers;
use crate::domain::identity::ReceiptId;
use crate::pipeline::receive::{self, Destination, Receipt, Receiver};
use crate::telemetry::traces;

/// Names the request in our logs and, when accepted, everything that becomes of it.
pub const RECEIPT_HEADER: HeaderName = HeaderName::from_static("milepost-receipt");

/// For how long the rest of a refused request is read away.
const LINGER: Duration = Duration::from_secs(2);

/// The webhook port.
pub struct Webhooks {
    receiver: Receiver,
    limits: HttpLimits,
    requests: Bound,
    bytes: Bound,
    connections: Gauge,
    refusing: Refusing,
    sample_ratio: f64,
}

impl Webhooks {
    /// A port that takes `receiver`'s webhooks within `limits`, and traces `sample_ratio` of the requests.
    #[must_use]
    pub fn new(receiver: Receiver, limits: HttpLimits, sample_ratio: f64) -> Arc<Self> {
        let requests = Bound::new("requests", limits.max_requests_in_flight);
        let bytes = Bound::new("bytes", limits.max_bytes_in_flight);
        let connections = load::shown("connections", limits.max_connections);
        Arc::new(Self {
            receiver,
            limits,
            requests,
            bytes,
            connections,
            refusing: Refusing::default(),
            sample_ratio,
        })
    }

    /// Says whether the broker takes messages. While it does not, every provider's loss clock runs, whether or not one
    /// sends anything.
    pub fn broker(&self, takes_messages: bool) {
        let now = self.receiver.receipt().received_at;
        for provider in self.receiver.providers() {
            self.refusing.broker(provider, takes_messages, now);
        }
    }

    /// Whose webhook a path takes, and the path's pattern. One trailing slash is forgiven: the path is typed into a provider's form by
    /// hand, and some providers delete what is answered with 404.
    fn route(&self, path: &str) -> Option<(&'static str, Destination<'_>)> {
        let path = path.strip_suffix('/').unwrap_or(path);
        match path.strip_prefix("/webhooks/") {
            Some(names) => match names.split_once('/') {
                Some((provider, account)) => {
                    Some(("/webhooks/{provider}/{account}", self.receiver.named(provider, Some(account))?))
                }
                None => Some(("/webhooks/{provider}", self.receiver.named(names, None)?)),
            },
            None => self.receiver.documented_at(path),
        }
    }

    /// Takes one webhook. The account comes first, because the answer to everything else may depend on it.
    async fn take(
        &self,
        destination: &Destination<'_>,
        receipt: Receipt,
        span: &Span,
        head: &Parts,
        body: &mut Incoming,
    ) -> Result<(), Rejection> {
        if destination.account().is_none() {
            return Err(Rejection::UnknownAccount);
        }
        if head.method != Method::POST {
            return Err(Rejection::WrongMethod);
        }
        let headers = HeaderView(&head.headers);
        let addressed = destination.check_headers(&headers)?;
        let max = self.limits.max_body_bytes;
        let announced = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let reserved = announced.unwrap_or(max);
        if reserved > max {
            return Err(Rejection::TooLarge);
        }
        // Both are held until the webhook is stored, and given back however this future ends.
        let _request = self.requests.take(1).ok_or(Rejection::Saturated)?;
        let _bytes = u32::try_from(reserved)
            .ok()
            .and_then(|reserved| self.bytes.take(reserved))
            .ok_or(Rejection::Saturated)?;
        let body =
            timeout(self.limits.body_timeout, read(body, max)).await.map_err(|_| Rejection::TooSlow)??;
        let authentic = addressed.check_body(body)?;
        self.receiver.store(authentic, receipt, span, &headers).await
    }

    fn respond(&self, answer: Answer, receipt: ReceiptId, outcome: Result<(), Rejection>) -> Response {
        let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Full::from(answer.body));
        *response.status_mut() = code;
        let headers = response.headers_mut();
        // Unwrap safety: a UUID is visible ASCII.
        headers.insert(RECEIPT_HEADER, HeaderValue::try_from(receipt.to_string()).expect("ASCII"));
        if let Some(content_type) = answer.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if code == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if code == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, self.limits.retry_after.as_secs().into());
        }
        if matches!(outcome, Err(Rejection::TooLarge | Rejection::TooSlow)) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Handler for Webhooks {
    fn connections(&self) -> Option<&Gauge> {
        Some(&self.connections)
    }

    async fn handle(&self, request: Request<Incoming>) -> Response {
        let arrived = Instant::now();
        let receipt = self.receiver.receipt();
        let (head, mut body) = request.into_parts();
        let (route, destination) = self.route(head.uri.path()).unzip();
        let describe = || span::request(&head.method, route, destination.as_ref(), receipt.id);
        let sender = receive::trace_context(&HeaderView(&head.headers));
        let span = traces::begin(self.sample_ratio, &sender, describe);
        let outcome = match &destination {
            Some(destination) => self.take(destination, receipt, &span, &head, &mut body).await,
            None => Err(Rejection::UnknownProvider),
        };
        if !body.is_end_stream() {
            tokio::spawn(timeout(LINGER, discard(body)));
        }
        if let Some(destination) = &destination {
            self.refusing.note(destination.provider(), outcome, receipt.received_at);
        }
        let answer = answer_for(destination.as_ref(), outcome);
        let (code, elapsed) = (answer.code, arrived.elapsed());
        span::answered(&span, code, outcome);
        span.in_scope(|| Answered { receipt: receipt.id, destination, outcome, code, elapsed }.record());
        self.respond(answer, receipt.id, outcome)
    }
}

/// The provider's own answer; a plain one where there is no provider.
fn answer_for(destination: Option<&Destination<'_>>, outcome: Result<(), Rejection>) -> Answer {
    match destination {
        Some(destination) => destination.answer(outcome),
        None => Answer::plain(outcome.map_err(Rejection::kind)),
    }
}

/// Reads a body of at most `max` bytes. Each piece is copied into one buffer, since pieces kept as they came would
/// hold far more memory than their bytes when a sender makes them tiny.
async fn read(body: &mut Incoming, max: usize) -> Result<Bytes, Rejection> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::BrokenBody)?;
        let Some(piece) = frame.data_ref() else { continue };
        if bytes.len() + piece.len() > max {
            return Err(Rejection::TooLarge);
        }
        bytes.extend_from_slice(piece);
    }
    Ok(bytes.freeze())
}

/// Reads away what a refused sender is still sending. Closing a connection with unread bytes resets it, and the
/// sender would see a broken connection in place of its answer. Its connection waits for this, so there are never
/// more of these than connections.
async fn discard(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

struct HeaderView<'a>(&'a HeaderMap);

impl Headers for HeaderView<'_> {
    fn values<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a [u8]> + 'a> {
        Box::new(self.0.get_all(name).into_iter().map(HeaderValue::as_bytes))
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }
}
