//! A process's life: its tasks, the signals that end it, and the order in which it drains.
//!
//! Roles stop first, while the connections they need still live; the connections close after them. If any task ends
//! before it was told to, the process ends: a process that lives on half-dead would look well to everyone.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::telemetry::health::Readiness;
use crate::telemetry::metrics as m;

/// How long connections may take to close once nothing needs them.
const CLOSING: Duration = Duration::from_secs(5);

/// What runs in this process.
pub struct Life {
    /// Cancelled when roles are to drain.
    pub stopping: CancellationToken,
    /// Cancelled when nothing needs connections any more.
    pub closing: CancellationToken,
    roles: JoinSet<&'static str>,
    plumbing: JoinSet<&'static str>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
            roles: JoinSet::new(),
            plumbing: JoinSet::new(),
        }
    }
}

impl Life {
    /// Runs a role. It ends by itself once `stopping` is cancelled, within its own deadline.
    pub fn role(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.roles.spawn(async move {
            task.await;
            name
        });
    }

    /// Runs something that roles need. It ends by itself once `closing` is cancelled.
    pub fn plumbing(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.plumbing.spawn(async move {
            task.await;
            name
        });
    }

    /// Lives until a signal, `stopping`, or the end of a task; then drains. Returns whether it ended as it should.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub async fn run(mut self, readiness: Arc<Readiness>) -> std::io::Result<bool> {
        let mut signals = Signals::new()?;
        let failed = tokio::select! {
            () = signals.next() => false,
            () = self.stopping.cancelled() => false,
            Some(ended) = self.roles.join_next() => dead(ended),
            Some(ended) = self.plumbing.join_next() => dead(ended),
        };
        tracing::info!("draining");
        metrics::gauge!(m::DRAINING).set(1.0);
        readiness.drain();
        self.stopping.cancel();
        let drained = tokio::select! {
            drained = self.drain() => drained,
            () = signals.next() => {
                tracing::warn!("second signal: ending at once");
                false
            }
        };
        tracing::info!("ended");
        Ok(!failed && drained)
    }

    /// Whether every task ended as it should.
    async fn drain(&mut self) -> bool {
        let mut well = true;
        while let Some(ended) = self.roles.join_next().await {
            well &= ended.is_ok();
        }
        self.closing.cancel();
        let closing = async {
            while let Some(ended) = self.plumbing.join_next().await {
                well &= ended.is_ok();
            }
        };
        let _ = tokio::time::timeout(CLOSING, closing).await;
        well
    }
}

fn dead(ended: Result<&'static str, JoinError>) -> bool {
    match ended {
        Ok(task) => tracing::error!(task, "a task ended that should not: ending the process"),
        Err(error) => tracing::error!(%error, "a task died: ending the process"),
    }
    true
}

/// The signals that end a process.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn new() -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    /// The next SIGTERM or SIGINT.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
