//! The operator: a proxy's user, so that no password is compared between two pages.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, timeout};

use crate::process::{Program, free_address, get};
use crate::rig::{Rig, path};

/// Who is let in.
const USERS: &str = "[users.\"*\"]\nrights = [\"see\"]\n";
const USER: &str = "x-bench-user: bench\r\n";
/// A page that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the console is asked, each time on a connection of its own.
pub struct Visitor<'a> {
    rig: &'a Rig,
    addr: SocketAddr,
}

impl<'a> Visitor<'a> {
    pub async fn new(rig: &'a Rig) -> anyhow::Result<Self> {
        Ok(Self { rig, addr: free_address().await? })
    }

    /// Starts a console that knows us.
    pub async fn console(&self) -> anyhow::Result<Program> {
        let users = self.rig.servers.dir().join("users.toml");
        fs::write(&users, USERS)?;
        let settings = [
            format!("console.addr = \"{}\"", self.addr),
            format!("console.users_file = \"{}\"", path(&users)?),
            "console.proxy_header = \"X-Bench-User\"".to_owned(),
            "console.proxy_from = [\"127.0.0.1\"]".to_owned(),
        ];
        self.rig.console(&settings).await
    }

    /// A page, and how long it took from the connection to its last byte.
    pub async fn page(&self, path: &str) -> anyhow::Result<(Duration, String)> {
        let begun = Instant::now();
        let asking = timeout(PATIENCE, get(self.addr, path, USER)).await;
        let (status, page) = asking.with_context(|| format!("{path} takes too long"))??;
        ensure!(status == 200, "{path}: {status}: {page}");
        Ok((begun.elapsed(), page))
    }
}
