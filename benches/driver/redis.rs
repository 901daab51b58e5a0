//! The driver's own way to Redis: one command at a time.

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// How many keys there are.
pub async fn keys(redis_url: &str) -> anyhow::Result<f64> {
    let answer = ask(redis_url, "DBSIZE").await?;
    Ok(answer.strip_prefix(':').context("no number of keys")?.parse()?)
}

/// How many bytes it has allocated.
pub async fn used_memory(redis_url: &str) -> anyhow::Result<f64> {
    let memory = info(redis_url, "memory").await?;
    let line = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.context("no used_memory")?.parse()?)
}

/// Which program and version it is.
pub async fn version(redis_url: &str) -> anyhow::Result<String> {
    let server = info(redis_url, "server").await?;
    let of = |name| server.lines().find_map(|line| line.strip_prefix(name));
    // Valkey names the Redis that it speaks like, too.
    let valkey = of("valkey_version:").map(|version| format!("Valkey {version}"));
    valkey.or_else(|| Some(format!("Redis {}", of("redis_version:")?))).context("no version")
}

async fn info(redis_url: &str, section: &str) -> anyhow::Result<String> {
    let answer = ask(redis_url, &format!("INFO {section}")).await?;
    Ok(answer.split_once("\r\n").context("no text")?.1.to_owned())
}

/// Forgets everything.
pub async fn forget(redis_url: &str) -> anyhow::Result<()> {
    let answer = ask(redis_url, "FLUSHALL").await?;
    anyhow::ensure!(answer == "+OK", "Redis does not forget: {answer}");
    Ok(())
}

/// An answer, on a connection of its own.
async fn ask(redis_url: &str, command: &str) -> anyhow::Result<String> {
    let url = Url::parse(redis_url)?;
    let addr = (url.host_str().context("a host")?, url.port().context("a port")?);
    let mut stream = TcpStream::connect(addr).await?;
    // It closes the connection when it has answered.
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.strip_suffix("+OK\r\n").unwrap_or(&answer).trim().to_owned())
}
