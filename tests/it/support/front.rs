//! A front: haproxy before receivers. Of them it knows only what they say at `/readyz`.

use std::fmt;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::eventually;
use super::process::{Process, Program};
use super::servers::client;

const HAPROXY: &str = "/usr/sbin/haproxy";

/// Where a receiver listens. Its successor takes the same place, as the front's configuration names it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub webhooks: u16,
    pub admin: u16,
}

impl Place {
    pub fn free() -> Self {
        Self { webhooks: free_port(), admin: free_port() }
    }
}

/// A port below those that Linux gives to outgoing connections, so that it is still free when a process
/// restarts.
fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..20_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// haproxy, running.
pub struct Front {
    pub url: String,
    statistics: String,
    directory: PathBuf,
    _process: Process,
}

impl Front {
    /// Before receivers that need not be there yet.
    pub async fn start(receivers: &[Place]) -> Self {
        Self::with(receivers, "").await
    }

    /// The same, with further settings of its connections to them.
    pub async fn with(receivers: &[Place], settings: &str) -> Self {
        assert!(Path::new(HAPROXY).exists(), "haproxy is missing; run: deploy/local/servers install haproxy");
        let (front, statistics) = (free_port(), free_port());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("front-{front}"));
        fs::create_dir_all(&directory).expect("writable");
        let file = directory.join("haproxy.cfg");
        fs::write(&file, configuration(front, statistics, receivers, settings)).expect("writable");
        let process = Program::at(HAPROXY).args("-db -f").arg(file.to_str().expect("text")).spawn();
        let front = Self {
            url: format!("http://127.0.0.1:{front}"),
            statistics: format!("http://127.0.0.1:{statistics}/;csv"),
            directory,
            _process: process,
        };
        eventually("haproxy runs", || async { client().get(&front.statistics).send().await.ok() }).await;
        front
    }

    /// Waits until it sends webhooks to this receiver.
    pub async fn sends_to(&self, receiver: usize) {
        eventually("the front sends webhooks to the receiver", || async {
            self.rows()
                .await
                .get("receivers", &receiver.to_string(), "status")
                .starts_with("UP")
                .then_some(())
        })
        .await;
    }

    pub async fn counts(&self) -> Counts {
        let rows = self.rows().await;
        let front = |name| rows.get("front", "FRONTEND", name).parse().expect("a number");
        let back = |name| rows.get("receivers", "BACKEND", name).parse::<u64>().expect("a number");
        Counts {
            accepted: front("hrsp_2xx"),
            answered_5xx: front("hrsp_5xx"),
            retried: back("econ") + back("wretr") + back("wredis"),
            broken: back("eresp"),
            connections: back("connect"),
        }
    }

    async fn rows(&self) -> Rows {
        let answer = client().get(&self.statistics).send().await.expect("haproxy answers");
        let text = answer.text().await.expect("a body");
        Rows(text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Health is asked often, and twice before it is believed. A connection that is refused is tried again, at the other
/// receiver; a request that was sent is not. Those are haproxy's own rules, and it counts what it tries again.
fn configuration(front: u16, statistics: u16, receivers: &[Place], settings: &str) -> String {
    // One thread: the connections that it keeps are each thread's own.
    let mut text = format!(
        "global
  maxconn 2000
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout check 5s
  retries 3
  option redispatch 1
listen statistics
  bind 127.0.0.1:{statistics}
  stats enable
  stats uri /
frontend front
  bind 127.0.0.1:{front}
  default_backend receivers
backend receivers
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  default-server check inter 100ms fall 2 rise 2 {settings}
"
    );
    for (name, place) in receivers.iter().enumerate() {
        text += &format!("  server {name} 127.0.0.1:{} port {}\n", place.webhooks, place.admin);
    }
    text
}

/// haproxy's statistics: a line of names, and one for each front, back and server.
struct Rows(Vec<Vec<String>>);

impl Rows {
    fn get(&self, proxy: &str, server: &str, name: &str) -> &str {
        let (names, rows) = self.0.split_first().expect("a line of names");
        let at = names.iter().position(|column| column == name).expect(name);
        let row = rows.iter().find(|row| row[0] == proxy && row[1] == server).expect("a row");
        &row[at]
    }
}

/// What haproxy counted.
pub struct Counts {
    /// Answers of 200 to 299 that it gave.
    pub accepted: u64,
    /// Answers of 500 to 599, its own and the receivers'.
    pub answered_5xx: u64,
    /// Connections to a receiver that failed, and requests that went to another one for it.
    pub retried: u64,
    /// Receivers that went away in the middle of an exchange.
    pub broken: u64,
    /// Connections that were made to a receiver.
    pub connections: u64,
}

impl Counts {
    /// What was counted after `before`.
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            accepted: self.accepted - before.accepted,
            answered_5xx: self.answered_5xx - before.answered_5xx,
            retried: self.retried - before.retried,
            broken: self.broken - before.broken,
            connections: self.connections - before.connections,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, answered_5xx, retried, broken, .. } = self;
        writeln!(f, "{accepted:>7} answers of 2xx at the front")?;
        writeln!(f, "{answered_5xx:>7} answers of 5xx there")?;
        writeln!(
            f,
            "{retried:>7} connections from there that were refused, and what was tried again for it"
        )?;
        writeln!(f, "{broken:>7} exchanges with a receiver that broke off")
    }
}
