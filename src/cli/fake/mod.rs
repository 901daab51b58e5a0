//! Stand-ins for other companies' systems, for trying Milepost out and for its tests.

pub mod hubrise;
pub mod provider;

use super::Exit;

#[derive(clap::Subcommand)]
pub enum Command {
    /// A stand-in for HubRise's API: orders and their deliveries
    Hubrise(hubrise::Args),
    /// A stand-in for a provider's API: the status of deliveries
    Provider(provider::Args),
}

/// Runs a stand-in until a signal.
///
/// # Errors
/// When it cannot listen.
pub async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Hubrise(args) => hubrise::run(args).await,
        Command::Provider(args) => provider::run(args).await,
    }
}
