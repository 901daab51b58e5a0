//! `POST /webhooks/{provider}[/{account}]` and the paths the providers' own documents name.
//!
//! Every request is answered as the provider understands it, with `Milepost-Receipt`; the bounds on time, size and
//! load are here, so that nothing beyond them reaches the pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use metrics::Gauge;
use tracing::Span;

use super::again::Again;
pub use super::again::Contents;
use super::allowance::Allowance;
use super::load;
use super::record::{AnsweredRequest, NO_PROVIDER};
use super::refusals::{Peer, Refusals};
use super::refusing::Refusing;
use super::view::HeaderView;
use super::{Caller, Handler, HttpLimits, Response, body, span};
use crate::domain::answer::{Answer, Rejection};
use crate::domain::gap::{ContentDigest, Gap, RefusedContent};
use crate::domain::identity::ReceiptId;
use crate::domain::provider::ProviderId;
use crate::pipeline::receive::{self, Destination, Receipt, Receiver};
use crate::telemetry::traces;

/// Names the request in our logs and, when accepted, everything that becomes of it.
pub const RECEIPT_HEADER: HeaderName = HeaderName::from_static("milepost-receipt");

/// A request to a webhook's path.
struct WebhookRequest<'a> {
    receipt: Receipt,
    span: &'a Span,
    head: &'a Parts,
    body: &'a mut Incoming,
    caller: &'a Caller,
}

pub struct WebhookPort {
    receiver: Receiver,
    limits: HttpLimits,
    allowances: BTreeMap<ProviderId, Allowance>,
    connections: Gauge,
    refusing: Refusing,
    again: Again,
    refusals: Refusals,
    sample_ratio: f64,
}

impl WebhookPort {
    /// A port that takes `receiver`'s webhooks within `limits`, and traces `sample_ratio` of the requests.
    #[must_use]
    pub fn new(receiver: Receiver, limits: HttpLimits, sample_ratio: f64) -> Arc<Self> {
        let allowance = |provider: ProviderId| Allowance::new(provider.as_str(), &limits);
        let allowances = receiver.providers().map(|provider| (provider, allowance(provider))).collect();
        let connections = load::shown("connections", NO_PROVIDER, limits.max_connections);
        let again = Again::of(receiver.providers());
        let (refusing, refusals) = (Refusing::default(), Refusals::every(limits.refusal_log_pause));
        Arc::new(Self { receiver, limits, allowances, connections, refusing, again, refusals, sample_ratio })
    }

    /// Says whether the broker takes messages. While it does not, the loss clock runs of every provider whose webhooks
    /// cannot be spooled, whether or not one sends anything.
    pub fn broker(&self, takes_messages: bool) {
        let now = self.receiver.receipt().received_at;
        for provider in self.receiver.providers() {
            let stores = takes_messages || self.receiver.can_spool(provider);
            self.refusing.stores(provider, stores, now);
        }
    }

    /// The gaps that are not noted yet as they are now.
    #[must_use]
    pub fn gaps(&self) -> Vec<(ProviderId, Gap)> {
        self.refusing.missed().gaps()
    }

    /// A gap was noted as it was then.
    pub fn noted(&self, provider: ProviderId, gap: &Gap) {
        let now = self.receiver.receipt().received_at;
        self.refusing.missed().noted(provider, gap, now);
    }

    /// Contents that were refused, and such that were accepted later, which are not noted yet.
    #[must_use]
    pub fn unsaid_contents(&self, provider: ProviderId) -> (Contents, Contents) {
        self.again.unsaid(provider)
    }

    /// They were noted, and this is what is kept of refused contents that may come again.
    pub fn noted_contents(
        &self,
        provider: ProviderId,
        noted: &(Contents, Contents),
        kept: &[RefusedContent],
    ) {
        self.again.said(provider, noted, kept);
    }

    /// Whose webhook a path takes, and the path's pattern. One trailing slash is forgiven: the path is typed into a provider's form by
    /// hand, and some providers delete what is answered with 404.
    fn route(&self, path: &str) -> Option<(&'static str, Destination)> {
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

    /// Takes one webhook, and returns the receipt that it is stored with. The account comes first, because the answer to everything else may depend on it; what can
    /// be refused without the body is, before any of it is read.
    async fn take(
        &self,
        destination: &Destination,
        request: WebhookRequest<'_>,
    ) -> Result<ReceiptId, Rejection> {
        let WebhookRequest { receipt, span, head, body, caller } = request;
        destination.account()?;
        if caller.is_ambiguous() {
            return Err(Rejection::AmbiguousLength);
        }
        if head.method != Method::POST {
            return Err(Rejection::WrongMethod);
        }
        let headers = HeaderView(&head.headers);
        let addressed = destination.check_headers(&headers)?;
        if headers.encodes_body() {
            return Err(Rejection::UnsupportedEncoding);
        }
        if body::is_announced_too_large(body, &self.limits) {
            return Err(Rejection::TooLarge);
        }
        let allowance = self.allowances.get(&destination.provider()).ok_or(Rejection::UnknownProvider)?;
        // Held until the webhook is stored, and given back however this future ends.
        let mut admission = allowance.admit()?;
        let body = body::read(body, &self.limits, &admission).await?;
        let authentic = addressed.check_body(body)?;
        let (provider, account, body) = (destination.provider(), destination.account()?, authentic.body());
        let stored = match admission.keep() {
            Ok(()) => {
                caller.proves();
                self.receiver.store(authentic, receipt, span, &headers).await
            }
            Err(rejection) => Err(rejection),
        };
        self.again.note(provider, &stored, receipt.received_at, || ContentDigest::of(account, &body));
        stored
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
        if code == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if code == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, self.limits.retry_after.as_secs().into());
        }
        if outcome.is_err_and(ends_connection) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Handler for WebhookPort {
    type Body = Full<Bytes>;

    fn connections(&self) -> Option<&Gauge> {
        Some(&self.connections)
    }

    async fn handle(&self, request: Request<Incoming>, caller: &Caller) -> Response {
        let arrived = Instant::now();
        let receipt = self.receiver.receipt();
        let (head, mut body) = request.into_parts();
        let (route, destination) = self.route(head.uri.path()).unzip();
        let describe = || span::request(&head.method, route, destination.as_ref(), receipt.id);
        let sender = receive::trace_context(&HeaderView(&head.headers));
        let span = traces::begin(self.sample_ratio, &sender, describe);
        let taken = match &destination {
            Some(destination) => {
                let (span, head, body) = (&span, &head, &mut body);
                self.take(destination, WebhookRequest { receipt, span, head, body, caller }).await
            }
            None => Err(Rejection::UnknownProvider),
        };
        body::discard(body);
        let (stored_as, outcome) = (taken.unwrap_or(receipt.id), taken.map(drop));
        if stored_as != receipt.id {
            span.record("milepost.receipt", tracing::field::display(stored_as));
        }
        if let Some(destination) = &destination {
            self.refusing.note(destination.provider(), outcome, receipt.received_at);
        }
        let answer = answer_for(destination.as_ref(), outcome);
        let (code, elapsed) = (answer.code, arrived.elapsed());
        span::answered(&span, code, outcome);
        let destination = destination.as_ref();
        let answered = AnsweredRequest { receipt: stored_as, destination, outcome, code, elapsed };
        let peer =
            || Peer { address: caller.peer(), forwarded_for: HeaderView(&head.headers).forwarded_for() };
        span.in_scope(|| answered.record(&self.refusals, peer));
        self.respond(answer, stored_as, outcome)
    }
}

/// The provider's own answer; a plain one where there is no provider.
fn answer_for(destination: Option<&Destination>, outcome: Result<(), Rejection>) -> Answer {
    match destination {
        Some(destination) => destination.answer(outcome),
        None => Answer::plain(outcome.map_err(Rejection::kind)),
    }
}

/// Whether what comes next on the connection is not to be read: the rest of a body that is too much or too late, or what
/// may be no request at all.
const fn ends_connection(rejection: Rejection) -> bool {
    matches!(
        rejection,
        Rejection::TooLarge | Rejection::TooSlow | Rejection::Evicted | Rejection::AmbiguousLength
    )
}
