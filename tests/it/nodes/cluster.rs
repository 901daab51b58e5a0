//! Three nodes, and what can happen to one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::eventually;
use crate::support::servers::client;

pub const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Three nodes. Stopped when dropped.
pub struct Cluster {
    directory: PathBuf,
    env: BTreeMap<String, String>,
}

impl Cluster {
    pub fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("milepost-nodes-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut cluster = Self { directory: std::env::temp_dir().join(name), env: BTreeMap::new() };
        cluster.run("start-cluster", "", &[]);
        let env = std::fs::read_to_string(cluster.directory.join("env")).expect("the script writes env");
        let pairs = env.lines().filter_map(|line| line.split_once('='));
        cluster.env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        cluster
    }

    /// A command of `deploy/local/servers` on the cluster, or on one of its nodes.
    pub fn command(&self, command: &str, node: &str) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/local/servers");
        let mut words = Command::new(script);
        words.arg(command).arg(self.directory.join(node));
        words
    }

    pub fn run(&self, command: &str, node: &str, words: &[&str]) {
        let status = self.command(command, node).args(words).stdout(std::process::Stdio::null()).status();
        assert!(status.expect("it runs").success(), "{command} {node} {words:?}");
    }

    /// Evaluates Erlang on a node.
    fn eval(&self, node: &str, erlang: &str) {
        self.run("ctl", node, &["-q", "eval", erlang]);
    }

    fn of(&self, what: &str, node: &str) -> &str {
        &self.env[&format!("{what}_{}", &node[1..])]
    }

    /// The URL of one node.
    pub fn amqp(&self, node: &str) -> &str {
        self.of("MILEPOST_AMQP_URL", node)
    }

    pub fn management(&self, node: &str) -> &str {
        self.of("MILEPOST_RABBIT_MANAGEMENT_URL", node)
    }

    /// One URL with all nodes.
    pub fn url(&self) -> String {
        let host = |node: &str| {
            let (_, host) = self.amqp(node).split_once('@').expect("credentials");
            host.split('/').next().expect("a host").to_owned()
        };
        format!("amqp://guest:guest@{}/%2f", NODES.map(host).join(","))
    }

    pub fn redis(&self) -> &str {
        &self.env["MILEPOST_REDIS_URL"]
    }

    /// What RabbitMQ calls a node.
    pub fn name(&self, node: &str) -> String {
        let base = std::fs::read_to_string(self.directory.join(node).join("port-base")).expect("its ports");
        format!("milepost-{}@localhost", base.trim())
    }

    /// What a node's management API says; `None` while it says nothing.
    pub async fn ask(&self, node: &str, path: &str) -> Option<Value> {
        let request = client().get(format!("{}/api/{path}", self.management(node)));
        let asked = request.basic_auth("guest", Some("guest")).timeout(Duration::from_secs(2)).send();
        serde_json::from_slice(&asked.await.ok()?.bytes().await.ok()?).ok()
    }

    /// The node that leads a queue, as the first node that answers says.
    pub async fn leader(&self, queue: &str) -> &'static str {
        eventually(&format!("{queue} has a leader"), || async {
            for node in NODES {
                let Some(said) = self.ask(node, &format!("queues/%2f/{queue}")).await else { continue };
                let leader = said["leader"].as_str()?;
                return NODES.into_iter().find(|node| leader == self.name(node));
            }
            None
        })
        .await
    }

    /// Stops a node's process, which keeps its connections, or lets it go on.
    pub fn signal(&self, node: &str, signal: &str) {
        let pid = std::fs::read_to_string(self.directory.join(node).join("rabbit.pid")).expect("it runs");
        let status = Command::new("kill").args([&format!("-{signal}"), pid.trim()]).status();
        assert!(status.expect("kill runs").success(), "{signal} {node}");
    }

    /// What a node does when it is parted from others: RabbitMQ's setting `cluster_partition_handling`.
    pub fn handle_partitions_by(&self, how: &str) {
        for node in NODES {
            self.eval(node, &format!("application:set_env(rabbit, cluster_partition_handling, {how})."));
        }
    }

    /// Parts a node from the others: neither side lets the other in until [`Self::heal`].
    pub fn part(&self, node: &str) {
        for other in NODES.into_iter().filter(|other| *other != node) {
            let other = self.name(other);
            self.eval(
                node,
                &format!("erlang:set_cookie('{other}', parted), erlang:disconnect_node('{other}')."),
            );
        }
    }

    pub fn heal(&self, node: &str) {
        for other in NODES.into_iter().filter(|other| *other != node) {
            let other = self.name(other);
            self.eval(
                node,
                &format!(
                    "erlang:set_cookie('{other}', erlang:get_cookie()), net_kernel:connect_node('{other}')."
                ),
            );
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in NODES {
            let _ = self.command("kill-rabbit", node).status();
        }
        for command in ["kill-redis", "stop"] {
            let _ = self.command(command, "").status();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
