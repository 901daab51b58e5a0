//! `milepost drill`: trouble on purpose, for a test fleet on this machine, and the account of it.

pub mod fleet;
pub mod outage;
pub mod plan;
pub mod play;
pub mod record;
pub mod updates;

use super::Exit;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Take the broker away under load of all five providers, which send again as each really does, and account for every webhook
    BrokerOutage(outage::Args),
}

/// Drills.
///
/// # Errors
/// When it is no test fleet, or it cannot be asked, or the output cannot be written.
pub async fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::BrokerOutage(args) => outage::run(args).await,
    }
}
