//! Everything a run needs: servers, the way to them, and the programs of either side.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use milepost::adapters::rabbit::topology::UPDATES;
use milepost::config::{Config, Sources};
use milepost::domain::samples::SampleSource;
use milepost::providers;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::broker::Broker;
use crate::example::Example;
use crate::figures::Meter;
use crate::material::{SECRET, account};
use crate::peers::{self, Peer, Peers};
use crate::process::{Program, Readiness, cpu, free_address};
use crate::servers::{Generation, Servers};
use crate::side::{Side, work_queue};

/// A routing key as updates have.
const UPDATE_KEY: &str = "telyport.default.pickup.assigned";

/// How many accounts each provider is configured with where there are many.
pub const MANY_ACCOUNTS: usize = 100;

/// How long the servers are looked at to see whether they rest, and how long they may not.
const LOOK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Rig {
    pub broker: Broker,
    pub config: Config,
    programs: PathBuf,
    peers: Option<Peers>,
    // Dropped last: they end with it.
    pub servers: Servers,
}

impl Rig {
    /// Starts the servers. The binary is the one beside this program's folder. Peers are in a folder of their own, if they
    /// are measured.
    pub async fn new(generation: Generation, peers: Option<&Path>) -> anyhow::Result<Self> {
        let peers = peers.map(Peers::in_folder).transpose()?;
        let programs = std::env::current_exe()?.parent().context("it is in a folder")?.to_owned();
        let servers = Servers::start(generation)?;
        let config = load(&settings(&servers, &[]))?;
        let broker = Broker::connect(&config).await?;
        Ok(Self { broker, config, programs, peers, servers })
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

    /// Starts a receiver, which says what the example says. Returns where it listens.
    pub async fn receiver(&self, side: Side, example: &Example) -> anyhow::Result<(Program, SocketAddr)> {
        let amqp_url = &self.servers.amqp_url;
        let addr = free_address().await?;
        let program = match side {
            Side::Milepost => return self.milepost_receiver(&[]).await,
            Side::Floor | Side::ToUpdates => {
                let says = example.properties.to_string();
                self.start("floor-receiver", &[amqp_url, &addr.to_string(), SECRET, &says]).await?
            }
            Side::Peer(peer) => {
                let settings = peers::receiver_settings(amqp_url, addr, example);
                self.peer(peer, "receiver", &settings).await?
            }
        };
        Ok((program, addr))
    }

    /// Starts Milepost's receiver with `more` in its configuration.
    pub async fn milepost_receiver(&self, more: &[String]) -> anyhow::Result<(Program, SocketAddr)> {
        let addr = free_address().await?;
        let more = [&[format!("http.addr = \"{addr}\"")], more].concat();
        Ok((self.milepost("receiver", &more).await?, addr))
    }

    /// Starts a worker for each provider, which says what the example says.
    pub async fn workers(
        &self,
        side: Side,
        providers: &[&dyn SampleSource],
        prefetch: u16,
        example: &Example,
    ) -> anyhow::Result<Vec<Program>> {
        if side == Side::Milepost {
            return self.milepost_workers(providers, prefetch).await;
        }
        let Servers { amqp_url, redis_url, .. } = &self.servers;
        let mut programs = Vec::new();
        for provider in providers {
            let from = work_queue(provider.id());
            let program = if let Side::Peer(peer) = side {
                let settings = peers::worker_settings(amqp_url, redis_url, &from, prefetch, example);
                self.peer(peer, "worker", &settings).await?
            } else {
                let (update, prefetch) = (example.json(), prefetch.to_string());
                let mut arguments = vec![amqp_url, from.as_str(), "", side.output(), &prefetch];
                if side == Side::ToUpdates {
                    arguments = vec![amqp_url, &from, UPDATES, UPDATE_KEY, &prefetch, &update];
                }
                self.start("floor-relay", &arguments).await?
            };
            programs.push(program);
        }
        Ok(programs)
    }

    /// Starts Milepost's worker for each provider.
    pub async fn milepost_workers(
        &self,
        providers: &[&dyn SampleSource],
        prefetch: u16,
    ) -> anyhow::Result<Vec<Program>> {
        let mut programs = Vec::new();
        for provider in providers {
            let settings = [format!("worker.prefetch = {prefetch}")];
            programs.push(self.milepost(&format!("worker-{}", provider.id()), &settings).await?);
        }
        Ok(programs)
    }

    async fn start(&self, floor: &str, arguments: &[&str]) -> anyhow::Result<Program> {
        Program::start(&self.programs.join(floor), arguments, Readiness::Says, self.servers.dir()).await
    }

    async fn peer(&self, peer: Peer, role: &str, settings: &Value) -> anyhow::Result<Program> {
        let peers = self.peers.as_ref().context("peers were not asked for")?;
        let (program, script) = peers.program(peer, role);
        let arguments = [path(&script)?, &settings.to_string()];
        Program::start(&program, &arguments, Readiness::Says, self.servers.dir()).await
    }

    /// Starts a role with `more` in its configuration: the one program under the role's name, as in the image.
    pub async fn milepost(&self, role: &str, more: &[String]) -> anyhow::Result<Program> {
        let name = format!("milepost-{role}");
        let (file, admin) = self.configure(&name, more).await?;
        let program = self.servers.dir().join(&name);
        if !program.exists() {
            symlink(self.programs.join("../milepost"), &program)?;
        }
        let arguments = ["--config", path(&file)?];
        let readiness = Readiness::Answers(admin);
        Program::start(&program, &arguments, readiness, self.servers.dir()).await
    }

    /// Starts the console, which is a command.
    pub async fn console(&self, more: &[String]) -> anyhow::Result<Program> {
        let (file, admin) = self.configure("console", more).await?;
        let arguments = ["--config", path(&file)?, "console"];
        let (program, readiness) = (self.programs.join("../milepost"), Readiness::Answers(admin));
        Program::start(&program, &arguments, readiness, self.servers.dir()).await
    }

    /// Writes a configuration file. Returns it, and where the admin port is to be.
    async fn configure(&self, name: &str, more: &[String]) -> anyhow::Result<(PathBuf, SocketAddr)> {
        let admin = free_address().await?;
        let more = [more, &[format!("admin.addr = \"{admin}\"")]].concat();
        let file = self.servers.dir().join(name).with_extension("toml");
        fs::write(&file, settings(&self.servers, &more))?;
        Ok((file, admin))
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

/// A path as an argument or a setting has it.
pub fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is text")
}
