//! `milepost topology apply`: declares it, or shows what that would do.

use super::{everyone, print};
use crate::adapters::rabbit::compare::{Compared, ObjectState};
use crate::adapters::rabbit::connect;
use crate::adapters::rabbit::topology::Topology;
use crate::app::backends::{rabbit_settings, whole_topology};
use crate::app::doctor::Probe;
use crate::cli::Exit;
use crate::config::Config;
use crate::operator::audit::{Act, AuditEntry, AuditLog, Surface};

/// What `milepost topology apply` is asked.
#[derive(clap::Args)]
pub struct Args {
    /// Show what would be declared, and change nothing; exit code 1 if something is in the way
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) async fn run(args: &Args, config: &Config, who: &str) -> anyhow::Result<Exit> {
    if args.dry_run { show(config).await } else { apply(config, who).await }
}

async fn apply(config: &Config, who: &str) -> anyhow::Result<Exit> {
    let topology = whole_topology(config, &everyone());
    let settings = rabbit_settings(config, "topology");
    let Topology { exchanges, queues, bindings } = &topology;
    let declared =
        format!("{} exchanges, {} queues, {} bindings", exchanges.len(), queues.len(), bindings.len());
    let things = (exchanges.len() + queues.len() + bindings.len()) as u64;
    let which = "the topology of this configuration".to_owned();
    let entry = AuditEntry::begun(who, Surface::Command, Act::ApplyTopology, which, &[]);
    // Of a broker that is away there is nothing to write down.
    let connection = connect(&settings, "apply").await?;
    let applying = async {
        let channel = connection.create_channel().await?;
        topology.apply(&channel).await?;
        connection.close(200, "bye".into()).await?;
        Ok(())
    };
    let told = |&(): &()| (things, format!("declared {declared}"));
    AuditLog::new(settings.clone()).done(&entry, applying, told).await?;
    println!("declared on {}: {declared}", config.amqp.url);
    Ok(Exit::Done)
}

async fn show(config: &Config) -> anyhow::Result<Exit> {
    let probe = Probe::fleet(config, &everyone())?;
    let broker = probe.broker().await?;
    print(&broker.things.iter().map(line).collect::<String>())?;
    let in_the_way = broker.things.iter().any(|thing| matches!(thing.state, ObjectState::Differs(_)));
    Ok(if in_the_way { Exit::Failed } else { Exit::Done })
}

fn line(Compared { kind, name, state }: &Compared) -> String {
    let (word, why) = match state {
        ObjectState::There => ("exists", None),
        ObjectState::Missing => ("would be declared", None),
        ObjectState::Unknown(why) => ("would be declared again", Some(why)),
        ObjectState::Differs(how) => ("cannot be declared", Some(how)),
    };
    let (kind, why) = (kind.to_string(), why.map(|why| format!(": {why}")).unwrap_or_default());
    format!("{word:<25}{kind:<10}{name}{why}\n")
}
