//! The orchestrator's and the scraper's port: `/metrics`, `/livez`, `/readyz`.
//!
//! It knows nothing of what it reports. There is no authentication: the port is not for the outside.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::{Caller, Handler, Response};
use crate::telemetry::health::{Heartbeat, Readiness};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// Prometheus's text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub struct AdminPort {
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    readiness: Arc<Readiness>,
    heartbeats: Vec<Arc<Heartbeat>>,
}

impl AdminPort {
    /// `metrics` renders the metrics as they are now. The process is alive while each of `heartbeats` is.
    #[must_use]
    pub fn new(
        metrics: impl Fn() -> String + Send + Sync + 'static,
        readiness: Arc<Readiness>,
        heartbeats: Vec<Arc<Heartbeat>>,
    ) -> Arc<Self> {
        Arc::new(Self { metrics: Box::new(metrics), readiness, heartbeats })
    }

    fn live(&self) -> Response {
        let stale: Vec<_> =
            self.heartbeats.iter().filter(|beat| !beat.alive()).map(|beat| beat.name()).collect();
        if stale.is_empty() {
            respond(StatusCode::OK, TEXT, "ok".to_owned())
        } else {
            respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("stalled: {}", stale.join(", ")))
        }
    }

    fn ready(&self) -> Response {
        let report = self.readiness.report();
        let code = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        // Unwrap safety: strings and booleans always serialize.
        respond(code, JSON, serde_json::to_string(&report).expect("serializes"))
    }
}

impl Handler for AdminPort {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<Incoming>, _caller: &Caller) -> Response {
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/metrics" | "/livez" | "/readyz" if !reading => {
                let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only".to_owned());
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
            "/metrics" => respond(StatusCode::OK, METRICS, (self.metrics)()),
            "/livez" => self.live(),
            "/readyz" => self.ready(),
            _ => respond(StatusCode::NOT_FOUND, TEXT, "no such page".to_owned()),
        }
    }
}

fn respond(code: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
