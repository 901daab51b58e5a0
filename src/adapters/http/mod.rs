//! HTTP: the providers' webhooks on one port, the orchestrator's questions on another.
//!
//! There is no web framework in here (the console, on a port of its own, has one). The paths are a prefix, two aliases and three
//! fixed names, and every answer to a provider, that to a wrong path or method included, is the provider's own to word: a router's own 404 and 405
//! would only have to be taken away again.

pub mod admin;
mod again;
mod allowance;
mod body;
mod caller;
mod callers;
pub mod framing;
mod load;
mod missed;
mod open_files;
mod record;
mod refusals;
mod refusing;
pub mod server;
mod span;
mod view;
mod watched;
pub mod webhooks;

pub use caller::Caller;

use std::error::Error;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::body::{Body, Incoming};
use metrics::Gauge;

use self::open_files::connections_within;

/// What one port allows its callers.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// The largest body that is taken.
    pub max_body_bytes: usize,
    /// For one request's head to arrive.
    pub header_timeout: Duration,
    /// For the next request to begin on a kept-alive connection.
    pub idle_timeout: Duration,
    /// For the whole body to arrive.
    pub body_timeout: Duration,
    /// Bytes a second that a body must keep up, after a grace; `None` when it may be as slow as `body_timeout` lets it.
    pub min_body_rate: Option<NonZeroU32>,
    /// Webhooks of one provider being read or stored at once.
    pub max_requests_in_flight: usize,
    pub max_bytes_in_flight: usize,
    /// Connections at once; a further one takes the place of one that has proved nothing.
    pub max_connections: usize,
    /// Connections from one peer at once; `None` behind a proxy, which is the only peer.
    pub max_connections_per_peer: Option<usize>,
    /// After this the next answer closes its connection, so that long-lived callers find new replicas.
    pub max_connection_age: Duration,
    /// Refused webhooks of one kind have one line of the log in so long.
    pub refusal_log_pause: Duration,
    /// What every 503 says in `Retry-After`, in whole seconds.
    pub retry_after: Duration,
}

impl HttpLimits {
    /// The same, with no more connections than this process may have open.
    #[must_use]
    pub fn within_open_files(self) -> Self {
        Self { max_connections: connections_within(self.max_connections), ..self }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Stopping {
    /// For so long it serves on as before, but each answer closes its connection: callers leave one by one, before
    /// the port is closed.
    pub delay: Duration,
    /// Then what is in flight may take so long.
    pub drain: Duration,
}

/// An HTTP answer: short, and in memory.
pub type Response = hyper::Response<Full<Bytes>>;

pub trait Handler: Send + Sync + 'static {
    /// What its answers are made of.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// Answers one. The future is dropped when the caller goes away.
    fn handle(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
    ) -> impl Future<Output = hyper::Response<Self::Body>> + Send;

    /// Where its open connections are counted, if they are.
    fn connections(&self) -> Option<&Gauge> {
        None
    }
}
