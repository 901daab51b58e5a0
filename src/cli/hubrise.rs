//! `milepost hubrise`: what an operator tells the HubRise sink.

use clap::Subcommand;

use super::config::load_with;
use super::{Exit, Global, misuse};
use crate::adapters::redis::RedisCells;
use crate::app::backends::{rabbit_settings, redis_connection};
use crate::operator::audit::{Act, AuditEntry, AuditLog, Surface};
use crate::sinks::hubrise::links;
use crate::sinks::update::UpdatedDelivery;

/// What `milepost hubrise` is asked.
#[derive(Subcommand)]
pub enum Command {
    /// Say which HubRise order a delivery belongs to, where the connection's rule does not tell
    Link(LinkArgs),
}

/// What `milepost hubrise link` is asked.
#[derive(clap::Args)]
pub struct LinkArgs {
    /// The provider's short name, such as telyport
    pub provider: String,
    /// The account with the provider, such as default
    pub account: String,
    /// The provider's id of the delivery
    pub delivery: String,
    /// HubRise's id of the order, such as 5dpm9; with its location, 3r4s3-1/5dpm9, where a connection has several
    pub order: String,
    /// The connection, where several are fed by the account
    #[arg(long, value_name = "NAME")]
    pub connection: Option<String>,
    /// Keep it in this Redis [default: the configured one]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
}

/// Does it.
///
/// # Errors
/// When the configuration or Redis cannot be used, or the link makes no sense.
pub async fn run(command: Command, global: Global) -> anyhow::Result<Exit> {
    let Command::Link(args) = command;
    let who = global.who();
    let config = load_with(global, &[("--redis", &args.redis)])?.config;
    let settings = &config.hubrise_sink.settings;
    let LinkArgs { provider, account, delivery, order, connection, .. } = args;
    let delivery = UpdatedDelivery { provider, account, id: delivery };
    let link = links::link(&settings.connections, &delivery, &order, connection.as_deref());
    let link = link.map_err(misuse)?;
    let store = RedisCells::new(redis_connection(&config)?);
    let UpdatedDelivery { provider, account, id } = &delivery;
    let which = format!("{provider}/{account} {id} to {}/{}", link.location, link.order);
    let entry = AuditEntry::begun(&who, Surface::Command, Act::Link, which, &[]);
    let audit = AuditLog::new(rabbit_settings(&config, &format!("operator {who}")));
    let linking = async { Ok(links::keep(&store, settings, &delivery, link.clone()).await?) };
    audit.done(&entry, linking, |()| (1, "linked".to_owned())).await?;
    println!(
        "{}/{} {} belongs to the order {}/{} of {}; updates that wait for it go there within 5 minutes",
        delivery.provider, delivery.account, delivery.id, link.location, link.order, link.connection
    );
    Ok(Exit::Done)
}
