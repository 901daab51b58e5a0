//! The span of an HTTP request, as OpenTelemetry's semantic conventions for HTTP servers ask; of the path only what is
//! ours, since the rest is the caller's.

use hyper::Method;
use tracing::Span;

use crate::domain::answer::Rejection;
use crate::domain::identity::ReceiptId;
use crate::pipeline::receive::Destination;
use crate::telemetry::traces;

/// The span of a request to `route`, whose `destination` has an account if it is one that we know.
pub(super) fn request(
    method: &Method,
    route: Option<&'static str>,
    destination: Option<&Destination>,
    receipt: ReceiptId,
) -> Span {
    let account = destination.and_then(|destination| destination.account().ok());
    tracing::info_span!(
        parent: None,
        "request",
        otel.name = route.map_or_else(|| word(method).to_owned(), |route| format!("{} {route}", word(method))),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        http.request.method = word(method),
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        url.scheme = "http",
        milepost.receipt = %receipt,
        milepost.provider = destination.map(|destination| destination.provider().as_str()),
        milepost.account = account.map(tracing::field::display),
        milepost.result = tracing::field::Empty,
    )
}

/// The conventions' word for a method, of which anybody can invent one.
fn word(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::CONNECT
        | Method::OPTIONS
        | Method::TRACE
        | Method::PATCH => method.as_str(),
        _ => "_OTHER",
    }
}

/// What the request was answered with. A refusal that is the caller's fault is no error of the server.
pub(super) fn answered(span: &Span, code: u16, outcome: Result<(), Rejection>) {
    span.record("http.response.status_code", code);
    span.record("milepost.result", outcome.map_or_else(Rejection::as_str, |()| "accepted"));
    if let Err(rejection) = outcome
        && code >= 500
    {
        traces::failed(span, rejection.as_str());
    }
}
