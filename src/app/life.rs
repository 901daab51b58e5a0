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
    signals: Signals,
    roles: JoinSet<&'static str>,
    plumbing: JoinSet<&'static str>,
}

impl Life {
    /// A life that listens for signals from now on.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn new() -> std::io::Result<Self> {
        let (stopping, closing) = (CancellationToken::new(), CancellationToken::new());
        let (roles, plumbing) = (JoinSet::new(), JoinSet::new());
        Ok(Self { signals: Signals::new()?, stopping, closing, roles, plumbing })
    }

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

    /// Runs something that roles need and that never ends by itself, until `closing` is cancelled.
    pub fn background(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.plumbing(name, async move {
            closing.run_until_cancelled(task).await;
        });
    }

    /// Runs something that is done at some time, before `closing` is cancelled or not at all.
    pub fn once(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.plumbing(name, async move {
            closing.run_until_cancelled(task).await;
            closing.cancelled().await;
        });
    }

    /// Lives until a signal, `stopping`, or the end of a task; then drains. Returns whether it ended as it should.
    pub async fn run(mut self, readiness: Arc<Readiness>) -> bool {
        let failed = tokio::select! {
            () = self.signals.next() => false,
            () = self.stopping.cancelled() => false,
            Some(ended) = self.roles.join_next() => dead(ended),
            Some(ended) = self.plumbing.join_next() => dead(ended),
        };
        tracing::info!("draining");
        metrics::gauge!(m::DRAINING).set(1.0);
        readiness.drain();
        self.stopping.cancel();
        let drained = tokio::select! {
            drained = drain(self.roles, self.plumbing, &self.closing) => drained,
            () = self.signals.next() => {
                tracing::warn!("second signal: ending at once");
                false
            }
        };
        tracing::info!("ended");
        !failed && drained
    }
}

/// Roles first, then what they needed. Whether every task ended as it should.
async fn drain(
    mut roles: JoinSet<&'static str>,
    mut plumbing: JoinSet<&'static str>,
    closing: &CancellationToken,
) -> bool {
    let mut well = true;
    while let Some(ended) = roles.join_next().await {
        well &= ended.is_ok();
    }
    closing.cancel();
    let ending = async {
        while let Some(ended) = plumbing.join_next().await {
            well &= ended.is_ok();
        }
    };
    let _ = tokio::time::timeout(CLOSING, ending).await;
    well
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
