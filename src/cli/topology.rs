//! `milepost topology`: what Milepost needs on the broker.

use anyhow::Context as _;
use clap::Subcommand;

use super::{Exit, Global};
use crate::adapters::rabbit::connect;
use crate::adapters::rabbit::topology::Topology;
use crate::app::backends::{rabbit_settings, topology_settings};
use crate::providers;

/// What `milepost topology` is asked.
#[derive(Subcommand)]
pub enum Command {
    /// Declare every exchange, queue and binding; declaring again changes nothing
    Apply,
}

/// Does it on the configured broker.
///
/// # Errors
/// When the broker cannot be reached, or has something with other arguments: it is named.
pub async fn run(command: Command, global: Global) -> anyhow::Result<Exit> {
    let config = super::config::load(global)?.config;
    let ids: Vec<_> = providers::ALL.iter().map(|provider| provider.id()).collect();
    let topology = Topology::new(&topology_settings(&config), &ids);
    let connection = connect(&rabbit_settings(&config, "topology"), "apply")
        .await
        .with_context(|| format!("cannot connect to {}", config.amqp.url))?;
    let channel = connection.create_channel().await?;
    match command {
        Command::Apply => topology.apply(&channel).await?,
    }
    let Topology { exchanges, queues, bindings } = topology;
    println!(
        "declared on {}: {} exchanges, {} queues, {} bindings",
        config.amqp.url,
        exchanges.len(),
        queues.len(),
        bindings.len()
    );
    connection.close(200, "bye".into()).await?;
    Ok(Exit::Done)
}
