//! The accept loop and the life of a connection: HTTP/1.1 with keep-alive, every wait bounded.
//!
//! A request whose head is not HTTP, or is larger than the buffer, is answered by hyper (400, 431) and never reaches
//! a [`Handler`]. TLS ends before us, at the ingress.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::callers::{self, Callers, Counted};
use super::load::InUse;
use super::watched::WatchedStream;
use super::{Handler, HttpLimits, Stopping};

/// The read buffer, and so the largest request head.
const BUFFER_BYTES: usize = 16 * 1024;
/// Between two tries when the process has no file descriptors left: `accept` would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, and as long after it as `stopping` says; then finishes what is in flight. An idle connection is
/// closed, one in the middle of a request gets its answer and `Connection: close`.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    limits: HttpLimits,
    stop: CancellationToken,
    stopping: Stopping,
) {
    let callers = Callers::new(limits.max_connections, limits.max_connections_per_peer);
    let connections = TaskTracker::new();
    let end = CancellationToken::new();
    let handler = Arc::new(Leaving { handler, stop: stop.clone(), max_age: limits.max_connection_age });
    let mut over = pin!(async {
        stop.cancelled().await;
        sleep(stopping.delay).await;
    });
    for number in 0.. {
        let (stream, peer) = tokio::select! {
            biased;
            () = over.as_mut() => break,
            accepted = accept(&listener, &callers) => accepted,
        };
        let Some(counted) = callers.admit(number, peer) else { continue };
        let (handler, end) = (Arc::clone(&handler), end.clone());
        connections.spawn(async move {
            let _counted = handler.handler.connections().map(InUse::new);
            converse(stream, &handler, &limits, counted, &end, stopping.drain).await;
        });
    }
    drop(listener);
    end.cancel();
    connections.close();
    connections.wait().await;
}

/// A handler some of whose answers close their connections: once `stop` is cancelled, and when a connection is old.
struct Leaving<H> {
    handler: Arc<H>,
    stop: CancellationToken,
    max_age: Duration,
}

impl<H: Handler> Leaving<H> {
    async fn handle(&self, request: Request<Incoming>, counted: &Counted) -> hyper::Response<H::Body> {
        let caller = &counted.caller;
        caller.asks();
        let mut response = self.handler.handle(request, caller).await;
        caller.answered();
        // A connection that is closed while it is idle may be one that a proxy is about to use again: an answer that
        // says so cannot be missed.
        if self.stop.is_cancelled() || caller.accepted().elapsed() > self.max_age {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The next connection, for which there is room: as long as there is none, callers wait in the kernel's queue, which
/// costs nothing here. Cancel safe.
async fn accept(listener: &TcpListener, callers: &Callers) -> (TcpStream, SocketAddr) {
    loop {
        callers.room().await;
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_the_callers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                callers.shrink();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether the caller was gone before its connection was taken.
fn is_the_callers(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// One connection, from its first request to its last.
async fn converse<H: Handler>(
    stream: TcpStream,
    handler: &Leaving<H>,
    limits: &HttpLimits,
    counted: Counted,
    end: &CancellationToken,
    drain: Duration,
) {
    // An answer is one small write: waiting for more to send with it only delays it. Not fatal when it fails.
    let _ = stream.set_nodelay(true);
    let counted = &counted;
    let service =
        service_fn(move |request| async move { Ok::<_, Infallible>(handler.handle(request, counted).await) });
    let stream = WatchedStream::new(stream, Arc::clone(&counted.caller));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // It would bound idleness as well.
            .header_read_timeout(None)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        ended = connection.as_mut() => return log_end(ended, counted),
        () = end.cancelled() => {}
        why = counted.caller.overdue(limits) => return callers::count(why),
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(drain, connection).await {
        log_end(ended, counted);
    } else {
        tracing::info!(peer = %counted.caller.peer(), "a connection outlived its drain deadline and is cut");
    }
}

/// How a connection ended is the caller's doing; what was lost with it is logged where it is handled.
fn log_end(ended: hyper::Result<()>, counted: &Counted) {
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %counted.caller.peer(), "a connection broke");
    }
}
