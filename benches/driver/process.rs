//! The programs under measurement, each a process of its own, and what the kernel says of them.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// How long a program may take to become ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a program lets know that it is ready.
#[derive(Clone, Copy)]
pub enum Readiness {
    /// It prints `ready`.
    Says,
    /// `/readyz` there answers 200.
    Answers(SocketAddr),
}

/// A running program. It is killed when this is dropped.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it and waits until it is ready. What it prints goes to a file in `dir`.
    pub async fn start(
        program: &Path,
        arguments: &[&str],
        readiness: Readiness,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let name = program.file_name().context("a program has a name")?;
        let log = dir.join(name).with_extension("log");
        let out = File::create(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut program = Self { child, log };
        let end = Instant::now() + PATIENCE;
        while !program.is_ready(readiness).await {
            ensure!(program.child.try_wait()?.is_none(), "it has ended: {}", program.said());
            ensure!(Instant::now() < end, "it does not become ready: {}", program.said());
            sleep(Duration::from_millis(10)).await;
        }
        Ok(program)
    }

    async fn is_ready(&self, readiness: Readiness) -> bool {
        match readiness {
            Readiness::Says => self.said().lines().any(|line| line == "ready"),
            Readiness::Answers(admin) => {
                get(admin, "/readyz", "").await.is_ok_and(|(status, _)| status == 200)
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends it SIGTERM and waits for its end. Returns whether it ended with 0.
    pub async fn stop(mut self) -> anyhow::Result<bool> {
        signal(self.pid(), "TERM")?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            if Instant::now() > end {
                bail!("it does not end: {}", self.said());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal, by the shell's own `kill`.
pub fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status()?;
    ensure!(status.success(), "cannot signal {pid}");
    Ok(())
}

/// An address of this machine with no listener.
pub async fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

/// What a program answers: status and body. Each line of `headers` has its end.
pub async fn get(addr: SocketAddr, path: &str, headers: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    Ok((status, body.to_owned()))
}

/// The CPU time that a process has used, all its threads together. `stat` counts in hundredths of a second;
/// `schedstat` in nanoseconds. A thread that has ended is not in it, but the programs measured keep theirs.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while we look.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        total += text.split(' ').next().context("empty")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// A process's memory in RAM, in MiB: now, and at most so far.
pub fn memory(pid: u32) -> anyhow::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such field")?;
        let kib: f64 = line.trim_end_matches("kB").trim().parse()?;
        anyhow::Ok(kib / 1024.0)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// How many files and sockets a process has open.
pub fn descriptors(pid: u32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// How many threads it has.
pub fn threads(pid: u32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count())
}
