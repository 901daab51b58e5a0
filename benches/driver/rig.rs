//! Everything a run needs: servers, the way to them, and the programs of either side.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use milepost::adapters::rabbit::topology::UPDATES;
use milepost::config::{Config, Sources};
use milepost::domain::provider::ProviderId;
use milepost::domain::samples::SampleSource;
use milepost::providers;
use tokio::time::{Instant, sleep};

use crate::broker::{Broker, RELAYED_QUEUE, UPDATES_QUEUE};
use crate::figures::Meter;
use crate::material::{SECRET, account};
use crate::process::{Program, Readiness, cpu, free_address};
use crate::servers::Servers;

/// A routing key as updates have.
const UPDATE_KEY: &str = "telyport.default.pickup.assigned";

/// How many accounts each provider is configured with where there are many.
pub const MANY_ACCOUNTS: usize = 100;

/// How long the servers are looked at to see whether they rest, and how long they may not.
const LOOK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Milepost,
    Floor,
    /// The relay again, but to the exchange of the updates, so that RabbitMQ does for it what it does for Milepost.
    ToUpdates,
}

impl Side {
    /// The queue its receiver publishes to.
    pub fn intake(self, provider: ProviderId) -> String {
        match self {
            Self::Milepost | Self::ToUpdates => work_queue(provider),
            Self::Floor => format!("floor.{provider}"),
        }
    }

    /// The queue its worker's output comes to.
    pub fn output(self) -> &'static str {
        match self {
            Self::Milepost | Self::ToUpdates => UPDATES_QUEUE,
            Self::Floor => RELAYED_QUEUE,
        }
    }
}

/// Both sides' workers take from here.
pub fn work_queue(provider: ProviderId) -> String {
    milepost::adapters::rabbit::topology::work_queue(provider)
}

pub struct Rig {
    pub broker: Broker,
    pub config: Config,
    programs: PathBuf,
    // Dropped last: they end with it.
    pub servers: Servers,
}

impl Rig {
    /// Starts the servers. The binary is the one beside this program's folder.
    pub async fn new() -> anyhow::Result<Self> {
        let programs = std::env::current_exe()?.parent().context("it is in a folder")?.to_owned();
        let servers = Servers::start()?;
        let config = load(&settings(&servers, &[]))?;
        let broker = Broker::connect(&config).await?;
        Ok(Self { broker, config, programs, servers })
    }

    pub fn meter(&self, programs: &[Program]) -> Meter {
        let own = programs.iter().map(Program::pid).collect();
        Meter { own, broker: self.servers.broker, redis: self.servers.redis }
    }

    /// Waits until the servers have little to do: what one run leaves behind is no part of the next.
    pub async fn rest(&self) -> anyhow::Result<()> {
        let used = || anyhow::Ok(cpu(self.servers.broker)? + cpu(self.servers.redis)?);
        let end = Instant::now() + PATIENCE;
        loop {
            let before = used()?;
            sleep(LOOK).await;
            if used()? - before < LOOK / 10 || Instant::now() > end {
                return Ok(());
            }
        }
    }

    /// Starts a receiver. Returns where it listens.
    pub async fn receiver(&self, side: Side) -> anyhow::Result<(Program, SocketAddr)> {
        match side {
            Side::Milepost => self.milepost_receiver(&[]).await,
            Side::Floor | Side::ToUpdates => {
                let addr = free_address().await?;
                let arguments = [&self.servers.amqp_url, &addr.to_string(), SECRET];
                let program = self.programs.join("floor-receiver");
                let program =
                    Program::start(&program, &arguments, Readiness::Says, self.servers.dir()).await?;
                Ok((program, addr))
            }
        }
    }

    /// Starts Milepost's receiver with `more` in its configuration.
    pub async fn milepost_receiver(&self, more: &[String]) -> anyhow::Result<(Program, SocketAddr)> {
        let addr = free_address().await?;
        let more = [&[format!("http.addr = \"{addr}\"")], more].concat();
        Ok((self.milepost("receiver", &more).await?, addr))
    }

    /// Starts a worker for each provider.
    pub async fn workers(
        &self,
        side: Side,
        providers: &[&dyn SampleSource],
        prefetch: u16,
    ) -> anyhow::Result<Vec<Program>> {
        let mut programs = Vec::new();
        for provider in providers {
            let id = provider.id();
            programs.push(match side {
                Side::Milepost => {
                    let settings = [format!("worker.prefetch = {prefetch}")];
                    self.milepost(&format!("worker-{id}"), &settings).await?
                }
                Side::Floor | Side::ToUpdates => {
                    let (from, prefetch) = (work_queue(id), prefetch.to_string());
                    let (exchange, key) =
                        if side == Side::ToUpdates { (UPDATES, UPDATE_KEY) } else { ("", side.output()) };
                    let arguments = [&self.servers.amqp_url, &from, exchange, key, &prefetch];
                    let program = self.programs.join("floor-relay");
                    Program::start(&program, &arguments, Readiness::Says, self.servers.dir()).await?
                }
            });
        }
        Ok(programs)
    }

    /// Starts a role with `more` in its configuration: the one program under the role's name, as in the image.
    pub async fn milepost(&self, role: &str, more: &[String]) -> anyhow::Result<Program> {
        let admin = free_address().await?;
        let mut more = more.to_vec();
        more.push(format!("admin.addr = \"{admin}\""));
        let text = settings(&self.servers, &more);
        let name = format!("milepost-{role}");
        let file = self.servers.dir().join(&name).with_extension("toml");
        fs::write(&file, text)?;
        let program = self.servers.dir().join(&name);
        if !program.exists() {
            symlink(self.programs.join("../milepost"), &program)?;
        }
        let arguments = ["--config", path(&file)?];
        let readiness = Readiness::Answers(admin);
        Program::start(&program, &arguments, readiness, self.servers.dir()).await
    }
}

/// A role's configuration file: what differs from the defaults. It traces, and samples nothing, so that nothing is sent
/// to the collector that is not there.
fn settings(servers: &Servers, more: &[String]) -> String {
    let mut text = more.join("\n");
    let (amqp, redis) = (&servers.amqp_url, &servers.redis_url);
    text += &format!(
        "\namqp.url = \"{amqp}\"\nredis.url = \"{redis}\"\n\
         tracing.otlp_endpoint = \"http://127.0.0.1:9\"\ntracing.sample_ratio = 0.0\n\
         topology.updates_max_bytes = 2000000000\n"
    );
    for provider in providers::ALL {
        for number in 0..=MANY_ACCOUNTS {
            // The last is the default account.
            let of = if number == MANY_ACCOUNTS { 1 } else { MANY_ACCOUNTS };
            let account = account(number, of);
            text += &format!("providers.{}.accounts.{account}.secrets = [\"{SECRET}\"]\n", provider.id());
        }
    }
    text
}

fn load(text: &str) -> anyhow::Result<Config> {
    let sources = Sources { base: text.to_owned(), ..Sources::default() };
    Ok(milepost::config::load(&sources, providers::ALL)?.config)
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is text")
}
