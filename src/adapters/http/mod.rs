//! HTTP: the providers' webhooks on one port, the orchestrator's questions on another.
//!
//! There is no web framework in here. The paths are a prefix, two aliases and three fixed names, and every answer to
//! a provider, that to a wrong path or method included, is the provider's own to word: a router's own 404 and 405
//! would only have to be taken away again.

pub mod admin;
mod load;
mod record;
mod refusing;
pub mod server;
mod span;
pub mod webhooks;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;
use metrics::Gauge;

/// What one port allows its callers.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// The largest body that is taken.
    pub max_body_bytes: usize,
    /// For one request's head to arrive; also how long a kept-alive connection may be idle.
    pub header_timeout: Duration,
    /// For the whole body to arrive.
    pub body_timeout: Duration,
    /// Webhooks being read or stored at once.
    pub max_requests_in_flight: usize,
    /// Their bodies together.
    pub max_bytes_in_flight: usize,
    /// Connections at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// After this a connection ends between two requests. Bounds a caller who reads no answers, and lets
    /// long-lived callers find new replicas.
    pub max_connection_age: Duration,
    /// What every 503 says in `Retry-After`, in whole seconds.
    pub retry_after: Duration,
}

/// How a port stops.
#[derive(Debug, Clone, Copy)]
pub struct Stopping {
    /// For so long it serves on as before, but each answer closes its connection: callers leave one by one, before
    /// nobody listens any more.
    pub delay: Duration,
    /// Then what is in flight may take so long.
    pub drain: Duration,
}

/// An HTTP answer: short, and in memory.
pub type Response = hyper::Response<Full<Bytes>>;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one. The future is dropped when the caller goes away.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response> + Send;

    /// Where its open connections are counted, if they are.
    fn connections(&self) -> Option<&Gauge> {
        None
    }
}
