//! `milepost topology`: what Milepost needs on the broker.

mod apply;
pub mod check;
mod export;

use std::io::{self, Write as _};

use clap::Subcommand;

use super::{Exit, Global};
use crate::domain::provider::ProviderId;
use crate::providers;

/// What `milepost topology` is asked.
#[derive(Subcommand)]
pub enum Command {
    /// Declare every exchange, queue and binding; declaring again changes nothing
    Apply(apply::Args),
    /// Compare the broker and Redis with what Milepost needs, and say what to do about each difference; exit code 1 if
    /// messages can be lost, repeated or held up by one
    Check(check::Args),
    /// Write every exchange, queue and binding as RabbitMQ definitions, for `rabbitmqctl import_definitions`
    Export(export::Args),
}

/// Does it on the configured broker.
///
/// # Errors
/// When the broker cannot be used for it.
pub async fn run(command: Command, global: Global) -> anyhow::Result<Exit> {
    let who = global.who();
    let config = super::config::load(global)?.config;
    match command {
        Command::Apply(args) => apply::run(&args, &config, &who).await,
        Command::Check(args) => check::run(&args, &config).await,
        Command::Export(args) => export::run(args, &config),
    }
}

/// Writes it to standard output, without its colours where they are not wanted.
fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader of the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}

/// Every provider: the topology is the whole fleet's.
fn everyone() -> Vec<ProviderId> {
    providers::ALL.iter().map(|provider| provider.id()).collect()
}
