//! Server-sent events: a piece of a page, made again whenever what it shows has changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use maud::Markup;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::web::Refusal;

/// Pages that are followed at once.
const MOST_STREAMS: usize = 256;
const PAUSE: Duration = Duration::from_millis(250);
/// Between two signs of life, so that a proxy keeps the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) struct LiveStreams {
    free: Arc<Semaphore>,
    stopping: CancellationToken,
}

/// What one stream goes on with.
struct Following<T, F> {
    receiver: watch::Receiver<T>,
    piece: F,
    first: bool,
    over: bool,
    stopping: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl LiveStreams {
    /// They end when `stopping` is cancelled.
    pub(super) fn new(stopping: CancellationToken) -> Self {
        Self { free: Arc::new(Semaphore::new(MOST_STREAMS)), stopping }
    }

    /// The pieces that `piece` makes, until it says that one is the last.
    pub(super) fn follow<T, F>(&self, receiver: watch::Receiver<T>, piece: F) -> Response
    where
        T: Send + Sync + 'static,
        F: Fn(&T) -> (Markup, bool) + Send + Sync + 'static,
    {
        let Ok(place) = Arc::clone(&self.free).try_acquire_owned() else {
            let says = "Too many pages are followed at once.";
            return Refusal::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "Busy", says).into_response();
        };
        let stopping = self.stopping.clone();
        let following = Following { receiver, piece, first: true, over: false, stopping, _place: place };
        let events = unfold(following, |mut following| async move {
            let event = following.next().await?;
            Some((Ok::<_, Infallible>(event), following))
        });
        Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
    }
}

impl<T, F: Fn(&T) -> (Markup, bool)> Following<T, F> {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        if !std::mem::take(&mut self.first) {
            sleep(PAUSE).await;
            let changed = self.stopping.run_until_cancelled(self.receiver.changed()).await;
            changed?.ok()?;
        }
        let (piece, last) = (self.piece)(&self.receiver.borrow_and_update());
        self.over = last;
        // A carriage return would end a line of the stream; pages have none that mean anything.
        let text = piece.into_string().replace('\r', " ");
        Some(Event::default().event(if last { "last" } else { "piece" }).data(text))
    }
}
