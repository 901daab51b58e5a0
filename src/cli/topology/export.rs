//! `milepost topology export`: the topology as a file that RabbitMQ imports. No server is asked.

use super::{everyone, print};
use crate::adapters::rabbit::definitions::Definitions;
use crate::adapters::rabbit::management::vhost;
use crate::app::backends::whole_topology;
use crate::cli::Exit;
use crate::config::Config;

/// What `milepost topology export` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// For this virtual host [default: the one that amqp.url names]
    #[arg(long, value_name = "NAME")]
    pub vhost: Option<String>,
}

pub(super) fn run(args: Args, config: &Config) -> anyhow::Result<Exit> {
    let vhost = match args.vhost {
        Some(vhost) => vhost,
        None => vhost(config.amqp.url.expose())?,
    };
    let topology = whole_topology(config, &everyone());
    print(&format!("{:#}\n", Definitions::from(&topology).file(&vhost)))?;
    Ok(Exit::Done)
}
