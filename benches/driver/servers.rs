//! A private RabbitMQ and Redis, in a temporary folder, for as long as the run lasts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

const SCRIPT: &str = "deploy/local/servers";

/// The servers. They end, and their data goes, when this is dropped.
pub struct Servers {
    dir: PathBuf,
    pub amqp_url: String,
    pub redis_url: String,
    pub broker: u32,
    pub redis: u32,
}

impl Servers {
    pub fn start() -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("milepost-bench-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let mut servers =
            Self { dir, amqp_url: String::new(), redis_url: String::new(), broker: 0, redis: 0 };
        servers.run("start")?;
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

    pub fn rabbit_version(&self) -> anyhow::Result<String> {
        let output = Command::new(SCRIPT).arg("ctl").arg(&self.dir).arg("version").output()?;
        Ok(String::from_utf8(output.stdout)?)
    }

    fn pid(&self, name: &str) -> anyhow::Result<u32> {
        Ok(fs::read_to_string(self.dir.join(name).with_extension("pid"))?.trim().parse()?)
    }

    fn run(&self, command: &str) -> anyhow::Result<()> {
        let status = Command::new(SCRIPT).arg(command).arg(&self.dir).status();
        let status = status.with_context(|| format!("{SCRIPT}: run this in the repository's root"))?;
        anyhow::ensure!(status.success(), "{SCRIPT} {command} failed");
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // Killed first: an orderly stop takes seconds, and nothing in here is worth keeping.
        for command in ["kill-rabbit", "kill-redis", "stop"] {
            if let Err(error) = self.run(command) {
                eprintln!("{error:#}");
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}
