//! `milepost wait`: a process that does nothing, so that a pod lives in which an operator runs the other commands.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;

/// Waits for the signal that ends it. Said here because the first process of a container ignores signals that it does
/// not ask for.
///
/// # Errors
/// When the system does not let it listen for signals.
pub async fn run() -> anyhow::Result<Exit> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut terminated, mut interrupted) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(Exit::Done)
}
