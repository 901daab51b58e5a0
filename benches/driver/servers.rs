//! A private RabbitMQ and Redis, in a temporary folder, for as long as the run lasts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;

use crate::redis;

const SCRIPT: &str = "deploy/local/servers";
/// How the script ends when this machine cannot have a generation.
const CANNOT_BE_HAD: i32 = 3;

/// Which servers to measure on.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Generations {
    /// RabbitMQ 4, Redis 8
    Today,
    /// RabbitMQ 3.10, Redis 7.0
    Debian12,
    Both,
}

impl Generations {
    /// Gets the servers. Today's may be impossible here: of both, the others are left.
    pub fn available(self) -> anyhow::Result<Vec<Generation>> {
        let wanted = match self {
            Self::Today => &[Generation::Today][..],
            Self::Debian12 => &[Generation::Debian12],
            Self::Both => &[Generation::Today, Generation::Debian12],
        };
        let mut available = Vec::new();
        for &generation in wanted {
            if generation.install()? {
                available.push(generation);
            } else {
                eprintln!("NOT MEASURED: the generation {}", generation.as_str());
            }
        }
        ensure!(!available.is_empty(), "there are no servers to measure on");
        Ok(available)
    }
}

/// Servers, as the script names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// RabbitMQ 4, Redis 8.
    Today,
    /// RabbitMQ 3.10, Redis 7.0.
    Debian12,
}

impl Generation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Debian12 => "debian12",
        }
    }

    /// Gets it, if it is not there yet. False when this machine cannot have it: the script says why.
    fn install(self) -> anyhow::Result<bool> {
        let arguments = ["install", "--generation", self.as_str()];
        let status = Command::new(SCRIPT).args(arguments).status();
        let status = status.with_context(|| format!("{SCRIPT}: run this in the repository's root"))?;
        ensure!(status.success() || status.code() == Some(CANNOT_BE_HAD), "{SCRIPT} {arguments:?} failed");
        Ok(status.success())
    }
}

/// The servers. They end, and their data goes, when this is dropped.
pub struct Servers {
    dir: PathBuf,
    pub amqp_url: String,
    pub redis_url: String,
    pub broker: u32,
    pub redis: u32,
}

impl Servers {
    pub fn start(generation: Generation) -> anyhow::Result<Self> {
        let name = format!("milepost-bench-{}-{}", generation.as_str(), std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir)?;
        let mut servers =
            Self { dir, amqp_url: String::new(), redis_url: String::new(), broker: 0, redis: 0 };
        servers.run("start", &["--generation", generation.as_str()])?;
        let env = fs::read_to_string(servers.dir.join("env"))?;
        let value = |name: &str| {
            let line = env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.map(str::to_owned).with_context(|| format!("the servers did not say {name}"))
        };
        servers.amqp_url = value("MILEPOST_AMQP_URL")?;
        servers.redis_url = value("MILEPOST_REDIS_URL")?;
        servers.broker = servers.pid("rabbit")?;
        servers.redis = servers.pid("redis")?;
        Ok(servers)
    }

    /// Where logs and configurations may be put.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// RabbitMQ's and Redis's.
    pub async fn versions(&self) -> anyhow::Result<String> {
        Ok(format!("RabbitMQ {}, {}", self.rabbit_version()?.trim(), redis::version(&self.redis_url).await?))
    }

    pub fn rabbit_version(&self) -> anyhow::Result<String> {
        let output = Command::new(SCRIPT).arg("ctl").arg(&self.dir).arg("version").output()?;
        Ok(String::from_utf8(output.stdout)?)
    }

    fn pid(&self, name: &str) -> anyhow::Result<u32> {
        Ok(fs::read_to_string(self.dir.join(name).with_extension("pid"))?.trim().parse()?)
    }

    fn run(&self, command: &str, options: &[&str]) -> anyhow::Result<()> {
        let status = Command::new(SCRIPT).arg(command).arg(&self.dir).args(options).status();
        let status = status.with_context(|| format!("{SCRIPT}: run this in the repository's root"))?;
        ensure!(status.success(), "{SCRIPT} {command} failed");
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // Killed first: an orderly stop takes seconds, and nothing in here is worth keeping.
        for command in ["kill-rabbit", "kill-redis", "stop"] {
            if let Err(error) = self.run(command, &[]) {
                eprintln!("{error:#}");
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}
