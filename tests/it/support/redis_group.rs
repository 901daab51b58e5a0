//! Several Redis of a test's own: a primary with replicas and Sentinels, or a Cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use deadpool_redis::redis::{Client, FromRedisValue, cmd};

use super::eventually;

/// The servers, `r1` and so on. Stopped when dropped.
pub struct RedisGroup {
    directory: PathBuf,
    /// Of all of them.
    pub url: String,
    /// Of each alone, as if it were no member.
    pub servers: BTreeMap<String, String>,
}

/// How a server is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// At once.
    Killed,
    /// It takes connections and says nothing.
    Hung,
    /// It gives its role up, and stays as a replica.
    Demoted,
}

impl RedisGroup {
    pub fn sentinel(name: &str) -> Self {
        Self::start("start-sentinel", name)
    }

    pub fn cluster(name: &str) -> Self {
        Self::start("start-redis-cluster", name)
    }

    fn start(command: &str, name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("milepost-{name}-{}", std::process::id()));
        let mut group = Self { directory, url: String::new(), servers: BTreeMap::new() };
        group.run(command, "");
        let env = std::fs::read_to_string(group.directory.join("env")).expect("the script writes env");
        for (name, value) in env.lines().filter_map(|line| line.split_once('=')) {
            match name.strip_prefix("MILEPOST_REDIS_URL") {
                Some("") => value.clone_into(&mut group.url),
                Some(number) => {
                    let member = format!("r{}", number.trim_start_matches('_'));
                    group.servers.insert(member, value.to_owned());
                }
                None => {}
            }
        }
        group
    }

    /// Runs a command of `deploy/local/servers` on a member.
    pub fn run(&self, command: &str, member: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/local/servers");
        let status = Command::new(script).arg(command).arg(self.directory.join(member)).status();
        assert!(status.expect("the script runs").success(), "servers {command} {member} failed");
    }

    pub fn lose(&self, member: &str, loss: Loss) {
        match loss {
            Loss::Killed => self.run("kill-redis", member),
            Loss::Hung => self.signal(member, "STOP"),
            Loss::Demoted => {}
        }
    }

    pub fn have_again(&self, member: &str, loss: Loss) {
        match loss {
            Loss::Killed => self.run("start-redis", member),
            Loss::Hung => self.signal(member, "CONT"),
            Loss::Demoted => {}
        }
    }

    fn signal(&self, member: &str, name: &str) {
        let pid = std::fs::read_to_string(self.directory.join(member).join("redis.pid")).expect("it runs");
        let sent = Command::new("kill").args([&format!("-{name}"), pid.trim()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Asks one member; nothing if it does not answer, or refuses.
    pub async fn ask<T: FromRedisValue>(&self, member: &str, words: &[&str]) -> Option<T> {
        ask(&self.servers[member], words).await
    }

    /// Every member that is a primary and answers.
    pub async fn primaries(&self) -> Vec<String> {
        let mut primaries = Vec::new();
        for member in self.servers.keys() {
            let info: Option<String> = self.ask(member, &["INFO", "replication"]).await;
            if info.is_some_and(|info| info.contains("role:master")) {
                primaries.push(member.clone());
            }
        }
        primaries
    }

    /// Waits until `member` follows a primary again.
    pub async fn follows(&self, member: &str) {
        eventually(&format!("{member} follows"), || async {
            let info: String = self.ask(member, &["INFO", "replication"]).await?;
            (info.contains("role:slave") && info.contains("master_link_status:up")).then_some(())
        })
        .await;
    }
}

pub async fn ask<T: FromRedisValue>(url: &str, words: &[&str]) -> Option<T> {
    let client = Client::open(url).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let mut command = cmd(words[0]);
    command.arg(&words[1..]).query_async(&mut connection).await.ok()
}

impl Drop for RedisGroup {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/local/servers");
        for member in self.servers.keys() {
            let _ = Command::new(script).arg("kill-redis").arg(self.directory.join(member)).status();
        }
        let _ = Command::new(script).arg("stop").arg(&self.directory).status();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
