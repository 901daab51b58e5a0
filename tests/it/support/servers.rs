//! The shared private servers, a virtual host of its own for each test, and whole servers of its own for a test
//! that restarts them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use milepost::adapters::rabbit::RabbitSettings;
use milepost::adapters::rabbit::topology::{Topology, TopologySettings};
use milepost::adapters::redis::{RedisCells, RedisConnection, RedisGaps, RedisLedger, RedisSettings};
use milepost::domain::provider::ProviderId;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by `make test`"))
}

/// The shared Redis.
pub fn redis_url() -> String {
    variable("MILEPOST_TEST_REDIS_URL")
}

/// A ledger on the shared Redis.
pub fn redis_ledger() -> RedisLedger {
    redis_ledger_at(&redis_url())
}

pub fn redis_ledger_at(url: &str) -> RedisLedger {
    let settings = RedisSettings { url: url.into(), response_timeout: Duration::from_secs(2) };
    RedisLedger::new(RedisConnection::new(&settings).expect("a Redis URL"))
}

pub fn redis_gaps_at(url: &str) -> RedisGaps {
    let settings = RedisSettings { url: url.into(), response_timeout: Duration::from_secs(2) };
    RedisGaps::new(RedisConnection::new(&settings).expect("a Redis URL"))
}

pub fn redis_cells_at(url: &str) -> RedisCells {
    let settings = RedisSettings { url: url.into(), response_timeout: Duration::from_secs(2) };
    RedisCells::new(RedisConnection::new(&settings).expect("a Redis URL"))
}

/// Topology numbers for tests: as in production, but the delay levels count `unit`.
pub fn topology_settings(unit: Duration) -> TopologySettings {
    TopologySettings {
        updates_max_age: "7D".parse().expect("an age"),
        updates_max_bytes: 100_000_000,
        updates_segment_bytes: 4_194_304,
        parked_max_bytes: 268_435_456,
        delay_unit: unit,
    }
}

/// A virtual host of the shared RabbitMQ. Deleted when dropped.
pub struct Vhost {
    pub management: String,
    name: String,
    pub amqp_url: String,
}

impl Vhost {
    pub async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let management = variable("MILEPOST_TEST_MANAGEMENT_URL");
        let base = variable("MILEPOST_TEST_AMQP_URL");
        let server = base.rsplit_once('/').expect("an AMQP URL ends in its virtual host").0;
        let vhost = Self { amqp_url: format!("{server}/{name}"), management, name };
        vhost.request(reqwest::Method::PUT, "vhosts", None).await;
        vhost
    }

    /// What the management API says of `kind` (`queues`, `bindings`, …) in this virtual host.
    pub async fn list(&self, kind: &str) -> serde_json::Value {
        let url = format!("{}/api/{kind}/{}", self.management, self.name);
        let answer =
            client().get(url).basic_auth("guest", Some("guest")).send().await.expect("management answers");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }

    /// Sets a policy on the queues that match `pattern`.
    pub async fn set_policy(&self, name: &str, pattern: &str, definition: serde_json::Value) {
        let body = serde_json::json!({ "pattern": pattern, "definition": definition, "apply-to": "queues" });
        self.put("policies", name, body).await;
    }

    /// Lets so many connections in at most.
    pub async fn limit_connections(&self, most: u32) {
        self.put("vhost-limits", "max-connections", serde_json::json!({ "value": most })).await;
    }

    /// What the tests' user may configure, as a pattern of names; it may read and write everything.
    pub async fn let_configure(&self, pattern: &str) {
        let rights = serde_json::json!({ "configure": pattern, "write": ".*", "read": ".*" });
        self.put("permissions", "guest", rights).await;
    }

    async fn put(&self, kind: &str, name: &str, body: serde_json::Value) {
        let url = format!("{}/api/{kind}/{}/{name}", self.management, self.name);
        let request = client().put(url).basic_auth("guest", Some("guest"));
        // The limits insist on it.
        let request = request.header("content-type", "application/json").body(body.to_string());
        let status = request.send().await.expect("management answers").status();
        assert!(status.is_success(), "{status}");
    }

    async fn request(&self, method: reqwest::Method, kind: &str, body: Option<String>) {
        let url = format!("{}/api/{kind}/{}", self.management, self.name);
        let request = client().request(method, url).basic_auth("guest", Some("guest"));
        let answer = request.body(body.unwrap_or_default()).send().await.expect("management answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    pub fn settings(&self) -> RabbitSettings {
        rabbit_settings(&self.amqp_url)
    }

    /// A plain channel, for looking at and meddling with queues.
    pub async fn channel(&self) -> Channel {
        channel(&self.amqp_url).await
    }

    /// Declares the topology of `providers`, with delay levels that count `unit`.
    pub async fn declare(&self, unit: Duration, providers: &[ProviderId]) {
        let topology = Topology::new(&topology_settings(unit), providers);
        topology.apply(&self.channel().await).await.expect("the topology is declared");
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        // curl, because a destructor cannot wait for a future.
        let url = format!("{}/api/vhosts/{}", self.management, self.name);
        let _ = Command::new("curl").args(["-s", "-u", "guest:guest", "-X", "DELETE", &url]).status();
    }
}

pub fn client() -> reqwest::Client {
    milepost::adapters::tls::install_crypto_provider();
    reqwest::Client::builder().no_proxy().build().expect("an HTTP client")
}

pub fn rabbit_settings(url: &str) -> RabbitSettings {
    RabbitSettings {
        url: url.into(),
        name: "test".to_owned(),
        connect_timeout: Duration::from_secs(10),
        confirm_timeout: Duration::from_secs(10),
    }
}

/// A plain channel.
pub async fn channel(url: &str) -> Channel {
    let connection =
        Connection::connect(url, ConnectionProperties::default()).await.expect("RabbitMQ answers");
    let channel = connection.create_channel().await.expect("a channel");
    // The test process holds the connection for as long as it runs.
    std::mem::forget(connection);
    channel
}

/// How many messages a queue holds ready.
pub async fn depth(channel: &Channel, queue: &str) -> u32 {
    look(channel, queue).await.message_count()
}

/// How many consumers a queue has.
pub async fn consumers(channel: &Channel, queue: &str) -> u32 {
    look(channel, queue).await.consumer_count()
}

async fn look(channel: &Channel, queue: &str) -> lapin::Queue {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
    queue.expect("the queue is there")
}

/// A RabbitMQ and a Redis of a test's own, to be restarted. Stopped when dropped.
pub struct OwnServers {
    directory: PathBuf,
    pub amqp_url: String,
    pub redis_url: String,
}

impl OwnServers {
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// With options of `deploy/local/servers start`. The URL of a server left out is empty.
    pub fn start_with(name: &str, options: &[&str]) -> Self {
        let directory = std::env::temp_dir().join(format!("milepost-{name}-{}", std::process::id()));
        let mut servers = Self { directory, amqp_url: String::new(), redis_url: String::new() };
        servers.run(&[&["start"], options].concat());
        if !options.contains(&"--without-rabbit") {
            servers.amqp_url = servers.value("MILEPOST_AMQP_URL");
        }
        if !options.contains(&"--without-redis") {
            servers.redis_url = servers.value("MILEPOST_REDIS_URL");
        }
        servers
    }

    /// A Redis alone, that proves its writes: today's does, and one before 7.2 with `appendfsync always`.
    pub fn proving_redis(name: &str) -> Self {
        let servers = Self::start_with(name, &["--without-rabbit"]);
        if !servers.has_waitaof() {
            assert_eq!(servers.redis_cli(&["CONFIG", "SET", "appendfsync", "always"]), "OK");
        }
        servers
    }

    pub fn has_waitaof(&self) -> bool {
        !self.redis_cli(&["WAITAOF", "0", "0", "1"]).contains("unknown command")
    }

    /// Gives Redis this user as `deploy/components/redis/users.acl` has it; the URL to log in with.
    pub fn with_shipped_user(&self, user: &str, password: &str) -> String {
        const USERS: &str = include_str!("../../../deploy/components/redis/users.acl");
        let rule = USERS.lines().find_map(|line| line.strip_prefix(&format!("user {user} ")));
        // A Redis that does not know the command refuses the rule.
        let known = |word: &&str| self.has_waitaof() || *word != "+waitaof";
        let words = rule.expect("the file has it").split(' ').filter(known);
        assert_eq!(
            self.redis_cli(&["ACL", "SETUSER", user].into_iter().chain(words).collect::<Vec<_>>()),
            "OK"
        );
        self.redis_url.replace("redis://", &format!("redis://{user}:{password}@"))
    }

    /// Where `deploy/local/servers` has them.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What Redis answers to a command.
    pub fn redis_cli(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-u", &self.redis_url]).args(words).output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).trim().to_owned()
    }

    /// What the script says of these servers under `name`.
    pub fn value(&self, name: &str) -> String {
        let env = std::fs::read_to_string(self.directory.join("env")).expect("the script writes env");
        let mut pairs = env.lines().filter_map(|line| line.split_once('='));
        let (_, value) =
            pairs.find(|(key, _)| *key == name).unwrap_or_else(|| panic!("{name} is not in env"));
        value.trim_matches(['\'', '"']).to_owned()
    }

    /// Runs a command of `deploy/local/servers` on these, such as `kill-rabbit`.
    pub fn run(&self, command: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/local/servers");
        let status = Command::new(script).arg(command[0]).arg(&self.directory).args(&command[1..]).status();
        assert!(status.expect("the script runs").success(), "servers {command:?} failed");
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/local/servers");
        for command in ["kill-rabbit", "kill-redis", "stop"] {
            let _ = Command::new(script).arg(command).arg(&self.directory).status();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
