//! The accept loop and the life of a connection: HTTP/1.1 with keep-alive, every wait bounded.
//!
//! A request whose head is not HTTP, or is larger than the buffer, is answered by hyper (400, 431) and never reaches
//! a [`Handler`]. TLS ends before us, at the ingress.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::load::Held;
use super::{Handler, HttpLimits, Response, Stopping};

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
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    let end = CancellationToken::new();
    let mut over = pin!(async {
        stop.cancelled().await;
        sleep(stopping.delay).await;
    });
    loop {
        let (stream, slot) = tokio::select! {
            biased;
            () = over.as_mut() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (handler, stop, end) = (Arc::clone(&handler), stop.clone(), end.clone());
        connections.spawn(async move {
            let handler = Leaving { handler, stop };
            let _counted = handler.handler.connections().map(|open| Held::new(open, 1));
            converse(stream, &handler, &limits, &end, stopping.drain).await;
            drop(slot);
        });
    }
    drop(listener);
    end.cancel();
    connections.close();
    connections.wait().await;
}

/// A handler whose answers close their connections once `stop` is cancelled.
struct Leaving<H> {
    handler: Arc<H>,
    stop: CancellationToken,
}

impl<H: Handler> Leaving<H> {
    async fn handle(&self, request: Request<Incoming>) -> Response {
        let mut response = self.handler.handle(request).await;
        if self.stop.is_cancelled() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The next connection. It gets its slot first: callers beyond the limit wait in the kernel's queue, which costs
/// nothing here. Cancel safe.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    // Unwrap safety: the semaphore is never closed.
    let slot = Arc::clone(slots).acquire_owned().await.expect("never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) if is_the_callers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
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
    end: &CancellationToken,
    drain: Duration,
) {
    // An answer is one small write: waiting for more to send with it only delays it. Not fatal when it fails.
    let _ = stream.set_nodelay(true);
    let service =
        service_fn(move |request| async move { Ok::<_, Infallible>(handler.handle(request).await) });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        ended = connection.as_mut() => return log_end(ended),
        () = end.cancelled() => {}
        () = sleep(limits.max_connection_age) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = timeout(drain, connection).await {
        log_end(ended);
    } else {
        tracing::info!("a connection outlived its drain deadline and is cut");
    }
}

/// How a connection ended is the caller's doing; what was lost with it is told where it is handled.
fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
